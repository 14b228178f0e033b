namespace OrtCpr.Cuda;

/// <summary>What the kernels of an embedding's gradient work on.</summary>
internal struct EmbeddingOperands
{
    /// <summary>Places of a segment.</summary>
    public const int Segment = 64;

    /// <summary>int64 a place; [places, width]; [rows, width].</summary>
    public Operand Indices, Dy, Gradient;

    /// <summary>Room for int32: the first and the last place of each row; for the sums of segments, [places, width].</summary>
    public long First, Last, Partials;

    /// <summary>Sizes of the table.</summary>
    public long Rows, Width;
}
