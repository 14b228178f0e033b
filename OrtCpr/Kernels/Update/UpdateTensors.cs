using System.Runtime.CompilerServices;

namespace OrtCpr.Kernels;

/// <summary>
/// Where one parameter's values are read and written, <see cref="Length"/> elements each. Every output either is its own
/// input (the in-place case) or overlaps no other tensor; an output that starts inside an input would be read after it was
/// written.</summary>
internal unsafe struct UpdateTensors
{
    /// <summary>State tensors that a base rule may have.</summary>
    public const int MaxStates = 3;

    public nint Length;
    public float* Parameter;
    public float* Gradient;
    public float* NewParameter;

    /// <summary>State before the step, in the order of the operator's slots; null from the first that the rule does not have on.</summary>
    public Pointers State;

    /// <summary>State after the step; null exactly where <see cref="State"/> is.</summary>
    public Pointers NewState;

    /// <summary>The step that is not taken: state goes to outputs unchanged, and nothing moves where they are one memory.</summary>
    public readonly void CopyUnchanged()
    {
        Copy(Parameter, NewParameter);
        for (int i = 0; i < MaxStates; i++)
            Copy((float*)State[i], (float*)NewState[i]);
    }

    private readonly void Copy(float* from, float* to)
    {
        long bytes = Length * sizeof(float);
        if (from != to)
            Buffer.MemoryCopy(from, to, bytes, bytes);
    }

    /// <summary>One address a state tensor.</summary>
    [InlineArray(MaxStates)]
    public struct Pointers
    {
        private nint _first;
    }
}
