using System.Numerics;

namespace OrtCpr.Kernels;

/// <summary>
/// Adam and AdamW on a run of elements:
/// θ ← θ − lr·wd·θ, m ← m + (1−β1)(g−m), v ← β2·v + (1−β2)·g², v̂ ← max(v̂, v),
/// θ ← θ − lr/(1−β1^t) · m / (sqrt(v or v̂)/sqrt(1−β2^t) + ε).</summary>
/// <remarks>
/// One lane is one element; nothing crosses lanes. Reads θ, g, m, v and writes θ, m, v once: 28 bytes an element, 36 with v̂.
/// All inputs of an element are loaded before any of its outputs is stored, so an output may be its own input.
/// <see cref="One"/> is the definition; <see cref="Lanes"/> does the same operations in the same order with the same
/// fusions, each correctly rounded, so both give the same bits and a chunk may end anywhere.</remarks>
internal static unsafe class AdamStep
{
    /// <summary>State: m, v, and v̂ with amsgrad.</summary>
    private const int First = 0, Second = 1, Maximum = 2;

    /// <summary>The rule with its scalars, which must stay where they are while it runs.</summary>
    public static BaseStep With(AdamCoefficients* coefficients) => new(&Run, coefficients);

    /// <summary>Steps the elements from <paramref name="start"/> to <paramref name="start"/> + <paramref name="length"/>.</summary>
    private static void Run(void* coefficients, in UpdateTensors t, nint start, nint length)
    {
        ref readonly AdamCoefficients c = ref *(AdamCoefficients*)coefficients;
        nint end = start + length;
        nint i = start;
        if (Vector.IsHardwareAccelerated)
            i = t.State[Maximum] == 0 ? Lanes<Plain>(c, t, i, end) : Lanes<AmsGrad>(c, t, i, end);
        for (; i < end; i++)
            One(c, t, i);
    }

    private static void One(in AdamCoefficients c, in UpdateTensors t, nint i)
    {
        float gradient = t.Gradient[i] * c.GradientScale;
        float m = ((float*)t.State[First])[i];
        m = MathF.FusedMultiplyAdd(c.OneMinusBeta1, gradient - m, m);
        float v = MathF.FusedMultiplyAdd(c.OneMinusBeta2 * gradient, gradient, c.Beta2 * ((float*)t.State[Second])[i]);
        float parameter = t.Parameter[i];
        parameter = MathF.FusedMultiplyAdd(-c.Decay, parameter, parameter);
        ((float*)t.NewState[First])[i] = m;
        ((float*)t.NewState[Second])[i] = v;
        if (t.State[Maximum] != 0)
        {
            v = MathF.Max(((float*)t.State[Maximum])[i], v);
            ((float*)t.NewState[Maximum])[i] = v;
        }
        float denominator = MathF.FusedMultiplyAdd(MathF.Sqrt(v), c.SecondMomentScale, c.Epsilon);
        t.NewParameter[i] = MathF.FusedMultiplyAdd(-c.StepSize, m / denominator, parameter);
    }

    /// <summary>Steps whole vectors while they fit before <paramref name="end"/>, so no load or store passes it.</summary>
    /// <returns>The first element that is left.</returns>
    private static nint Lanes<TVariant>(in AdamCoefficients c, in UpdateTensors t, nint i, nint end)
        where TVariant : struct
    {
        float* parameters = t.Parameter, gradients = t.Gradient, newParameters = t.NewParameter;
        float* firsts = (float*)t.State[First], seconds = (float*)t.State[Second], maxima = (float*)t.State[Maximum];
        float* newFirsts = (float*)t.NewState[First], newSeconds = (float*)t.NewState[Second], newMaxima = (float*)t.NewState[Maximum];
        Vector<float> gradientScale = Vector.Create(c.GradientScale);
        Vector<float> oneMinusBeta1 = Vector.Create(c.OneMinusBeta1);
        Vector<float> oneMinusBeta2 = Vector.Create(c.OneMinusBeta2);
        Vector<float> beta2 = Vector.Create(c.Beta2);
        Vector<float> minusDecay = Vector.Create(-c.Decay);
        Vector<float> secondScale = Vector.Create(c.SecondMomentScale);
        Vector<float> epsilon = Vector.Create(c.Epsilon);
        Vector<float> minusStepSize = Vector.Create(-c.StepSize);
        for (; i <= end - Vector<float>.Count; i += Vector<float>.Count)
        {
            Vector<float> gradient = Vector.Load(gradients + i) * gradientScale;
            Vector<float> m = Vector.Load(firsts + i);
            m = Vector.FusedMultiplyAdd(oneMinusBeta1, gradient - m, m);
            Vector<float> v = Vector.FusedMultiplyAdd(oneMinusBeta2 * gradient, gradient, beta2 * Vector.Load(seconds + i));
            Vector<float> parameter = Vector.Load(parameters + i);
            parameter = Vector.FusedMultiplyAdd(minusDecay, parameter, parameter);
            Vector.Store(m, newFirsts + i);
            Vector.Store(v, newSeconds + i);
            if (typeof(TVariant) == typeof(AmsGrad))
            {
                v = Vector.Max(Vector.Load(maxima + i), v);
                Vector.Store(v, newMaxima + i);
            }
            Vector<float> denominator = Vector.FusedMultiplyAdd(Vector.SquareRoot(v), secondScale, epsilon);
            Vector.Store(Vector.FusedMultiplyAdd(minusStepSize, m / denominator, parameter), newParameters + i);
        }
        return i;
    }

    /// <summary>Markers that the JIT specialises the loop for, so that it has no branch.</summary>
    private readonly struct Plain;

    private readonly struct AmsGrad;
}
