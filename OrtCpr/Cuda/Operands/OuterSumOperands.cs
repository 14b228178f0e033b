namespace OrtCpr.Cuda;

/// <summary>What kernels that sum over the first and the last axis work on.</summary>
internal struct OuterSumOperands
{
    /// <summary>[Outer, Columns, Inner]; the result [Columns].</summary>
    public Operand X, Result;

    /// <summary>Room for sums of parts, [Parts, Columns].</summary>
    public long Partials;

    /// <summary>Sizes, and how much of the outer axis is a part.</summary>
    public long Outer, Columns, Inner, OuterOfPart, Parts;

    /// <summary>Threads of a run, a power of two.</summary>
    public int Width;
}
