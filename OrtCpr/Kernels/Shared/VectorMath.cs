using System.Numerics;
using System.Runtime.CompilerServices;

namespace OrtCpr.Kernels;

/// <summary>Functions of a vector of floats, lane by lane.</summary>
internal static class VectorMath
{
    /// <summary>Below this, e to the power of it is 0 here: it would be a subnormal number.</summary>
    public const float LowestExponent = -87.3f;

    /// <summary>Above this, the power stays where it is there, 2.2e38.</summary>
    public const float HighestExponent = 88.3f;

    /// <summary>1.5·2²³: a float of this size has no fraction, so adding it rounds, and its low bits are the
    /// integer.</summary>
    private const float Rounder = 12582912;

    private const float OneOverLn2 = 1.44269504f;

    /// <summary>ln 2 in two parts, the first short enough that a product with an exponent is exact.</summary>
    private const float Ln2High = 0.693359375f, Ln2Low = -2.12194440e-4f;

    /// <summary>e to the power of x, within 2 units in the last place between the limits; NaN stays.</summary>
    /// <remarks>x = n·ln 2 + r with |r| ≤ ½ ln 2; the series of e to the power of r ends after r⁷, 5e-9 of the value; n
    /// is added to the exponent's bits.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Exp(Vector<float> x)
    {
        Vector<float> inside = Vector.MaxNative(Vector.MinNative(x, Of(HighestExponent)), Of(LowestExponent));
        Vector<float> rounded = Vector.MultiplyAddEstimate(inside, Of(OneOverLn2), Of(Rounder)), n = rounded - Of(Rounder);
        Vector<float> r = Vector.MultiplyAddEstimate(n, Of(-Ln2Low), Vector.MultiplyAddEstimate(n, Of(-Ln2High), inside));
        Vector<float> sum = Vector.MultiplyAddEstimate(r, Of(1f / 5040), Of(1f / 720));
        sum = Vector.MultiplyAddEstimate(sum, r, Of(1f / 120));
        sum = Vector.MultiplyAddEstimate(sum, r, Of(1f / 24));
        sum = Vector.MultiplyAddEstimate(sum, r, Of(1f / 6));
        sum = Vector.MultiplyAddEstimate(sum, r, Of(0.5f));
        sum = Vector.MultiplyAddEstimate(sum, r, Of(1));
        sum = Vector.MultiplyAddEstimate(sum, r, Of(1));
        Vector<float> power = Vector.AsVectorSingle(Vector.AsVectorInt32(sum) + Vector.ShiftLeft(Vector.AsVectorInt32(rounded), 23));
        power = Vector.ConditionalSelect(Vector.LessThan(x, Of(LowestExponent)), Vector<float>.Zero, power);
        return Vector.ConditionalSelect(Vector.Equals(x, x), power, x);
    }

    /// <summary>1/(1 + e to the power of −x), within 3 units in the last place and 1e-38.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Sigmoid(Vector<float> x) => Vector<float>.One / (Vector<float>.One + Exp(-x));

    /// <summary>Terms 2/√π·(−1)ⁿ/(n!·(2n + 1)) of the series of erf, the last first.</summary>
    private static readonly float[] ErfSeries = [.. Enumerable.Range(0, 12).Reverse().Select(n =>
        (float)(2 / Math.Sqrt(Math.PI) * (n % 2 == 0 ? 1 : -1)
            / (Enumerable.Range(1, n).Aggregate(1.0, (f, k) => f * k) * ((2 * n) + 1))))];

    /// <summary>erfc(x) = t·exp(−x² + p(t)), t = 1/(1 + x/2), x ≥ 0: a Chebyshev fit with a relative error of 1.2e-7
    /// (Press et al., Numerical Recipes).</summary>
    private static readonly float[] ErfcFit = [0.17087277f, -0.82215223f, 1.48851587f, -1.13520398f, 0.27886807f, -0.18628806f, 0.09678418f,
        0.37409196f, 1.00002368f, -1.26551223f];

    /// <summary>The error function, within 2e-7; NaN stays.</summary>
    /// <remarks>Up to 1 its series, twelve terms; from there by the complement.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Erf(Vector<float> x)
    {
        Vector<float> size = Vector.Abs(x), square = x * x;
        Vector<float> series = Of(ErfSeries[0]);
        for (int i = 1; i < ErfSeries.Length; i++) series = Vector.MultiplyAddEstimate(series, square, Of(ErfSeries[i]));
        Vector<float> t = Vector<float>.One / Vector.MultiplyAddEstimate(size, Of(0.5f), Vector<float>.One), fit = Of(ErfcFit[0]);
        for (int i = 1; i < ErfcFit.Length; i++) fit = Vector.MultiplyAddEstimate(fit, t, Of(ErfcFit[i]));
        Vector<float> far = Vector.CopySign(Vector<float>.One - (t * Exp(fit - square)), x);
        return Vector.ConditionalSelect(Vector.LessThan(size, Vector<float>.One), series * x, far);
    }

    /// <summary>0 for what is negative; NaN stays.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Relu(Vector<float> x) =>
        Vector.ConditionalSelect(Vector.LessThan(x, Vector<float>.Zero), Vector<float>.Zero, x);

    /// <summary><paramref name="value"/> where x is above 0, elsewhere 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> WherePositive(Vector<float> x, Vector<float> value) =>
        Vector.ConditionalSelect(Vector.GreaterThan(x, Vector<float>.Zero), value, Vector<float>.Zero);

    /// <summary>The largest of some floats, −∞ of none; NaN when there is one.</summary>
    public static unsafe float Max(float* values, nint length)
    {
        Vector<float> highest = Of(float.NegativeInfinity);
        nint i = 0;
        for (; i <= length - Vector<float>.Count; i += Vector<float>.Count) highest = Vector.Max(highest, Vector.Load(values + i));
        if (i < length) highest = Vector.Max(highest, LoadSome(values + i, length - i, float.NegativeInfinity));
        float result = highest[0];
        for (int lane = 1; lane < Vector<float>.Count; lane++) result = MathF.Max(result, highest[lane]);
        return result;
    }

    /// <summary>The first <paramref name="count"/> floats at <paramref name="source"/>, at most as many as lanes; the
    /// other lanes are <paramref name="rest"/>.</summary>
    public static unsafe Vector<float> LoadSome(float* source, nint count, float rest = 0)
    {
        Vector<float> all = Vector.Create(rest);
        Unsafe.CopyBlockUnaligned(&all, source, (uint)(count * sizeof(float)));
        return all;
    }

    /// <summary>The first <paramref name="count"/> lanes to memory.</summary>
    public static unsafe void StoreSome(Vector<float> value, float* target, nint count) =>
        Unsafe.CopyBlockUnaligned(target, &value, (uint)(count * sizeof(float)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> Of(float value) => Vector.Create(value);
}
