using System.Numerics;
using System.Runtime.CompilerServices;

namespace OrtCpr.Kernels;

/// <summary>Weights of 3 × 3 taps between [M, C, 3, 3] and matrices at points [36, M, C], or some rows or columns of those.</summary>
/// <remarks>A lane is a column; one call takes a row. 36 bytes of weight and 144 of matrices are moved for each column.</remarks>
internal static unsafe class WinogradWeights
{
    private const nint Taps = WinogradSteps.Kernel * WinogradSteps.Kernel;

    /// <summary>A row and some columns of the matrices.</summary>
    internal readonly struct Part
    {
        public float* Matrices { get; init; }

        /// <summary>Rows of a matrix.</summary>
        public nint Rows { get; init; }

        /// <summary>Columns of a matrix, whole vectors.</summary>
        public nint Lanes { get; init; }

        /// <summary>Which row.</summary>
        public nint Row { get; init; }

        /// <summary>The weight's row that this is.</summary>
        public nint FromRow { get; init; }

        /// <summary>The weight's column that the first one is.</summary>
        public nint FromColumn { get; init; }

        internal nint Point => Rows * Lanes;

        internal float* At(nint column) => Matrices + (Row * Lanes) + column;
    }

    /// <summary>A row of the weight at the points; zeros for what the weight does not have.</summary>
    /// <param name="weight">[<paramref name="rows"/>, <paramref name="columns"/>, 3, 3].</param>
    /// <param name="rows">M.</param>
    /// <param name="columns">C.</param>
    /// <param name="flipped">Both axes of the kernel run backwards, as the gradient of the input needs.</param>
    /// <param name="part">Where to.</param>
    [SkipLocalsInit]
    public static void Read(float* weight, nint rows, nint columns, bool flipped, in Part part)
    {
        nint lanes = Vector<float>.Count;
        float* strip = stackalloc float[(int)Taps * Vector<float>.Count];
        float* source = weight + (((part.FromRow * columns) + part.FromColumn) * Taps);
        for (nint c = 0; c < part.Lanes; c += lanes)
        {
            nint some = part.FromRow < rows ? nint.Clamp(columns - part.FromColumn - c, 0, lanes) : 0;
            if (some < lanes)
                new Span<float>(strip, (int)(Taps * lanes)).Clear();
            for (nint lane = 0; lane < some; lane++, source += Taps)
            {
                if (flipped)
                    for (nint tap = 0; tap < Taps; tap++) strip[((Taps - 1 - tap) * lanes) + lane] = source[tap];
                else
                    for (nint tap = 0; tap < Taps; tap++) strip[(tap * lanes) + lane] = source[tap];
            }
            WinogradSteps.Square<WinogradSteps.Weight>(strip, WinogradSteps.Kernel * lanes, lanes, part.At(c), WinogradSteps.Points
                * part.Point, part.Point);
        }
    }

    /// <summary>A row of the weight's gradient from the gradient of the matrices.</summary>
    /// <param name="part">Where from; whole rows.</param>
    /// <param name="columns">C.</param>
    /// <param name="weight">[M, <paramref name="columns"/>, 3, 3].</param>
    /// <param name="adds">Whether to add to what is there.</param>
    [SkipLocalsInit]
    public static void Write(in Part part, nint columns, float* weight, bool adds)
    {
        nint lanes = Vector<float>.Count;
        float* strip = stackalloc float[(int)Taps * Vector<float>.Count];
        float* target = weight + (part.FromRow * columns * Taps);
        for (nint c = 0; c < columns; c += lanes)
        {
            WinogradSteps.Square<WinogradSteps.WeightBack>(part.At(c), WinogradSteps.Points
                * part.Point, part.Point, strip, WinogradSteps.Kernel * lanes, lanes);
            nint some = nint.Min(lanes, columns - c);
            for (nint lane = 0; lane < some; lane++, target += Taps)
                for (nint tap = 0; tap < Taps; tap++) target[tap] = strip[(tap * lanes) + lane] + (adds ? target[tap] : 0);
        }
    }
}
