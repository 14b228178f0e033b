using System.Runtime.InteropServices;

namespace OrtCpr.Kernels;

/// <summary>The sum of a regularizer over a whole tensor: chunks in any order and on any thread, combined in chunk order.</summary>
/// <remarks>Reads 4 bytes an element. At most <see cref="PartialSums.StackChunks"/> partial sums lie on the caller's stack.</remarks>
internal static unsafe class Measurement
{
    /// <summary>Measures <paramref name="length"/> values.</summary>
    public static RegularizerSum Of(in RegularizerFormula regularizer, float* values, nint length, ParallelLoop loop)
    {
        nint chunks = Chunks.Count(length);
        RegularizerSum* stack = stackalloc RegularizerSum[PartialSums.StackChunks];
        using PartialSums partials = new(chunks, stack);
        Work work = new() { Values = values, Length = length, Regularizer = regularizer, Partials = partials.Items };
        loop.Run(&MeasureChunk, &work, chunks);
        return partials.Combine();
    }

    /// <summary>Measures tensors that lie in one buffer; each result has the bits of <see cref="Of"/>.</summary>
    /// <param name="regularizer">R.</param>
    /// <param name="values">The buffer.</param>
    /// <param name="starts">First element of each tensor.</param>
    /// <param name="lengths">Elements of each.</param>
    /// <param name="count">How many tensors.</param>
    /// <param name="results">The sums' totals, rounded to float.</param>
    /// <param name="loop">The threads.</param>
    public static void OfEach(
        in RegularizerFormula regularizer, float* values, long* starts, long* lengths, nint count, float* results, ParallelLoop loop)
    {
        nint chunks = 0;
        nint* firsts = (nint*)NativeMemory.Alloc((nuint)(count + 1), (nuint)sizeof(nint));
        try
        {
            for (nint i = 0; i < count; i++)
            {
                firsts[i] = chunks;
                chunks += Chunks.Count((nint)lengths[i]);
            }
            firsts[count] = chunks;
            RegularizerSum* stack = stackalloc RegularizerSum[PartialSums.StackChunks];
            using PartialSums partials = new(chunks, stack);
            EachWork work = new()
            {
                Values = values,
                Starts = starts,
                Lengths = lengths,
                Firsts = firsts,
                Count = count,
                Regularizer = regularizer,
                Partials = partials.Items,
            };
            loop.Run(&MeasureChunkOfEach, &work, chunks);
            for (nint i = 0; i < count; i++)
            {
                RegularizerSum sum = default;
                for (nint c = firsts[i]; c < firsts[i + 1]; c++)
                    sum = RegularizerSum.Combine(sum, partials.Items[c]);
                results[i] = (float)sum.Total;
            }
        }
        finally
        {
            NativeMemory.Free(firsts);
        }
    }

    /// <summary>The sum over one chunk, block by block.</summary>
    public static RegularizerSum OfChunk(in RegularizerFormula regularizer, float* values, nint length)
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

    private static void MeasureChunkOfEach(void* state, nint chunk)
    {
        EachWork* work = (EachWork*)state;
        nint low = 0, high = work->Count - 1;
        while (low < high)
        {
            nint middle = (low + high + 1) / 2;
            if (work->Firsts[middle] <= chunk)
                low = middle;
            else
                high = middle - 1;
        }
        nint own = chunk - work->Firsts[low];
        work->Partials[chunk] = OfChunk(
            work->Regularizer,
            work->Values + work->Starts[low] + (own * Chunks.Length),
            Chunks.LengthOf(own, (nint)work->Lengths[low]));
    }

    private struct EachWork
    {
        public float* Values;
        public long* Starts;
        public long* Lengths;
        public nint* Firsts;
        public nint Count;
        public RegularizerFormula Regularizer;
        public RegularizerSum* Partials;
    }

    private struct Work
    {
        public float* Values;
        public nint Length;
        public RegularizerFormula Regularizer;
        public RegularizerSum* Partials;
    }
}

/// <summary>
/// One partial sum a chunk, on the caller's stack while it has room and in native memory beyond: a step allocates nothing
/// managed, and two runs of one kernel at the same time share nothing.</summary>
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
