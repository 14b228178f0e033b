using System.Numerics;

namespace OrtCpr.Kernels;

/// <summary>Tensors of one batch normalisation: x [N, C, …] as [N, C, inner].</summary>
internal unsafe struct BatchNormTensors
{
    public nint BatchSize;
    public nint Channels;

    /// <summary>Elements of one channel of one example.</summary>
    public nint Inner;

    public float* X;

    /// <summary>[C].</summary>
    public float* Gain;

    /// <summary>[C].</summary>
    public float* Bias;

    /// <summary>Added after the affine map, of x's shape; null for none.</summary>
    public float* Skip;

    /// <summary>Whether negative results become 0.</summary>
    public bool Relu;

    public float Epsilon;

    /// <summary>The result; backward it is read where <see cref="Relu"/> is set.</summary>
    public float* Y;

    /// <summary>[C], of the batch.</summary>
    public float* Mean;

    /// <summary>[C], divided by the number of elements.</summary>
    public float* Variance;

    /// <summary>[C], 1/√(variance + ε).</summary>
    public float* Inverse;

    public float* Dy;
    public float* Dx;
    public float* DGain;
    public float* DBias;

    /// <summary>Elements of one statistic; 1 where there are none, so that their mean is 0, as ONNX Runtime's
    /// ReduceMean gives.</summary>
    public readonly nint Count => nint.Max(BatchSize * Inner, 1);
}

/// <summary>Batch normalisation by the batch's own statistics, and its gradient.</summary>
/// <remarks>A chunk is a channel, so no sum depends on the number of threads. A lane is an element of one example.
/// Forward reads the channel for its mean, for the variance around that, and for the result: from memory once as long
/// as a channel of the batch fits the second-level cache. Backward reads x and dy (and y) twice in the same way: 12
/// bytes an element from and to memory forward and backward, 4 more for a residual or a mask. Sums are formed in float
/// lanes over <see cref="Chunks.BlockLength"/> elements and go on in double. y may be the memory of x or of the
/// residual, dx that of dy. Matrices [N, C] go by <see cref="BatchNormColumns"/>.</remarks>
internal static unsafe class BatchNormKernel
{
    /// <summary>Writes y, mean, variance and inverse.</summary>
    public static void Forward(BatchNormTensors tensors, ParallelLoop loop)
    {
        if (tensors.Inner == 1) BatchNormColumns.Forward(tensors, loop);
        else loop.Run(&ForwardChannel, &tensors, tensors.Channels);
    }

    /// <summary>Writes dx, dgain and dbias from x, gain, mean, inverse, dy, and y for its signs.</summary>
    public static void Backward(BatchNormTensors tensors, ParallelLoop loop)
    {
        if (tensors.Inner == 1) BatchNormColumns.Backward(tensors, loop);
        else loop.Run(&BackwardChannel, &tensors, tensors.Channels);
    }

    private static void ForwardChannel(void* state, nint c)
    {
        BatchNormTensors* t = (BatchNormTensors*)state;
        double mean = Sum(t, c, 0, squares: false) / t->Count, variance = Sum(t, c, (float)mean, squares: true) / t->Count;
        double inverse = 1 / Math.Sqrt(variance + t->Epsilon);
        (t->Mean[c], t->Variance[c], t->Inverse[c]) = ((float)mean, (float)variance, (float)inverse);
        Vector<float> centre = Vector.Create(t->Mean[c]), scale = Vector.Create(t->Inverse[c] * t->Gain[c]);
        Vector<float> shift = Vector.Create(t->Bias[c]);
        for (nint n = 0; n < t->BatchSize; n++)
        {
            nint at = ((n * t->Channels) + c) * t->Inner, i = 0;
            float* x = t->X + at, y = t->Y + at, skip = t->Skip == null ? null : t->Skip + at;
            for (; i <= t->Inner - Vector<float>.Count; i += Vector<float>.Count)
            {
                Vector<float> result = ((Vector.Load(x + i) - centre) * scale) + shift;
                if (skip != null) result += Vector.Load(skip + i);
                (t->Relu ? VectorMath.Relu(result) : result).Store(y + i);
            }
            if (i == t->Inner) continue;
            Vector<float> last = ((VectorMath.LoadSome(x + i, t->Inner - i) - centre) * scale) + shift;
            if (skip != null) last += VectorMath.LoadSome(skip + i, t->Inner - i);
            VectorMath.StoreSome(t->Relu ? VectorMath.Relu(last) : last, y + i, t->Inner - i);
        }
    }

    /// <summary>Σ (x − shift), or of the squares.</summary>
    private static double Sum(BatchNormTensors* t, nint c, float shift, bool squares)
    {
        double total = 0;
        nint pending = 0;
        Vector<float> centre = Vector.Create(shift), even = default, odd = default;
        for (nint n = 0; n < t->BatchSize; n++)
        {
            float* x = t->X + (((n * t->Channels) + c) * t->Inner);
            for (nint i = 0; i < t->Inner;)
            {
                nint end = nint.Min(t->Inner, i + Chunks.BlockLength - pending), start = i;
                for (; i <= end - (2 * Vector<float>.Count); i += 2 * Vector<float>.Count)
                {
                    Vector<float> a = Vector.Load(x + i) - centre, b = Vector.Load(x + i + Vector<float>.Count) - centre;
                    even = squares ? Vector.MultiplyAddEstimate(a, a, even) : even + a;
                    odd = squares ? Vector.MultiplyAddEstimate(b, b, odd) : odd + b;
                }
                for (; i < end; i += Vector<float>.Count)
                {
                    Vector<float> a = end - i < Vector<float>.Count ? VectorMath.LoadSome(x + i, end - i, shift) - centre
                        : Vector.Load(x + i) - centre;
                    even = squares ? Vector.MultiplyAddEstimate(a, a, even) : even + a;
                }
                i = end;
                pending += end - start;
                if (pending < Chunks.BlockLength) continue;
                total += Vector.Sum(even + odd);
                (even, odd, pending) = (default, default, 0);
            }
        }
        return total + Vector.Sum(even + odd);
    }

    private static void BackwardChannel(void* state, nint c)
    {
        BatchNormTensors* t = (BatchNormTensors*)state;
        float mean = t->Mean[c], inverse = t->Inverse[c];
        (double sum, double product) = GradientSums(t, c, mean);
        (t->DGain[c], t->DBias[c]) = ((float)(product * inverse), (float)sum);
        // dx = γ·r·(g − Σg/n − (x − mean)·r²·Σg(x − mean)/n), r the inverse.
        double gain = (double)t->Gain[c] * inverse;
        Vector<float> centre = Vector.Create(mean), factor = Vector.Create((float)gain);
        Vector<float> shift = Vector.Create((float)(-gain * sum / t->Count));
        Vector<float> slope = Vector.Create((float)(-gain * inverse * inverse * product / t->Count));
        for (nint n = 0; n < t->BatchSize; n++)
        {
            nint at = ((n * t->Channels) + c) * t->Inner, i = 0;
            float* x = t->X + at, dy = t->Dy + at, dx = t->Dx + at, y = t->Relu ? t->Y + at : null;
            for (; i <= t->Inner - Vector<float>.Count; i += Vector<float>.Count)
            {
                Vector<float> g = Vector.Load(dy + i);
                if (y != null) g = VectorMath.WherePositive(Vector.Load(y + i), g);
                Vector.MultiplyAddEstimate(Vector.Load(x + i) - centre, slope, Vector.MultiplyAddEstimate(g, factor, shift)).Store(dx + i);
            }
            if (i == t->Inner) continue;
            Vector<float> last = VectorMath.LoadSome(dy + i, t->Inner - i);
            if (y != null) last = VectorMath.WherePositive(VectorMath.LoadSome(y + i, t->Inner - i), last);
            last = Vector.MultiplyAddEstimate(VectorMath.LoadSome(x + i, t->Inner - i)
                - centre, slope, Vector.MultiplyAddEstimate(last, factor, shift));
            VectorMath.StoreSome(last, dx + i, t->Inner - i);
        }
    }

    /// <summary>Σ g and Σ g·(x − mean), g the gradient after the mask.</summary>
    private static (double Sum, double Product) GradientSums(BatchNormTensors* t, nint c, float mean)
    {
        double sum = 0, product = 0;
        nint pending = 0;
        Vector<float> centre = Vector.Create(mean), sums = default, products = default;
        for (nint n = 0; n < t->BatchSize; n++)
        {
            nint at = ((n * t->Channels) + c) * t->Inner;
            float* x = t->X + at, dy = t->Dy + at, y = t->Relu ? t->Y + at : null;
            for (nint i = 0; i < t->Inner;)
            {
                nint end = nint.Min(t->Inner, i + Chunks.BlockLength - pending), start = i;
                for (; i < end; i += Vector<float>.Count)
                {
                    bool isWhole = end - i >= Vector<float>.Count;
                    Vector<float> g = isWhole ? Vector.Load(dy + i) : VectorMath.LoadSome(dy + i, end - i);
                    if (y != null) g = VectorMath.WherePositive(isWhole ? Vector.Load(y + i) : VectorMath.LoadSome(y + i, end - i), g);
                    sums += g;
                    products = Vector.MultiplyAddEstimate((isWhole ? Vector.Load(x + i) : VectorMath.LoadSome(x + i, end - i, mean))
                        - centre, g, products);
                }
                i = end;
                pending += end - start;
                if (pending < Chunks.BlockLength) continue;
                sum += Vector.Sum(sums);
                product += Vector.Sum(products);
                (sums, products, pending) = (default, default, 0);
            }
        }
        return (sum + Vector.Sum(sums), product + Vector.Sum(products));
    }
}
