using ILGPU;
using OrtCpr.Cuda;
using OrtCpr.Kernels;

namespace OrtCpr.CudaKernels;

/// <summary>Σx² of tensors that lie in one buffer.</summary>
internal static unsafe class NormKernels
{
    /// <summary>Says which block adds what. One block.</summary>
    public static void PrepareNorms(NormOperands o)
    {
        UpdatePart* parts = (UpdatePart*)o.Parts;
        for (int i = Group.IdxX; i < o.Tensors; i += Group.DimX)
        {
            UpdatePart part = default;
            part.Start = ((long*)o.Starts.Address)[i];
            part.Length = ((long*)o.Lengths.Address)[i];
            if (part.Start < 0 || part.Length < 0 || part.Start > o.Values.Count - part.Length)
                part.Length = 0;
            parts[i] = part;
        }
        ChunkTable.Write(parts, o.Tensors, (int*)o.PartOfChunk, o.ChunkCount);
    }

    /// <summary>The sum of one chunk of one tensor, 4 bytes an element. A block a chunk.</summary>
    public static void SumSquares(NormOperands o)
    {
        int index = ((int*)o.PartOfChunk)[Grid.IdxX];
        if (index < 0)
            return;
        UpdatePart part = ((UpdatePart*)o.Parts)[index];
        long first = (Grid.IdxX - part.FirstChunk) * CudaChunks.Length, end = first + CudaChunks.Length;
        if (end > part.Length)
            end = part.Length;
        float* values = (float*)o.Values.Address + part.Start;
        double sum = 0;
        for (long i = first + Group.IdxX; i < end; i += Group.DimX)
            sum += (double)values[i] * values[i];
        RegularizerSum all = BlockReduction.Combine(new(1, sum, 0));
        if (Group.IdxX == 0)
            ((double*)o.Partials)[Grid.IdxX] = all.Total;
    }

    /// <summary>The sums of a tensor's chunks in a fixed order. A block a tensor.</summary>
    public static void AddSquares(NormOperands o)
    {
        UpdatePart part = ((UpdatePart*)o.Parts)[Grid.IdxX];
        long chunks = (part.Length + CudaChunks.Length - 1) / CudaChunks.Length;
        double sum = 0;
        for (long i = Group.IdxX; i < chunks; i += Group.DimX)
            sum += ((double*)o.Partials)[part.FirstChunk + i];
        RegularizerSum all = BlockReduction.Combine(new(1, sum, 0));
        if (Group.IdxX == 0)
            ((float*)o.Norms.Address)[Grid.IdxX] = (float)all.Total;
    }
}
