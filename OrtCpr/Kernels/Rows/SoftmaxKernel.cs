using System.Numerics;

namespace OrtCpr.Kernels;

/// <summary>Softmax of rows, and its gradient.</summary>
/// <remarks>A lane is an element of a row. Forward reads a row for its maximum, writes the powers and scales them in
/// place; backward reads y and dy for their product's sum and again for the result. The second pass finds a row in the
/// cache: 8 bytes an element from and to memory forward, 12 backward. Sums are formed in float lanes over <see
/// cref="Chunks.BlockLength"/> elements and go on in double. A chunk is some whole rows, whatever the number of
/// threads. The result may be the memory of x, y or dy. A row whose maximum is −∞ becomes NaN, as in ONNX Runtime; NaN
/// makes its row NaN. Backward a NaN row whose dy is 0 throughout gives 0.</remarks>
internal static unsafe class SoftmaxKernel
{
    public static void Forward(float* x, float* y, nint rows, nint columns, ParallelLoop loop)
    {
        Work work = new() { First = x, Result = y, Rows = rows, Columns = columns };
        loop.Run(&ForwardRows, &work, work.ChunkCount);
    }

    public static void Backward(float* y, float* dy, float* dx, nint rows, nint columns, ParallelLoop loop)
    {
        Work work = new() { First = y, Second = dy, Result = dx, Rows = rows, Columns = columns };
        loop.Run(&BackwardRows, &work, work.ChunkCount);
    }

    private static void ForwardRows(void* state, nint chunk)
    {
        Work* work = (Work*)state;
        nint last = nint.Min(work->Rows, (chunk + 1) * work->RowsPerChunk), columns = work->Columns;
        for (nint n = chunk * work->RowsPerChunk; n < last; n++)
        {
            float* x = work->First + (n * columns), y = work->Result + (n * columns);
            Vector<float> shift = Vector.Create(VectorMath.Max(x, columns));
            double total = 0;
            for (nint i = 0; i < columns; i += Chunks.BlockLength)
                total += Powers(x + i, y + i, nint.Min(Chunks.BlockLength, columns - i), shift);
            Vector<float> scale = Vector.Create((float)(1 / total));
            nint j = 0;
            for (; j <= columns - Vector<float>.Count; j += Vector<float>.Count) (Vector.Load(y + j) * scale).Store(y + j);
            for (; j < columns; j++) y[j] *= scale[0];
        }
    }

    /// <summary>exp(x − shift) to y; their sum.</summary>
    private static float Powers(float* x, float* y, nint length, Vector<float> shift)
    {
        Vector<float> sum = default;
        nint i = 0;
        for (; i <= length - Vector<float>.Count; i += Vector<float>.Count)
        {
            Vector<float> power = VectorMath.Exp(Vector.Load(x + i) - shift);
            power.Store(y + i);
            sum += power;
        }
        if (i == length) return Vector.Sum(sum);
        // The lanes after the end are −∞: nothing to the sum.
        Vector<float> rest = VectorMath.Exp(VectorMath.LoadSome(x + i, length - i, float.NegativeInfinity) - shift);
        VectorMath.StoreSome(rest, y + i, length - i);
        float total = Vector.Sum(sum);
        for (nint k = 0; k < length - i; k++) total += rest[(int)k];
        return total;
    }

    private static void BackwardRows(void* state, nint chunk)
    {
        Work* work = (Work*)state;
        nint last = nint.Min(work->Rows, (chunk + 1) * work->RowsPerChunk), columns = work->Columns;
        for (nint n = chunk * work->RowsPerChunk; n < last; n++)
        {
            float* y = work->First + (n * columns), dy = work->Second + (n * columns), dx = work->Result + (n * columns);
            double product = 0;
            for (nint i = 0; i < columns; i += Chunks.BlockLength)
                product += Product(y + i, dy + i, nint.Min(Chunks.BlockLength, columns - i));
            if (double.IsNaN(product) && !new Span<float>(dy, (int)columns).ContainsAnyExcept(0f))
            {
                new Span<float>(dx, (int)columns).Clear();
                continue;
            }
            Vector<float> mean = Vector.Create((float)product);
            nint j = 0;
            for (; j <= columns - Vector<float>.Count; j += Vector<float>.Count)
                (Vector.Load(y + j) * (Vector.Load(dy + j) - mean)).Store(dx + j);
            if (j < columns)
            {
                VectorMath.StoreSome(VectorMath.LoadSome(y + j, columns - j) * (VectorMath.LoadSome(dy + j, columns - j) - mean), dx
                    + j, columns - j);
            }
        }
    }

    private static float Product(float* y, float* dy, nint length)
    {
        Vector<float> sum = default;
        nint i = 0;
        for (; i <= length - Vector<float>.Count; i += Vector<float>.Count)
            sum = Vector.MultiplyAddEstimate(Vector.Load(y + i), Vector.Load(dy + i), sum);
        if (i < length) sum += VectorMath.LoadSome(y + i, length - i) * VectorMath.LoadSome(dy + i, length - i);
        return Vector.Sum(sum);
    }

    private struct Work
    {
        public float* First;
        public float* Second;
        public float* Result;
        public nint Rows;
        public nint Columns;

        public readonly nint RowsPerChunk => nint.Max(1, Chunks.Length / nint.Max(1, Columns));

        public readonly nint ChunkCount => Columns == 0 ? 0 : (Rows + RowsPerChunk - 1) / RowsPerChunk;
    }
}
