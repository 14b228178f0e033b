using System.Runtime.InteropServices;

namespace OrtCpr.Kernels;

/// <summary>The sum of a regularizer over a whole tensor: chunks in any order and on any thread, combined in chunk order.</summary>
/// <remarks>Reads 4 bytes an element. At most <see cref="PartialSums.StackChunks"/> partial sums lie on the caller's stack.</remarks>
internal static unsafe class Measurement
{
    /// <summary>Measures <paramref name="length"/> values.</summary>
    public static RegularizerSum Of(in Regularizer regularizer, float* values, nint length, ParallelLoop loop)
    {
        nint chunks = Chunks.Count(length);
        RegularizerSum* stack = stackalloc RegularizerSum[PartialSums.StackChunks];
        using PartialSums partials = new(chunks, stack);
        Work work = new() { Values = values, Length = length, Regularizer = regularizer, Partials = partials.Items };
        loop.Run(&MeasureChunk, &work, chunks);
        return partials.Combine();
    }

    /// <summary>The sum over one chunk, block by block.</summary>
    public static RegularizerSum OfChunk(in Regularizer regularizer, float* values, nint length)
    {
        RegularizerSum sum = default;
        for (nint i = 0; i < length; i += Chunks.BlockLength)
            sum = RegularizerSum.Combine(sum, regularizer.Measure(values + i, nint.Min(Chunks.BlockLength, length - i)));
        return sum;
    }

    private static void MeasureChunk(void* state, nint chunk)
    {
        Work* work = (Work*)state;
        work->Partials[chunk] = OfChunk(
            work->Regularizer, work->Values + (chunk * Chunks.Length), Chunks.LengthOf(chunk, work->Length));
    }

    private struct Work
    {
        public float* Values;
        public nint Length;
        public Regularizer Regularizer;
        public RegularizerSum* Partials;
    }
}

/// <summary>
/// One partial sum a chunk, on the caller's stack while it has room and in native memory beyond: a step allocates nothing
/// managed, and two runs of one kernel at the same time share nothing.
/// </summary>
internal readonly unsafe ref struct PartialSums
{
    /// <summary>24 bytes each: 6 KiB of stack, enough for four million elements.</summary>
    public const int StackChunks = 256;

    private readonly nint _count;
    private readonly bool _isNative;

    /// <param name="count">Chunks of the tensor.</param>
    /// <param name="stack">Room for <see cref="StackChunks"/>, in the frame of the caller.</param>
    public PartialSums(nint count, RegularizerSum* stack)
    {
        _count = count;
        _isNative = count > StackChunks;
        Items = _isNative ? (RegularizerSum*)NativeMemory.Alloc((nuint)count, (nuint)sizeof(RegularizerSum)) : stack;
    }

    public RegularizerSum* Items { get; }

    /// <summary>Adds in chunk order, whichever thread made which.</summary>
    public RegularizerSum Combine()
    {
        RegularizerSum sum = default;
        for (nint i = 0; i < _count; i++)
            sum = RegularizerSum.Combine(sum, Items[i]);
        return sum;
    }

    public void Dispose()
    {
        if (_isNative)
            NativeMemory.Free(Items);
    }
}
