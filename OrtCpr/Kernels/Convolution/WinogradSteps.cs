using System.Numerics;
using System.Runtime.CompilerServices;

namespace OrtCpr.Kernels;

/// <summary>
/// A linear map of a short column, lane by lane. Columns lie in memory with a constant step between their elements, each of which is one
/// <see cref="Vector{T}"/> of floats: the same element of as many channels.</summary>
internal unsafe interface IWinogradStep
{
    /// <summary>Elements that <see cref="Apply"/> reads.</summary>
    static abstract int Inputs { get; }

    /// <summary>Elements that <see cref="Apply"/> writes.</summary>
    static abstract int Outputs { get; }

    /// <summary>Writes the map of the column at <paramref name="from"/> to <paramref name="to"/>; steps in floats.
    /// Reads all before it writes.</summary>
    static abstract void Apply(float* from, nint step, float* to, nint toStep);
}

/// <summary>The maps of Winograd's convolution F(4, 3): six products give four outputs of a kernel of three (Lavin and
/// Gray 2016, section 4.1). Six points of a polynomial product: 0, ±a, ±b and infinity with a = √½ and b = √2, whose
/// products and squares are short numbers; an output's error is some 1e-6 of the sum of its terms' sizes, a third of
/// that of the points 0, ±1, ±2.</summary>
/// <remarks>y = Aᵀ((G·w) ⊙ (Bᵀ·x)), so dw = Gᵀ((A·dy) ⊙ (Bᵀ·x)).</remarks>
internal static class WinogradSteps
{
    /// <summary>Outputs of a tile along an axis.</summary>
    public const int Tile = 4;

    /// <summary>Taps of the kernel along an axis.</summary>
    public const int Kernel = 3;

    /// <summary>Inputs of a tile along an axis; as many points.</summary>
    public const int Points = Tile + Kernel - 1;

    private const float A = 0.70710678f, B = 1.41421356f;

    private static Vector<float> Of(float value) => Vector.Create(value);

    /// <summary>a·b + c.</summary>
    private static Vector<float> Add(Vector<float> a, float b, Vector<float> c) => Vector.MultiplyAddEstimate(a, Of(b), c);

    /// <summary>Bᵀ: six inputs at the points.</summary>
    internal unsafe readonly struct Input : IWinogradStep
    {
        public static int Inputs => Points;

        public static int Outputs => Points;

        /// <summary>(x0 − 2.5x2 + x4, ±a(x3 − 2x1) + x4 − 2x2, ±b(x3 − ½x1) + x4 − ½x2, x1 − 2.5x3 + x5).</summary>
        public static void Apply(float* from, nint step, float* to, nint toStep)
        {
            Vector<float> x0 = Vector.Load(from), x1 = Vector.Load(from + step), x2 = Vector.Load(from + (2 * step));
            Vector<float> x3 = Vector.Load(from + (3 * step)), x4 = Vector.Load(from + (4 * step)), x5 = Vector.Load(from + (5 * step));
            Vector<float> oddA = Add(x1, -2, x3) * A, oddB = Add(x1, -0.5f, x3) * B, evenA = Add(x2, -2, x4), evenB = Add(x2, -0.5f, x4);
            Add(x2, -2.5f, x0 + x4).Store(to);
            (evenA + oddA).Store(to + toStep);
            (evenA - oddA).Store(to + (2 * toStep));
            (evenB + oddB).Store(to + (3 * toStep));
            (evenB - oddB).Store(to + (4 * toStep));
            Add(x3, -2.5f, x1 + x5).Store(to + (5 * toStep));
        }
    }

    /// <summary>G: three taps of the kernel at the points.</summary>
    internal unsafe readonly struct Weight : IWinogradStep
    {
        public static int Inputs => Kernel;

        public static int Outputs => Points;

        /// <summary>(w0, −⅔(w0 + ½w2 ± a·w1), ⅙(w0 + 2w2 ± b·w1), w2).</summary>
        public static void Apply(float* from, nint step, float* to, nint toStep)
        {
            Vector<float> w0 = Vector.Load(from), w1 = Vector.Load(from + step), w2 = Vector.Load(from + (2 * step));
            Vector<float> evenA = Add(w2, 0.5f, w0) * (-2 / 3f), oddA = w1 * (-2 / 3f * A);
            Vector<float> evenB = Add(w2, 2, w0) * (1 / 6f), oddB = w1 * (1 / 6f * B);
            w0.Store(to);
            (evenA + oddA).Store(to + toStep);
            (evenA - oddA).Store(to + (2 * toStep));
            (evenB + oddB).Store(to + (3 * toStep));
            (evenB - oddB).Store(to + (4 * toStep));
            w2.Store(to + (5 * toStep));
        }
    }

    /// <summary>Gᵀ: points back to three taps of the kernel.</summary>
    internal unsafe readonly struct WeightBack : IWinogradStep
    {
        public static int Inputs => Points;

        public static int Outputs => Kernel;

        /// <summary>With sums s and differences d of the pairs: (u0 − ⅔sa + ⅙sb, −⅔a·da + ⅙b·db, −⅓sa + ⅓sb +
        /// u5).</summary>
        public static void Apply(float* from, nint step, float* to, nint toStep)
        {
            Vector<float> u0 = Vector.Load(from), u1 = Vector.Load(from + step), u2 = Vector.Load(from + (2 * step));
            Vector<float> u3 = Vector.Load(from + (3 * step)), u4 = Vector.Load(from + (4 * step)), u5 = Vector.Load(from + (5 * step));
            Vector<float> sumA = (u1 + u2) * (-2 / 3f), sumB = (u3 + u4) * (1 / 6f);
            (u0 + sumA + sumB).Store(to);
            Add(u1 - u2, -2 / 3f * A, (u3 - u4) * (1 / 6f * B)).Store(to + toStep);
            Add(sumA, 0.5f, Add(sumB, 2, u5)).Store(to + (2 * toStep));
        }
    }

    /// <summary>Aᵀ: points to four outputs.</summary>
    internal unsafe readonly struct Output : IWinogradStep
    {
        public static int Inputs => Points;

        public static int Outputs => Tile;

        /// <summary>With sums s and differences d of the pairs: (m0 + sa + sb, a·da + b·db, ½sa + 2sb, ½a·da + 2b·db +
        /// m5).</summary>
        public static void Apply(float* from, nint step, float* to, nint toStep)
        {
            Vector<float> m0 = Vector.Load(from), m1 = Vector.Load(from + step), m2 = Vector.Load(from + (2 * step));
            Vector<float> m3 = Vector.Load(from + (3 * step)), m4 = Vector.Load(from + (4 * step)), m5 = Vector.Load(from + (5 * step));
            Vector<float> sumA = m1 + m2, sumB = m3 + m4, oddA = (m1 - m2) * A, oddB = (m3 - m4) * B;
            (m0 + sumA + sumB).Store(to);
            (oddA + oddB).Store(to + toStep);
            Add(sumA, 0.5f, sumB * 2).Store(to + (2 * toStep));
            Add(oddA, 0.5f, Add(oddB, 2, m5)).Store(to + (3 * toStep));
        }
    }

    /// <summary>A: four gradients of outputs at the points.</summary>
    internal unsafe readonly struct OutputBack : IWinogradStep
    {
        public static int Inputs => Tile;

        public static int Outputs => Points;

        /// <summary>(y0, y0 + ½y2 ± a(y1 + ½y3), y0 + 2y2 ± b(y1 + 2y3), y3).</summary>
        public static void Apply(float* from, nint step, float* to, nint toStep)
        {
            Vector<float> y0 = Vector.Load(from), y1 = Vector.Load(from + step);
            Vector<float> y2 = Vector.Load(from + (2 * step)), y3 = Vector.Load(from + (3 * step));
            Vector<float> evenA = Add(y2, 0.5f, y0), oddA = Add(y3, 0.5f, y1) * A, evenB = Add(y2, 2, y0), oddB = Add(y3, 2, y1) * B;
            y0.Store(to);
            (evenA + oddA).Store(to + toStep);
            (evenA - oddA).Store(to + (2 * toStep));
            (evenB + oddB).Store(to + (3 * toStep));
            (evenB - oddB).Store(to + (4 * toStep));
            y3.Store(to + (5 * toStep));
        }
    }

    /// <summary>A map along both axes of a square: first its columns, into a temporary on the stack, then the rows of that.</summary>
    /// <param name="from">Rows of the square, whose elements are lanes.</param>
    /// <param name="row">Floats between rows.</param>
    /// <param name="step">Floats between elements of a row.</param>
    /// <param name="to">The result.</param>
    /// <param name="toRow">Floats between its rows.</param>
    /// <param name="toStep">Floats between elements of its rows.</param>
    [SkipLocalsInit]
    public static unsafe void Square<TStep>(float* from, nint row, nint step, float* to, nint toRow, nint toStep)
        where TStep : struct, IWinogradStep
    {
        int lanes = Vector<float>.Count, inputs = TStep.Inputs, outputs = TStep.Outputs;
        float* between = stackalloc float[Points * Points * Vector<float>.Count];
        for (nint i = 0; i < inputs; i++) TStep.Apply(from + (i * step), row, between + (i * lanes), inputs * lanes);
        for (nint i = 0; i < outputs; i++) TStep.Apply(between + (i * inputs * lanes), lanes, to + (i * toRow), toStep);
    }
}
