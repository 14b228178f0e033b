using System.Numerics;

namespace OrtCpr.Kernels;

/// <summary>The scalars of one SGD step, each rounded to float once.</summary>
internal readonly struct SgdCoefficients
{
    /// <summary>Multiplies the gradient: clipping, loss scale, and the sign of maximize.</summary>
    public float GradientScale { get; init; }

    /// <summary>lr.</summary>
    public float StepSize { get; init; }

    /// <summary>Coupled decay; 0 for none.</summary>
    public float Decay { get; init; }

    /// <summary>Momentum, as Nesterov's look-ahead uses it.</summary>
    public float Momentum { get; init; }

    /// <summary>What the buffer is multiplied by: momentum, and 0 in the first step, which takes the gradient whole.</summary>
    public float BufferDecay { get; init; }

    /// <summary>What the gradient enters the buffer with: 1 − dampening, and 1 in the first step.</summary>
    public float BufferRate { get; init; }

    /// <summary>Whether the step looks ahead.</summary>
    public bool Nesterov { get; init; }
}

/// <summary>
/// SGD on a run of elements: g ← g + wd·θ, b ← momentum·b + (1−dampening)·g, θ ← θ − lr·(b, or g + momentum·b with Nesterov, or g without
/// momentum).</summary>
/// <remarks>
/// One lane is one element; nothing crosses lanes. Reads θ, g and writes θ once: 12 bytes an element, 20 with momentum. All inputs of an
/// element are loaded before any of its outputs is stored, so an output may be its own input. <see cref="One"/> is the definition;
/// <see cref="Lanes"/> does the same operations in the same order with the same fusions, so both give the same bits.</remarks>
internal static unsafe class SgdStep
{
    /// <summary>The rule with its scalars, which must stay where they are while it runs.</summary>
    public static BaseStep With(SgdCoefficients* coefficients) => new(&Run, coefficients);

    private static void Run(void* coefficients, in UpdateTensors t, nint start, nint length)
    {
        ref readonly SgdCoefficients c = ref *(SgdCoefficients*)coefficients;
        nint end = start + length;
        nint i = start;
        if (Vector.IsHardwareAccelerated)
            i = t.State[0] == 0 ? Lanes<Plain>(c, t, i, end) : c.Nesterov ? Lanes<Nesterov>(c, t, i, end) : Lanes<Momentum>(c, t, i, end);
        for (; i < end; i++)
            One(c, t, i);
    }

    private static void One(in SgdCoefficients c, in UpdateTensors t, nint i)
    {
        float parameter = t.Parameter[i];
        float direction = MathF.FusedMultiplyAdd(c.Decay, parameter, t.Gradient[i] * c.GradientScale);
        if (t.State[0] != 0)
        {
            float buffer = MathF.FusedMultiplyAdd(c.BufferDecay, ((float*)t.State[0])[i], c.BufferRate * direction);
            ((float*)t.NewState[0])[i] = buffer;
            direction = c.Nesterov ? MathF.FusedMultiplyAdd(c.Momentum, buffer, direction) : buffer;
        }
        t.NewParameter[i] = MathF.FusedMultiplyAdd(-c.StepSize, direction, parameter);
    }

    /// <summary>Steps whole vectors while they fit before <paramref name="end"/>, so no load or store passes it.</summary>
    /// <returns>The first element that is left.</returns>
    private static nint Lanes<TVariant>(in SgdCoefficients c, in UpdateTensors t, nint i, nint end)
        where TVariant : struct
    {
        float* parameters = t.Parameter, gradients = t.Gradient, newParameters = t.NewParameter;
        float* buffers = (float*)t.State[0], newBuffers = (float*)t.NewState[0];
        Vector<float> scale = Vector.Create(c.GradientScale);
        Vector<float> decay = Vector.Create(c.Decay);
        Vector<float> momentum = Vector.Create(c.Momentum);
        Vector<float> bufferDecay = Vector.Create(c.BufferDecay);
        Vector<float> bufferRate = Vector.Create(c.BufferRate);
        Vector<float> minusStepSize = Vector.Create(-c.StepSize);
        for (; i <= end - Vector<float>.Count; i += Vector<float>.Count)
        {
            Vector<float> parameter = Vector.Load(parameters + i);
            Vector<float> direction = Vector.FusedMultiplyAdd(decay, parameter, Vector.Load(gradients + i) * scale);
            if (typeof(TVariant) != typeof(Plain))
            {
                Vector<float> buffer = Vector.FusedMultiplyAdd(bufferDecay, Vector.Load(buffers + i), bufferRate * direction);
                Vector.Store(buffer, newBuffers + i);
                direction = typeof(TVariant) == typeof(Nesterov) ? Vector.FusedMultiplyAdd(momentum, buffer, direction) : buffer;
            }
            Vector.Store(Vector.FusedMultiplyAdd(minusStepSize, direction, parameter), newParameters + i);
        }
        return i;
    }

    /// <summary>Markers that the JIT specialises the loop for, so that it has no branch.</summary>
    private readonly struct Plain;

    private readonly struct Momentum;

    private readonly struct Nesterov;
}
