using System.Numerics;

namespace OrtCpr.Kernels;

/// <summary>Cross-entropy of rows of logits, and its gradient, a row at a time.</summary>
/// <remarks>A lane is a class. Forward reads each logit twice, from the cache the second time, and writes two numbers
/// a row; backward reads it once and writes once: 8 bytes an element. Sums of a row are formed in float lanes by blocks
/// of <see cref="Chunks.BlockLength"/> and go on in double. The gradient may be the memory of the logits.
/// A row with dy 0 gets zeros, whatever it holds, and is not read.</remarks>
internal static unsafe class CrossEntropyKernel
{
    /// <summary>Rows that one call of the loop body handles.</summary>
    private const int RowsPerChunk = 8;

    /// <summary>losses[n] = log Σ exp z − (1 − ε)·z[label] − ε·mean(z), logSums[n] = log Σ exp z.</summary>
    public static void Forward(float* logits, long* labels, float smoothing, float* losses, float* logSums, nint rows, nint classes,
        ParallelLoop loop)
    {
        Work work = new()
        { Smoothing = smoothing, Logits = logits, Labels = labels, Losses = losses, LogSums = logSums, Rows = rows, Classes = classes };
        loop.Run(&ForwardRows, &work, (rows + RowsPerChunk - 1) / RowsPerChunk);
    }

    /// <summary>gradient = (exp(z − logSum) − (1 − ε)·[c = label] − ε/C)·dy[n].</summary>
    public static void Backward(float* logits, long* labels, float smoothing, float* logSums, float* dy, float* gradient, nint rows,
        nint classes, ParallelLoop loop)
    {
        Work work = new()
        {
            Smoothing = smoothing,
            Logits = logits,
            Labels = labels,
            LogSums = logSums,
            Dy = dy,
            Gradient = gradient,
            Rows = rows,
            Classes = classes
        };
        loop.Run(&BackwardRows, &work, (rows + RowsPerChunk - 1) / RowsPerChunk);
    }

    private static void ForwardRows(void* state, nint chunk)
    {
        Work* work = (Work*)state;
        for (nint n = chunk * RowsPerChunk; n < nint.Min(work->Rows, (chunk + 1) * RowsPerChunk); n++)
        {
            float* row = work->Logits + (n * work->Classes);
            float highest = VectorMath.Max(row, work->Classes);
            double sum = 0;
            for (nint i = 0; i < work->Classes; i += Chunks.BlockLength)
                sum += SumOfPowers(row + i, nint.Min(Chunks.BlockLength, work->Classes - i), highest);
            double logSum = highest + Math.Log(sum);
            work->LogSums[n] = (float)logSum;
            double picked = row[work->Labels[n]];
            // Not where nothing is spread: a masked logit, −∞, would make the mean −∞ and its product NaN.
            double spread = work->Smoothing == 0 ? 0 : work->Smoothing * (picked - (Sum(row, work->Classes) / work->Classes));
            work->Losses[n] = (float)(logSum - picked + spread);
        }
    }

    /// <summary>Σ exp(z − highest) of a block.</summary>
    private static float SumOfPowers(float* z, nint length, float highest)
    {
        nint lanes = Vector<float>.Count, i = 0;
        Vector<float> shift = Vector.Create(highest), even = default, odd = default;
        for (; i <= length - (2 * lanes); i += 2 * lanes)
        {
            even += VectorMath.Exp(Vector.Load(z + i) - shift);
            odd += VectorMath.Exp(Vector.Load(z + i + lanes) - shift);
        }
        // The rest by the same function: a class would else get other bits in another column. Lanes after the last
        // class are −∞ and add nothing.
        for (; i < length; i += lanes)
        {
            even += VectorMath.Exp(VectorMath.LoadSome(z + i, nint.Min(lanes, length - i), float.NegativeInfinity) - shift);
        }
        return Vector.Sum(even + odd);
    }

    private static double Sum(float* z, nint length)
    {
        double total = 0;
        for (nint first = 0; first < length; first += Chunks.BlockLength)
        {
            nint end = nint.Min(length, first + Chunks.BlockLength), i = first;
            Vector<float> sum = default;
            for (; i <= end - Vector<float>.Count; i += Vector<float>.Count) sum += Vector.Load(z + i);
            total += Vector.Sum(sum);
            for (; i < end; i++) total += z[i];
        }
        return total;
    }

    private static void BackwardRows(void* state, nint chunk)
    {
        Work* work = (Work*)state;
        nint lanes = Vector<float>.Count;
        for (nint n = chunk * RowsPerChunk; n < nint.Min(work->Rows, (chunk + 1) * RowsPerChunk); n++)
        {
            float* row = work->Logits + (n * work->Classes), result = work->Gradient + (n * work->Classes);
            if (work->Dy[n] == 0)
            {
                // A row that does not count may hold NaN or infinities.
                new Span<float>(result, (int)work->Classes).Clear();
                continue;
            }
            float scale = work->Dy[n], shift = work->LogSums[n], share = work->Smoothing * scale, each = share / work->Classes;
            Vector<float> scales = Vector.Create(scale), shifts = Vector.Create(shift), eaches = Vector.Create(each);
            nint i = 0;
            for (; i <= work->Classes - lanes; i += lanes)
            {
                ((VectorMath.Exp(Vector.Load(row + i) - shifts) * scales) - eaches).Store(result + i);
            }
            if (i < work->Classes)
            {
                nint rest = work->Classes - i;
                VectorMath.StoreSome((VectorMath.Exp(VectorMath.LoadSome(row + i, rest) - shifts) * scales) - eaches, result + i, rest);
            }
            result[work->Labels[n]] -= scale - share;
        }
    }

    private struct Work
    {
        public float Smoothing;
        public float* Logits;
        public long* Labels;
        public float* Losses;
        public float* LogSums;
        public float* Dy;
        public float* Gradient;
        public nint Rows;
        public nint Classes;
    }
}
