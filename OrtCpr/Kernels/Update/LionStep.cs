using System.Numerics;

namespace OrtCpr.Kernels;

/// <summary>The scalars of one Lion step, each rounded to float once.</summary>
internal readonly struct LionCoefficients
{
    /// <summary>Multiplies the gradient: clipping, loss scale, and the sign of maximize.</summary>
    public float GradientScale { get; init; }

    /// <summary>1 − β1, of the direction.</summary>
    public float OneMinusBeta1 { get; init; }

    /// <summary>1 − β2, of the running mean.</summary>
    public float OneMinusBeta2 { get; init; }

    /// <summary>lr.</summary>
    public float StepSize { get; init; }

    /// <summary>lr · weight decay; 0 leaves the parameter's bits alone.</summary>
    public float Decay { get; init; }
}

/// <summary>
/// Lion on a run of elements: θ ← θ − lr·wd·θ, c = m + (1−β1)(g−m), θ ← θ − lr·sign(c), m ← m + (1−β2)(g−m).</summary>
/// <remarks>
/// One lane is one element; nothing crosses lanes. Reads θ, g, m and writes θ, m once: 20 bytes an element. All inputs of an element are
/// loaded before any of its outputs is stored, so an output may be its own input. <see cref="One"/> is the definition;
/// <see cref="Lanes"/> does the same operations in the same order with the same fusions, so both give the same bits.</remarks>
internal static unsafe class LionStep
{
    /// <summary>The rule with its scalars, which must stay where they are while it runs.</summary>
    public static BaseStep With(LionCoefficients* coefficients) => new(&Run, coefficients);

    private static void Run(void* coefficients, in UpdateTensors t, nint start, nint length)
    {
        ref readonly LionCoefficients c = ref *(LionCoefficients*)coefficients;
        nint end = start + length;
        nint i = Vector.IsHardwareAccelerated ? Lanes(c, t, start, end) : start;
        for (; i < end; i++)
            One(c, t, i);
    }

    private static void One(in LionCoefficients c, in UpdateTensors t, nint i)
    {
        float m = ((float*)t.State[0])[i], gradient = t.Gradient[i] * c.GradientScale, change = gradient - m;
        float direction = L1.Direction(MathF.FusedMultiplyAdd(c.OneMinusBeta1, change, m), 0);
        float parameter = t.Parameter[i];
        parameter = MathF.FusedMultiplyAdd(-c.Decay, parameter, parameter);
        ((float*)t.NewState[0])[i] = MathF.FusedMultiplyAdd(c.OneMinusBeta2, change, m);
        t.NewParameter[i] = MathF.FusedMultiplyAdd(-c.StepSize, direction, parameter);
    }

    /// <summary>Steps whole vectors while they fit before <paramref name="end"/>, so no load or store passes it.</summary>
    /// <returns>The first element that is left.</returns>
    private static nint Lanes(in LionCoefficients c, in UpdateTensors t, nint i, nint end)
    {
        float* parameters = t.Parameter, gradients = t.Gradient, newParameters = t.NewParameter;
        float* means = (float*)t.State[0], newMeans = (float*)t.NewState[0];
        Vector<float> scale = Vector.Create(c.GradientScale);
        Vector<float> oneMinusBeta1 = Vector.Create(c.OneMinusBeta1);
        Vector<float> oneMinusBeta2 = Vector.Create(c.OneMinusBeta2);
        Vector<float> minusDecay = Vector.Create(-c.Decay);
        Vector<float> minusStepSize = Vector.Create(-c.StepSize);
        for (; i <= end - Vector<float>.Count; i += Vector<float>.Count)
        {
            Vector<float> m = Vector.Load(means + i), change = (Vector.Load(gradients + i) * scale) - m;
            Vector<float> direction = L1.Direction(Vector.FusedMultiplyAdd(oneMinusBeta1, change, m), default);
            Vector<float> parameter = Vector.Load(parameters + i);
            parameter = Vector.FusedMultiplyAdd(minusDecay, parameter, parameter);
            Vector.Store(Vector.FusedMultiplyAdd(oneMinusBeta2, change, m), newMeans + i);
            Vector.Store(Vector.FusedMultiplyAdd(minusStepSize, direction, parameter), newParameters + i);
        }
        return i;
    }
}
