using ILGPU;
using OrtCpr.Cuda;
using OrtCpr.Kernels;

namespace OrtCpr.CudaKernels;

/// <summary>Sums over the threads of a block, in a fixed order: halves are added until one is left.</summary>
internal static class BlockReduction
{
    /// <summary>What the measures of all threads come to; whole in the first thread only.</summary>
    public static RegularizerSum Combine(RegularizerSum own)
    {
        ArrayView<double> counts = SharedMemory.Allocate<double>(KernelLauncher.MostThreads),
            totals = SharedMemory.Allocate<double>(KernelLauncher.MostThreads),
            means = SharedMemory.Allocate<double>(KernelLauncher.MostThreads);
        int thread = Group.IdxX;
        // Those before may still be reading what this call overwrites.
        Group.Barrier();
        (counts[thread], totals[thread], means[thread]) = (own.Count, own.Total, own.Mean);
        Group.Barrier();
        for (int half = Group.DimX / 2; half > 0; half /= 2)
        {
            if (thread < half)
            {
                RegularizerSum sum = RegularizerSum.Combine(new(counts[thread], totals[thread], means[thread]),
                    new(counts[thread + half], totals[thread + half], means[thread + half]));
                (counts[thread], totals[thread], means[thread]) = (sum.Count, sum.Total, sum.Mean);
            }
            Group.Barrier();
        }
        return new(counts[0], totals[0], means[0]);
    }

    /// <summary>The sum over groups of neighbouring threads; every thread gets that of its group.</summary>
    /// <param name="own">This thread's.</param>
    /// <param name="width">Threads of a group, a power of two.</param>
    public static double Sum(double own, int width)
    {
        ArrayView<double> sums = SharedMemory.Allocate<double>(KernelLauncher.MostThreads);
        int thread = Group.IdxX, place = thread & (width - 1);
        Group.Barrier();
        sums[thread] = own;
        Group.Barrier();
        for (int half = width / 2; half > 0; half /= 2)
        {
            if (place < half)
                sums[thread] += sums[thread + half];
            Group.Barrier();
        }
        return sums[thread - place];
    }

    /// <summary>The largest over groups of neighbouring threads, NaN where one has it; every thread gets that of its group.</summary>
    /// <param name="own">This thread's.</param>
    /// <param name="width">Threads of a group, a power of two.</param>
    public static float Max(float own, int width)
    {
        ArrayView<float> values = SharedMemory.Allocate<float>(KernelLauncher.MostThreads);
        int thread = Group.IdxX, place = thread & (width - 1);
        Group.Barrier();
        values[thread] = own;
        Group.Barrier();
        for (int half = width / 2; half > 0; half /= 2)
        {
            if (place < half)
            {
                float other = values[thread + half];
                if (other > values[thread] || float.IsNaN(other))
                    values[thread] = other;
            }
            Group.Barrier();
        }
        return values[thread - place];
    }
}
