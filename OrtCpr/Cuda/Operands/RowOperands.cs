namespace OrtCpr.Cuda;

/// <summary>What kernels that go element by element work on.</summary>
internal struct ElementOperands
{
    /// <summary>One or two tensors of equal length, and the result.</summary>
    public Operand First, Second, Result;
}

/// <summary>What kernels that go row by row work on: x [Rows, Columns].</summary>
internal struct RowOperands
{
    /// <summary>The rows: x or logits, or the result y of the forward pass.</summary>
    public Operand X;

    /// <summary>∂loss/∂y: of X's shape, or one number a row.</summary>
    public Operand Dy;

    /// <summary>The result, of X's shape.</summary>
    public Operand Result;

    /// <summary>A column each.</summary>
    public Operand Gain, GainGradient, BiasGradient;

    /// <summary>A row each; labels are int64.</summary>
    public Operand Mean, Inverse, Labels, Losses, LogSums;

    /// <summary>Room for 1/σ a row; for sums of gain and bias of each part of the rows, [Parts, 2, Columns].</summary>
    public long Inverses, Partials;

    /// <summary>Sizes, and rows of a part.</summary>
    public long Rows, Columns, RowsOfPart;

    /// <summary>Parts that the rows are cut into for sums over them; threads of a row, a power of two.</summary>
    public int Parts, Width;

    /// <summary>ε of a normalisation, or the share of the target that is spread over the classes.</summary>
    public float Epsilon, Smoothing;
}
