using System.Numerics.Tensors;

namespace OrtCpr.Kernels;

/// <summary>A function of one or two tensors, element by element.</summary>
internal enum ElementFormula
{
    /// <summary>½x(1 + tanh u), u = √(2/π)(x + 0.044715x³).</summary>
    GeluTanh,

    /// <summary>The gradient of <see cref="GeluTanh"/> times the second tensor.</summary>
    GeluTanhGrad,
}

/// <summary>Gelu by tanh and its gradient.</summary>
/// <remarks>
/// Reads x (and dy) and writes the result once: 8 bytes an element, 12 with dy. The result may be either input's memory. Works block by block of
/// <see cref="Chunks.BlockLength"/> elements with three temporaries on the stack (12 KiB), which stay in the first-level cache; the lane loops and the
/// vectorised tanh are those of TensorPrimitives.
/// </remarks>
internal static unsafe class GeluKernel
{
    private const float Scale = 0.7978845608f, Cubic = 0.044715f;

    /// <summary>Computes the whole tensor; <paramref name="dy"/> is null for the forward.</summary>
    public static void Run(ElementFormula formula, float* x, float* dy, float* result, nint length, ParallelLoop loop)
    {
        Work work = new() { Formula = formula, X = x, Dy = dy, Result = result, Length = length };
        loop.Run(&Chunk, &work, Chunks.Count(length));
    }

    private static void Chunk(void* state, nint chunk)
    {
        Work* work = (Work*)state;
        Span<float> a = stackalloc float[Chunks.BlockLength], b = stackalloc float[Chunks.BlockLength], c = stackalloc float[Chunks.BlockLength];
        nint start = chunk * Chunks.Length, end = start + Chunks.LengthOf(chunk, work->Length);
        for (nint i = start; i < end; i += Chunks.BlockLength)
        {
            int count = (int)nint.Min(Chunks.BlockLength, end - i);
            ReadOnlySpan<float> x = new(work->X + i, count);
            Span<float> result = new(work->Result + i, count);
            if (work->Formula == ElementFormula.GeluTanh)
                Forward(x, result, a[..count], b[..count]);
            else
                Backward(x, new(work->Dy + i, count), result, a[..count], b[..count], c[..count]);
        }
    }

    private static void Forward(ReadOnlySpan<float> x, Span<float> result, Span<float> t, Span<float> half)
    {
        Inner(x, t);
        TensorPrimitives.Add(t, 1f, t);
        TensorPrimitives.Multiply(x, 0.5f, half);
        TensorPrimitives.Multiply(t, half, result);
    }

    private static void Backward(ReadOnlySpan<float> x, ReadOnlySpan<float> dy, Span<float> result, Span<float> t, Span<float> slope, Span<float> rest)
    {
        Inner(x, t);
        // du/dx = Scale·(1 + 3·Cubic·x²), times x·(1 − t²).
        TensorPrimitives.Multiply(x, x, slope);
        TensorPrimitives.Multiply(slope, 3 * Scale * Cubic, slope);
        TensorPrimitives.Add(slope, Scale, slope);
        TensorPrimitives.Multiply(slope, x, slope);
        TensorPrimitives.Multiply(t, t, rest);
        TensorPrimitives.Subtract(1f, rest, rest);
        TensorPrimitives.MultiplyAdd(slope, rest, t, slope);
        TensorPrimitives.Add(slope, 1f, slope);
        TensorPrimitives.Multiply(slope, 0.5f, slope);
        TensorPrimitives.Multiply(slope, dy, result);
    }

    // tanh u.
    private static void Inner(ReadOnlySpan<float> x, Span<float> t)
    {
        TensorPrimitives.Multiply(x, x, t);
        TensorPrimitives.Multiply(t, Scale * Cubic, t);
        TensorPrimitives.Add(t, Scale, t);
        TensorPrimitives.Multiply(t, x, t);
        TensorPrimitives.Tanh(t, t);
    }

    private struct Work
    {
        public ElementFormula Formula;
        public float* X;
        public float* Dy;
        public float* Result;
        public nint Length;
    }
}
