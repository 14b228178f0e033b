using ILGPU;
using OrtCpr.Cuda;
using OrtCpr.Kernels;

namespace OrtCpr.CudaKernels;

/// <summary>One step over flat buffers: settings, the rule, the constraint's numbers, the constraint's step.</summary>
/// <remarks>A block steps one chunk of one parameter, thread t elements t, t + threads …, so that a warp reads whole lines.
/// All inputs of an element are read before any of its outputs is written, so an output may be its own input.</remarks>
internal static unsafe partial class UpdateKernels
{
    /// <summary>Reads the settings of each parameter and says which block steps what. One block.</summary>
    public static void PrepareUpdate(UpdateOperands o)
    {
        UpdatePart* parts = (UpdatePart*)o.Parts;
        for (int i = Group.IdxX; i < o.PartCount; i += Group.DimX)
            parts[i] = Read(o, i);
        if (o.Method >= 0)
        {
            CopyRows(o.Lambda, o.NewLambda);
            CopyRows(o.Kappa, o.NewKappa);
            CopyRows(o.Detector, o.NewDetector);
        }
        ChunkTable.Write(parts, o.PartCount, (int*)o.PartOfChunk, o.ChunkCount);
    }

    /// <summary>R of each matrix from the sums of its chunks, in a fixed order; then λ and κ. A block a parameter.</summary>
    public static void ConstrainUpdate(UpdateOperands o)
    {
        UpdatePart* part = (UpdatePart*)o.Parts + Grid.IdxX;
        if (part->Measures == 0 && part->MeasuresInitial == 0)
            return;
        long chunks = (part->Length + CudaChunks.Length - 1) / CudaChunks.Length;
        PartialMeasure* partials = (PartialMeasure*)o.Partials + (2 * part->FirstChunk);
        RegularizerSum initial = default, sum = default;
        for (long i = Group.IdxX; i < chunks; i += Group.DimX)
        {
            if (part->MeasuresInitial != 0)
                initial = RegularizerSum.Combine(initial, Stored(partials[2 * i]));
            sum = RegularizerSum.Combine(sum, Stored(partials[(2 * i) + 1]));
        }
        initial = BlockReduction.Combine(initial);
        sum = BlockReduction.Combine(sum);
        if (Group.IdxX == 0)
            Constrain(o, part, Grid.IdxX, initial, sum);
    }

    /// <summary>θ ← θ − s·λ·∇R(θ), 8 bytes an element of matrices whose λ is above 0. A block a chunk.</summary>
    public static void DescendUpdate(UpdateOperands o)
    {
        int index = ((int*)o.PartOfChunk)[Grid.IdxX];
        if (index < 0)
            return;
        UpdatePart* part = (UpdatePart*)o.Parts + index;
        float rate = part->DescentRate, mean = part->Mean;
        if (part->Applies == 0 || rate == 0)
            return;
        long first = (Grid.IdxX - part->FirstChunk) * CudaChunks.Length, last = Min(first + CudaChunks.Length, part->Length);
        float* values = (float*)o.NewParameter.Address + part->Start;
        for (long i = first + Group.IdxX; i < last; i += Group.DimX)
        {
            float value = values[i];
            values[i] = value - (rate * Measures.Direction(o.Regularizer, value, mean));
        }
    }

    private static long Min(long a, long b) => a < b ? a : b;

    private static RegularizerSum Stored(PartialMeasure partial) => new(partial.Count, partial.Total, partial.Mean);

    private static void CopyRows(Operand from, Operand to)
    {
        if (from.Address == to.Address)
            return;
        for (long i = Group.IdxX; i < from.Count; i += Group.DimX)
            ((float*)to.Address)[i] = ((float*)from.Address)[i];
    }
}
