using System.Numerics;

namespace OrtCpr.Kernels;

/// <summary>Batch normalisation of a matrix [N, C], and its gradient.</summary>
/// <remarks>A lane is a channel and a chunk one vector of channels, whose sums grow in double lanes, row by row.
/// Forward reads its columns three times, backward twice; a batch of rows stays in the cache between. The last vector,
/// where it is not full, goes through the stack. Aliasing as in <see cref="BatchNormKernel"/>.</remarks>
internal static unsafe class BatchNormColumns
{
    public static void Forward(BatchNormTensors tensors, ParallelLoop loop) =>
        loop.Run(&ForwardColumns, &tensors, ChunksOf(tensors.Channels));

    public static void Backward(BatchNormTensors tensors, ParallelLoop loop) =>
        loop.Run(&BackwardColumns, &tensors, ChunksOf(tensors.Channels));

    private static nint ChunksOf(nint channels) => (channels + Vector<float>.Count - 1) / Vector<float>.Count;

    private static void ForwardColumns(void* state, nint chunk)
    {
        BatchNormTensors* t = (BatchNormTensors*)state;
        nint c = chunk * Vector<float>.Count, some = nint.Min(Vector<float>.Count, t->Channels - c);
        var sum = new Wide();
        for (nint n = 0; n < t->BatchSize; n++) sum.Add(Load(t->X, t, n, c, some));
        Vector<float> mean = sum.Over(t->Count);
        var squares = new Wide();
        for (nint n = 0; n < t->BatchSize; n++)
        {
            Vector<float> centred = Load(t->X, t, n, c, some) - mean;
            squares.Add(centred * centred);
        }
        Vector<float> variance = squares.Over(t->Count);
        Vector<float> inverse = Vector<float>.One / Vector.SquareRoot(variance + Vector.Create(t->Epsilon));
        VectorMath.StoreSome(mean, t->Mean + c, some);
        VectorMath.StoreSome(variance, t->Variance + c, some);
        VectorMath.StoreSome(inverse, t->Inverse + c, some);
        Vector<float> scale = inverse * VectorMath.LoadSome(t->Gain + c, some), shift = VectorMath.LoadSome(t->Bias + c, some);
        for (nint n = 0; n < t->BatchSize; n++)
        {
            Vector<float> y = ((Load(t->X, t, n, c, some) - mean) * scale) + shift;
            if (t->Skip != null) y += Load(t->Skip, t, n, c, some);
            VectorMath.StoreSome(t->Relu ? VectorMath.Relu(y) : y, t->Y + (n * t->Channels) + c, some);
        }
    }

    private static void BackwardColumns(void* state, nint chunk)
    {
        BatchNormTensors* t = (BatchNormTensors*)state;
        nint c = chunk * Vector<float>.Count, some = nint.Min(Vector<float>.Count, t->Channels - c);
        Vector<float> mean = VectorMath.LoadSome(t->Mean + c, some), inverse = VectorMath.LoadSome(t->Inverse + c, some);
        Wide sums = new(), products = new();
        for (nint n = 0; n < t->BatchSize; n++)
        {
            Vector<float> g = Gradient(t, n, c, some);
            sums.Add(g);
            products.Add((Load(t->X, t, n, c, some) - mean) * inverse * g);
        }
        Vector<float> sum = sums.Over(1), product = products.Over(1), gain = inverse * VectorMath.LoadSome(t->Gain + c, some);
        VectorMath.StoreSome(product, t->DGain + c, some);
        VectorMath.StoreSome(sum, t->DBias + c, some);
        Vector<float> shift = sums.Over(t->Count), slope = inverse * products.Over(t->Count);
        for (nint n = 0; n < t->BatchSize; n++)
        {
            Vector<float> dx = gain * (Gradient(t, n, c, some) - shift - ((Load(t->X, t, n, c, some) - mean) * slope));
            VectorMath.StoreSome(dx, t->Dx + (n * t->Channels) + c, some);
        }
    }

    private static Vector<float> Gradient(BatchNormTensors* t, nint n, nint c, nint some)
    {
        Vector<float> g = Load(t->Dy, t, n, c, some);
        return t->Relu ? VectorMath.WherePositive(Load(t->Y, t, n, c, some), g) : g;
    }

    private static Vector<float> Load(float* tensor, BatchNormTensors* t, nint n, nint c, nint some)
    {
        float* at = tensor + (n * t->Channels) + c;
        return some == Vector<float>.Count ? Vector.Load(at) : VectorMath.LoadSome(at, some);
    }

    /// <summary>Sums of lanes in double.</summary>
    private struct Wide
    {
        private Vector<double> _low, _high;

        public void Add(Vector<float> value)
        {
            Vector.Widen(value, out Vector<double> low, out Vector<double> high);
            _low += low;
            _high += high;
        }

        public readonly Vector<float> Over(nint count) =>
            Vector.Narrow(_low / Vector.Create((double)count), _high / Vector.Create((double)count));
    }
}
