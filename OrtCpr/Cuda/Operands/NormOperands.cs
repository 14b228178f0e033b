namespace OrtCpr.Cuda;

/// <summary>What the kernels of squared norms work on.</summary>
internal struct NormOperands
{
    /// <summary>The buffer; first element and length of each tensor in it, int64; Σx² of each.</summary>
    public Operand Values, Starts, Lengths, Norms;

    /// <summary>Room for an <see cref="UpdatePart"/> a tensor; for a double and the tensor (int32) a chunk.</summary>
    public long Parts, Partials, PartOfChunk;

    /// <summary>How many tensors, and how many chunks there is room for.</summary>
    public int Tensors, ChunkCount;
}
