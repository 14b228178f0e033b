using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace OrtCpr.Benchmarks.Peers;

/// <summary>What the memory of the machine gives: the time that moving so many bytes takes at least, with a number of threads.</summary>
/// <remarks>Each thread works on one contiguous part. Owner of its two buffers.</remarks>
internal sealed unsafe class CopyFloor : IDisposable
{
    private const int Alignment = 4096;
    private const int Line = 128;

    private readonly long _parameters;
    private readonly int _threads;
    private readonly long _capacity;
    private readonly byte* _source;
    private readonly byte* _target;

    /// <param name="parameters">Number of parameters.</param>
    /// <param name="bytesPerParameter">The largest traffic that will be asked for, at least 32.</param>
    /// <param name="threads">Threads that copy.</param>
    public CopyFloor(long parameters, int bytesPerParameter, int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bytesPerParameter, 32);
        _parameters = parameters;
        _threads = threads;
        _capacity = parameters * bytesPerParameter / 2 + Alignment;
        _source = (byte*)NativeMemory.AlignedAlloc((nuint)_capacity, Alignment);
        _target = (byte*)NativeMemory.AlignedAlloc((nuint)_capacity, Alignment);
        // Touched now, so that no page is first met inside a measurement.
        NativeMemory.Fill(_source, (nuint)_capacity, 1);
        NativeMemory.Fill(_target, (nuint)_capacity, 2);
    }

    /// <summary>Plain copy with stores that go past the caches: a byte copied is one read and one written, and nothing else.</summary>
    public void Copy(int bytesPerParameter) => Divide(_parameters * bytesPerParameter / 2, CopyPart);

    /// <summary>The same by the C library. Below its threshold for large blocks, and on some machines always, it reads
    /// the target's lines before it writes them.</summary>
    public void LibraryCopy(int bytesPerParameter) =>
        Divide(_parameters * bytesPerParameter / 2, (start, count) => NativeMemory.Copy(_source + start, _target + start, (nuint)count));

    /// <summary>An optimizer step without its arithmetic: of four streams read, three are written back in place, 28
    /// bytes a parameter.</summary>
    public void InPlace() => Divide(_parameters * sizeof(float), UpdatePart);

    public void Dispose()
    {
        NativeMemory.AlignedFree(_source);
        NativeMemory.AlignedFree(_target);
    }

    private void CopyPart(long start, long count)
    {
        if (!Vector256.IsHardwareAccelerated)
        {
            NativeMemory.Copy(_source + start, _target + start, (nuint)count);
            return;
        }
        byte* from = _source + start, to = _target + start;
        for (byte* end = from + count; from < end; from += Line, to += Line)
        {
            Vector256<byte> a = Vector256.LoadAligned(from), b = Vector256.LoadAligned(from + 32);
            Vector256<byte> c = Vector256.LoadAligned(from + 64), d = Vector256.LoadAligned(from + 96);
            a.StoreAlignedNonTemporal(to);
            b.StoreAlignedNonTemporal(to + 32);
            c.StoreAlignedNonTemporal(to + 64);
            d.StoreAlignedNonTemporal(to + 96);
        }
    }

    private void UpdatePart(long start, long count)
    {
        long stream = (_parameters * sizeof(float) + Line - 1) / Line * Line;
        byte* parameter = _source, first = _source + stream, second = _target, gradient = _target + stream;
        for (long i = start; i < start + count; i += 32)
        {
            Vector256<byte> change = Vector256.LoadAligned(gradient + i);
            (Vector256.LoadAligned(parameter + i) ^ change).StoreAligned(parameter + i);
            (Vector256.LoadAligned(first + i) ^ change).StoreAligned(first + i);
            (Vector256.LoadAligned(second + i) ^ change).StoreAligned(second + i);
        }
    }

    /// <summary>Whole lines, so that no thread writes into another's and every start is aligned; the last part may run
    /// into the buffers' spare page.</summary>
    private void Divide(long length, Action<long, long> work)
    {
        long part = (length / _threads + Alignment - 1) / Alignment * Alignment;
        Thread[] others = [.. Enumerable.Range(1, _threads - 1).Select(i => new Thread(() => Part(i)))];
        foreach (Thread other in others)
            other.Start();
        Part(0);
        foreach (Thread other in others)
            other.Join();

        void Part(int index)
        {
            long start = index * part;
            long count = Math.Min(part, length - start);
            if (count > 0)
                work(start, (count + Line - 1) / Line * Line);
        }
    }
}
