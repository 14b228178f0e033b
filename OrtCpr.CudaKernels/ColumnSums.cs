using ILGPU;
using OrtCpr.Cuda;

namespace OrtCpr.CudaKernels;

/// <summary>Sums over partial results [parts, columns], by blocks of 32 columns whose warps take turns at the parts.</summary>
internal static unsafe class ColumnSums
{
    /// <summary>Columns of a block.</summary>
    public const int Columns = 32;

    /// <summary>The column of this thread within the block.</summary>
    public static int Lane => Group.IdxX & (Columns - 1);

    /// <summary>What this thread's warp has of a column.</summary>
    /// <param name="column">Its element of the first part.</param>
    /// <param name="parts">How many parts there are.</param>
    /// <param name="stride">Elements from a part to the next.</param>
    public static double OfParts(float* column, long parts, long stride)
    {
        double sum = 0;
        for (long part = Group.IdxX / Columns; part < parts; part += Group.DimX / Columns)
            sum += column[part * stride];
        return sum;
    }

    /// <summary>The sum over the block's warps, in their order; whole in the first warp.</summary>
    public static double OverWarps(double own)
    {
        ArrayView<double> sums = SharedMemory.Allocate<double>(KernelLauncher.MostThreads);
        Group.Barrier();
        sums[Group.IdxX] = own;
        Group.Barrier();
        double sum = 0;
        for (int thread = Lane; thread < Group.DimX; thread += Columns)
            sum += sums[thread];
        return sum;
    }
}
