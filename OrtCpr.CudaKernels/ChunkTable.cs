using ILGPU;
using OrtCpr.Cuda;

namespace OrtCpr.CudaKernels;

/// <summary>Which block works on what: tensors of any lengths cut into chunks. For a kernel of one block.</summary>
internal static unsafe class ChunkTable
{
    /// <summary>Sets the first chunk of each part by its length, and writes the part of each chunk; −1 for those that nobody
    /// has.</summary>
    public static void Write(UpdatePart* parts, int count, int* partOfChunk, int room)
    {
        long chunks = Place(parts, count);
        for (int chunk = Group.IdxX; chunk < room; chunk += Group.DimX)
            partOfChunk[chunk] = chunk < chunks ? PartOf(parts, count, chunk) : -1;
    }

    /// <summary>First chunk of each parameter: sums of the chunk counts before it. Each thread sums up neighbours, and all
    /// take the sums of those before them.</summary>
    /// <returns>Chunks of all parameters.</returns>
    private static long Place(UpdatePart* parts, int count)
    {
        ArrayView<long> sums = SharedMemory.Allocate<long>(2 * KernelLauncher.MostThreads);
        int thread = Group.IdxX, threads = Group.DimX, each = (count + threads - 1) / threads;
        int first = thread * each, end = first + each < count ? first + each : count;
        Group.Barrier();
        long own = 0;
        for (int i = first; i < end; i++)
            own += (parts[i].Length + CudaChunks.Length - 1) / CudaChunks.Length;
        int current = 0;
        sums[thread] = own;
        Group.Barrier();
        for (int step = 1; step < threads; step *= 2)
        {
            int next = KernelLauncher.MostThreads - current;
            sums[next + thread] = sums[current + thread] + (thread >= step ? sums[current + thread - step] : 0);
            current = next;
            Group.Barrier();
        }
        long before = sums[current + thread] - own, total = sums[current + threads - 1];
        for (int i = first; i < end; i++)
        {
            parts[i].FirstChunk = before;
            before += (parts[i].Length + CudaChunks.Length - 1) / CudaChunks.Length;
        }
        Group.Barrier();
        return total;
    }

    /// <summary>The parameter of a chunk, by halving; one without elements has no chunk.</summary>
    private static int PartOf(UpdatePart* parts, int count, long chunk)
    {
        int low = 0, high = count - 1;
        while (low < high)
        {
            int middle = (low + high + 1) / 2;
            if (parts[middle].FirstChunk <= chunk)
                low = middle;
            else
                high = middle - 1;
        }
        return low;
    }
}
