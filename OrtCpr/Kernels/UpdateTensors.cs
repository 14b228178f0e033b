namespace OrtCpr.Kernels;

/// <summary>
/// Where one parameter's values are read and written, <see cref="Length"/> elements each. Every output either is its own
/// input (the in-place case) or overlaps no other tensor; an output that starts inside an input would be read after it was written.
/// </summary>
internal unsafe struct UpdateTensors
{
    public nint Length;
    public float* Parameter;
    public float* Gradient;
    public float* ExpAvg;
    public float* ExpAvgSq;
    /// <summary>Null without amsgrad.</summary>
    public float* MaxExpAvgSq;
    public float* NewParameter;
    public float* NewExpAvg;
    public float* NewExpAvgSq;
    /// <summary>Null exactly where <see cref="MaxExpAvgSq"/> is.</summary>
    public float* NewMaxExpAvgSq;
    /// <summary>SGD with momentum only, else null; Adam's moments are null under SGD.</summary>
    public float* MomentumBuffer;
    /// <summary>Null exactly where <see cref="MomentumBuffer"/> is.</summary>
    public float* NewMomentumBuffer;

    /// <summary>The step that is not taken: state goes to outputs unchanged, and nothing moves where they are one memory.</summary>
    public readonly void CopyUnchanged()
    {
        Copy(Parameter, NewParameter);
        Copy(ExpAvg, NewExpAvg);
        Copy(ExpAvgSq, NewExpAvgSq);
        Copy(MaxExpAvgSq, NewMaxExpAvgSq);
        Copy(MomentumBuffer, NewMomentumBuffer);
    }

    private readonly void Copy(float* from, float* to)
    {
        long bytes = Length * sizeof(float);
        if (from != to)
            Buffer.MemoryCopy(from, to, bytes, bytes);
    }
}
