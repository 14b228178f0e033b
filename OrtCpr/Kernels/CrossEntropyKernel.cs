using System.Numerics.Tensors;

namespace OrtCpr.Kernels;

/// <summary>Cross-entropy of rows of logits, and its gradient, a row at a time.</summary>
/// <remarks>
/// Forward reads each logit twice, from the cache the second time, and writes two numbers a row; backward reads it once and writes once: 8 bytes an
/// element. exp is TensorPrimitives', vectorised; sums of a row are formed in float lanes by blocks and go on in double. The gradient may be the memory
/// of the logits.
/// </remarks>
internal static unsafe class CrossEntropyKernel
{
    /// <summary>Rows that one call of the loop body handles.</summary>
    private const int RowsPerChunk = 8;

    /// <summary>losses[n] = log Σ exp z − z[label], logSums[n] = log Σ exp z.</summary>
    public static void Forward(float* logits, long* labels, float* losses, float* logSums, nint rows, nint classes, ParallelLoop loop)
    {
        Work work = new() { Logits = logits, Labels = labels, Losses = losses, LogSums = logSums, Rows = rows, Classes = classes };
        loop.Run(&ForwardRows, &work, (rows + RowsPerChunk - 1) / RowsPerChunk);
    }

    /// <summary>gradient = (exp(z − logSum) − [c = label])·dy[n].</summary>
    public static void Backward(float* logits, long* labels, float* logSums, float* dy, float* gradient, nint rows, nint classes, ParallelLoop loop)
    {
        Work work = new() { Logits = logits, Labels = labels, LogSums = logSums, Dy = dy, Gradient = gradient, Rows = rows, Classes = classes };
        loop.Run(&BackwardRows, &work, (rows + RowsPerChunk - 1) / RowsPerChunk);
    }

    private static void ForwardRows(void* state, nint chunk)
    {
        Work* work = (Work*)state;
        Span<float> block = stackalloc float[Chunks.BlockLength];
        for (nint n = chunk * RowsPerChunk; n < nint.Min(work->Rows, (chunk + 1) * RowsPerChunk); n++)
        {
            ReadOnlySpan<float> row = new(work->Logits + (n * work->Classes), (int)work->Classes);
            float highest = TensorPrimitives.Max(row);
            double sum = 0;
            for (int i = 0; i < row.Length; i += Chunks.BlockLength)
            {
                ReadOnlySpan<float> part = row[i..Math.Min(row.Length, i + Chunks.BlockLength)];
                Span<float> e = block[..part.Length];
                TensorPrimitives.Subtract(part, highest, e);
                TensorPrimitives.Exp(e, e);
                sum += TensorPrimitives.Sum(e);
            }
            double logSum = highest + Math.Log(sum);
            work->LogSums[n] = (float)logSum;
            work->Losses[n] = (float)(logSum - row[(int)work->Labels[n]]);
        }
    }

    private static void BackwardRows(void* state, nint chunk)
    {
        Work* work = (Work*)state;
        for (nint n = chunk * RowsPerChunk; n < nint.Min(work->Rows, (chunk + 1) * RowsPerChunk); n++)
        {
            ReadOnlySpan<float> row = new(work->Logits + (n * work->Classes), (int)work->Classes);
            Span<float> result = new(work->Gradient + (n * work->Classes), (int)work->Classes);
            float scale = work->Dy[n];
            for (int i = 0; i < row.Length; i += Chunks.BlockLength)
            {
                Range part = i..Math.Min(row.Length, i + Chunks.BlockLength);
                TensorPrimitives.Subtract(row[part], work->LogSums[n], result[part]);
                TensorPrimitives.Exp(result[part], result[part]);
                TensorPrimitives.Multiply(result[part], scale, result[part]);
            }
            result[(int)work->Labels[n]] -= scale;
        }
    }

    private struct Work
    {
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
