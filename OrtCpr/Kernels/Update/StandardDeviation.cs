using System.Numerics;

namespace OrtCpr.Kernels;

/// <summary>R = the unbiased standard deviation s over all n elements, ∇R = (θ − θ̄)/((n−1)·s); both 0 where s is.</summary>
internal readonly unsafe struct StandardDeviation : IRegularizer
{
    /// <summary>Mean and squared deviations of a block, as exact for values around 10 ± 0.1 as around 0.</summary>
    /// <remarks>
    /// First the mean as the first element plus the mean distance from it, then deviations from that mean, rounded to float;
    /// the block is in the first-level cache for the second reading. Differences of close floats are exact, so only small
    /// numbers are added. The first element alone would not do as the shift: an outlier there swamps the others. Where all
    /// elements are equal every difference is exactly 0, and so is the result.</remarks>
    public static RegularizerSum Measure(float* block, nint length)
    {
        if (length == 0)
            return default;
        float shift = block[0];
        shift += (float)(DeviationSums(block, length, shift).Sum / length);
        (double sum, double squares) = DeviationSums(block, length, shift);
        // Rounding may take a tiny difference below 0, and NaN must stay NaN: Math.Max does both.
        return new(length, Math.Max(squares - (sum * sum / length), 0), shift + (sum / length));
    }

    public static double Value(in RegularizerSum sum) => sum.Count > 1 ? Math.Sqrt(sum.Total / (sum.Count - 1)) : 0;

    public static double DirectionScale(in RegularizerSum sum)
    {
        double deviation = Value(sum);
        return deviation == 0 ? 0 : 1 / ((sum.Count - 1) * deviation);
    }

    /// <summary>The mean is rounded to float here, which moves θ by less than its own rounding.</summary>
    public static float Direction(float value, float mean) => value - mean;

    public static Vector<float> Direction(Vector<float> value, Vector<float> mean) => value - mean;

    /// <summary>Σ(x − shift) and Σ(x − shift)², lanes as in <see cref="BlockSum"/> with two accumulators each.</summary>
    private static (double Sum, double Squares) DeviationSums(float* block, nint length, float shift)
    {
        double sum = 0;
        double squares = 0;
        nint i = 0;
        if (Vector.IsHardwareAccelerated)
        {
            nint lanes = Vector<float>.Count;
            Vector<float> shifts = Vector.Create(shift);
            Vector<float> sumA = default, sumB = default, squaresA = default, squaresB = default;
            for (; i <= length - (2 * lanes); i += 2 * lanes)
            {
                Vector<float> a = Vector.Load(block + i) - shifts;
                Vector<float> b = Vector.Load(block + i + lanes) - shifts;
                sumA += a;
                sumB += b;
                squaresA += a * a;
                squaresB += b * b;
            }
            sumA += sumB;
            squaresA += squaresB;
            for (int lane = 0; lane < lanes; lane++)
            {
                sum += sumA[lane];
                squares += squaresA[lane];
            }
        }
        for (; i < length; i++)
        {
            float deviation = block[i] - shift;
            sum += deviation;
            squares += deviation * deviation;
        }
        return (sum, squares);
    }
}
