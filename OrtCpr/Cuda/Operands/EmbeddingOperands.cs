namespace OrtCpr.Cuda;

/// <summary>What the kernels of an embedding's gradient work on.</summary>
internal struct EmbeddingOperands
{
    /// <summary>int64 a place; [places, width]; [rows, width].</summary>
    public Operand Indices, Dy, Gradient;

    /// <summary>Room for int32: the first and the last place of each row, and the next place of the same row for each place.</summary>
    public long First, Last, Next;

    /// <summary>Sizes of the table.</summary>
    public long Rows, Width;
}
