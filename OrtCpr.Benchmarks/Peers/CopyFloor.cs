using System.Runtime.InteropServices;

namespace OrtCpr.Benchmarks.Peers;

/// <summary>Plain copies: the time that moving so many bytes takes at least, half of them read and half written, with a number of threads.</summary>
/// <remarks>Each thread copies one contiguous part, so that the C library takes its path for large blocks, which writes past the caches: a byte copied is two
/// bytes moved. Owner of its two buffers.</remarks>
internal sealed unsafe class CopyFloor : IDisposable
{
    private const int Alignment = 4096;

    private readonly int _threads;
    private readonly long _capacity;
    private readonly void* _source;
    private readonly void* _target;

    /// <param name="parameters">Number of parameters.</param>
    /// <param name="bytesPerParameter">The largest traffic that will be asked for.</param>
    /// <param name="threads">Threads that copy.</param>
    public CopyFloor(long parameters, int bytesPerParameter, int threads)
    {
        _threads = threads;
        _capacity = parameters * bytesPerParameter / 2;
        _source = NativeMemory.AlignedAlloc((nuint)_capacity, Alignment);
        _target = NativeMemory.AlignedAlloc((nuint)_capacity, Alignment);
        // Touched now, so that no page is first met inside a measurement.
        NativeMemory.Fill(_source, (nuint)_capacity, 1);
        NativeMemory.Fill(_target, (nuint)_capacity, 2);
    }

    /// <summary>One copy with a traffic of so many bytes (at most the capacity's).</summary>
    public void Copy(long traffic)
    {
        long length = Math.Min(traffic / 2, _capacity);
        long part = (length / _threads + Alignment - 1) / Alignment * Alignment;
        Thread[] others = [.. Enumerable.Range(1, _threads - 1).Select(i => new Thread(() => CopyPart(i * part, length, part)))];
        foreach (Thread other in others)
            other.Start();
        CopyPart(0, length, part);
        foreach (Thread other in others)
            other.Join();
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_source);
        NativeMemory.AlignedFree(_target);
    }

    private void CopyPart(long start, long length, long part)
    {
        long count = Math.Min(part, length - start);
        if (count > 0)
            NativeMemory.Copy((byte*)_source + start, (byte*)_target + start, (nuint)count);
    }
}
