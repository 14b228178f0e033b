using System.Numerics;

namespace OrtCpr.Kernels;

/// <summary>Tensors of the gradient of a normalisation of rows, x [rows, columns].</summary>
internal unsafe struct LayerNormGradTensors
{
    public nint Rows;
    public nint Columns;
    public float* X;

    /// <summary>[columns].</summary>
    public float* Gain;

    /// <summary>[rows]; null for a normalisation by the root mean square, which subtracts nothing.</summary>
    public float* Mean;

    /// <summary>[rows], 1/√(variance + ε); null where it is formed from x and <see cref="Epsilon"/>.</summary>
    public float* Inverse;

    public float Epsilon;
    public float* Dy;
    public float* Dx;

    /// <summary>[columns].</summary>
    public float* DGain;

    /// <summary>[columns]; null for none.</summary>
    public float* DBias;

    /// <summary>Sums of gain and bias for each chunk of rows, [chunks, 2, columns].</summary>
    public float* Partial;
}

/// <summary>The gradient of layer normalisation and of normalisation by the root mean square.</summary>
/// <remarks>A lane is a column. With x̂ = (x − mean)·r and h = dy·γ, dx = r·(h − mean(h) − x̂·mean(h·x̂)); without a
/// mean the middle term is 0. A row of x and dy is read twice, the second time from the first-level cache, and dx
/// written once: 12 bytes an element. dγ = Σ dy·x̂ and dβ = Σ dy over rows grow in float in a chunk's own sums, which
/// are added up in double, chunk by chunk; how rows are cut does not depend on the threads. dx may be the memory of dy
/// or x.</remarks>
internal static unsafe class LayerNormGradKernel
{
    private const nint MostChunks = 64, FewestRows = 16;

    /// <summary>Floats of <see cref="LayerNormGradTensors.Partial"/>.</summary>
    public static nint ScratchLength(nint rows, nint columns) => ChunkCount(rows) * 2 * columns;

    public static void Run(LayerNormGradTensors tensors, ParallelLoop loop)
    {
        loop.Run(&RowsOf, &tensors, ChunkCount(tensors.Rows));
        nint blocks = (tensors.Columns + Chunks.BlockLength - 1) / Chunks.BlockLength;
        loop.Run(&ColumnsOf, &tensors, blocks);
    }

    private static nint RowsPerChunk(nint rows) => nint.Max(FewestRows, (rows + MostChunks - 1) / MostChunks);

    private static nint ChunkCount(nint rows) => (rows + RowsPerChunk(rows) - 1) / RowsPerChunk(rows);

    private static void RowsOf(void* state, nint chunk)
    {
        LayerNormGradTensors* t = (LayerNormGradTensors*)state;
        nint columns = t->Columns, each = RowsPerChunk(t->Rows), last = nint.Min(t->Rows, (chunk + 1) * each);
        float* gainSums = t->Partial + (chunk * 2 * columns), biasSums = gainSums + columns;
        new Span<float>(gainSums, checked((int)(2 * columns))).Clear();
        for (nint n = chunk * each; n < last; n++)
        {
            float* x = t->X + (n * columns), dy = t->Dy + (n * columns);
            float mean = t->Mean == null ? 0 : t->Mean[n];
            float inverse = t->Inverse != null ? t->Inverse[n] : (float)(1 / Math.Sqrt((Squares(x, columns) / columns) + t->Epsilon));
            (double sum, double product) = Sums(t, x, dy, mean, inverse);
            float middle = t->Mean == null ? 0 : (float)(sum / columns), slope = (float)(product / columns);
            Row(t, n, mean, inverse, middle, slope, gainSums, biasSums);
        }
    }

    private static double Squares(float* x, nint columns)
    {
        double total = 0;
        for (nint first = 0; first < columns; first += Chunks.BlockLength)
        {
            nint end = nint.Min(columns, first + Chunks.BlockLength), i = first;
            Vector<float> sum = default;
            for (; i <= end - Vector<float>.Count; i += Vector<float>.Count)
            {
                Vector<float> v = Vector.Load(x + i);
                sum = Vector.MultiplyAddEstimate(v, v, sum);
            }
            total += Vector.Sum(sum);
            for (; i < end; i++) total += x[i] * x[i];
        }
        return total;
    }

    /// <summary>Σ h and Σ h·x̂ of a row.</summary>
    private static (double Sum, double Product) Sums(LayerNormGradTensors* t, float* x, float* dy, float mean, float inverse)
    {
        double total = 0, productTotal = 0;
        Vector<float> centre = Vector.Create(mean), scale = Vector.Create(inverse);
        for (nint first = 0; first < t->Columns; first += Chunks.BlockLength)
        {
            nint end = nint.Min(t->Columns, first + Chunks.BlockLength), i = first;
            Vector<float> sum = default, product = default;
            for (; i <= end - Vector<float>.Count; i += Vector<float>.Count)
            {
                Vector<float> h = Vector.Load(dy + i) * Vector.Load(t->Gain + i);
                sum += h;
                product = Vector.MultiplyAddEstimate(h, (Vector.Load(x + i) - centre) * scale, product);
            }
            (total, productTotal) = (total + Vector.Sum(sum), productTotal + Vector.Sum(product));
            for (; i < end; i++)
            {
                float h = dy[i] * t->Gain[i];
                (total, productTotal) = (total + h, productTotal + (h * ((x[i] - mean) * inverse)));
            }
        }
        return (total, productTotal);
    }

    private static void Row(LayerNormGradTensors* t, nint n, float mean, float inverse, float middle, float slope, float* gainSums,
        float* biasSums)
    {
        nint columns = t->Columns, i = 0;
        float* x = t->X + (n * columns), dy = t->Dy + (n * columns), dx = t->Dx + (n * columns);
        Vector<float> centre = Vector.Create(mean), scale = Vector.Create(inverse);
        Vector<float> shift = Vector.Create(middle), factor = Vector.Create(slope);
        for (; i <= columns - Vector<float>.Count; i += Vector<float>.Count)
        {
            Vector<float> g = Vector.Load(dy + i), normal = (Vector.Load(x + i) - centre) * scale;
            Vector.MultiplyAddEstimate(g, normal, Vector.Load(gainSums + i)).Store(gainSums + i);
            (Vector.Load(biasSums + i) + g).Store(biasSums + i);
            (((g * Vector.Load(t->Gain + i)) - shift - (normal * factor)) * scale).Store(dx + i);
        }
        for (; i < columns; i++)
        {
            float g = dy[i], normal = (x[i] - mean) * inverse;
            gainSums[i] += g * normal;
            biasSums[i] += g;
            dx[i] = ((g * t->Gain[i]) - middle - (normal * slope)) * inverse;
        }
    }

    private static void ColumnsOf(void* state, nint block)
    {
        LayerNormGradTensors* t = (LayerNormGradTensors*)state;
        nint columns = t->Columns, first = block * Chunks.BlockLength;
        nint count = nint.Min(Chunks.BlockLength, columns - first), chunks = ChunkCount(t->Rows);
        double* sums = stackalloc double[Chunks.BlockLength];
        for (nint part = 0; part < (t->DBias == null ? 1 : 2); part++)
        {
            new Span<double>(sums, (int)count).Clear();
            for (nint chunk = 0; chunk < chunks; chunk++)
            {
                float* partial = t->Partial + (((chunk * 2) + part) * columns) + first;
                for (nint i = 0; i < count; i++) sums[i] += partial[i];
            }
            float* result = (part == 0 ? t->DGain : t->DBias) + first;
            for (nint i = 0; i < count; i++) result[i] = (float)sums[i];
        }
    }
}
