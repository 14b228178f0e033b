using System.Runtime.CompilerServices;
using ILGPU;

namespace OrtCpr.CudaKernels;

/// <summary>Functions that PTX has no exact instruction for.</summary>
internal static class DeviceMath
{
    private const double Log2E = 1.4426950408889634, Ln2High = 0.693147180369123816490, Ln2Low = 1.90821492927058770002e-10;

    /// <summary>1 − β^t by −ln(β)/2: −expm1(−2·t·half), a few units of the last place in double; 1 for β = 0.</summary>
    public static double BiasCorrection(double halfLogBeta, long step) => -ExpMinusOne(-2 * halfLogBeta * step);

    /// <summary>a / b of numbers that are not negative: a 64-bit division takes four times as long as one of 32 bits.</summary>
    public static long Divide(long a, long b) => (a | b) <= uint.MaxValue ? (uint)a / (uint)b : a / b;

    /// <summary>exp(x) − 1 for x ≤ 0.</summary>
    public static double ExpMinusOne(double x)
    {
        if (x < -745)
            return -1;
        if (x > -0.25)
            return x * (1 + Series(x));
        return Exp(x) - 1;
    }

    /// <summary>exp(x) in double, for |x| below 700.</summary>
    public static double Exp(double x)
    {
        double n = Round(x * Log2E);
        double r = x - (n * Ln2High) - (n * Ln2Low);
        double power = Interop.IntAsFloat((ulong)((long)n + 1023) << 52);
        return (1 + (r * (1 + Series(r)))) * power;
    }

    /// <summary>x/2! + x²/3! + … for |x| below 0.35: the term after the last is below 1e-17.</summary>
    private static double Series(double x)
    {
        double sum = 1.0 / 87178291200;
        sum = (sum * x) + (1.0 / 6227020800);
        sum = (sum * x) + (1.0 / 479001600);
        sum = (sum * x) + (1.0 / 39916800);
        sum = (sum * x) + (1.0 / 3628800);
        sum = (sum * x) + (1.0 / 362880);
        sum = (sum * x) + (1.0 / 40320);
        sum = (sum * x) + (1.0 / 5040);
        sum = (sum * x) + (1.0 / 720);
        sum = (sum * x) + (1.0 / 120);
        sum = (sum * x) + (1.0 / 24);
        sum = (sum * x) + (1.0 / 6);
        sum = (sum * x) + (1.0 / 2);
        return sum * x;
    }

    /// <summary>The nearest integer.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static double Round(double x) => (double)(long)(x + (x < 0 ? -0.5 : 0.5));

    /// <summary>ln x of a positive number, in double; −∞ of 0, and what is no number stays.</summary>
    public static double Log(double x)
    {
        if (!(x > 0) || x > double.MaxValue)
            return x == 0 ? double.NegativeInfinity : x > 0 ? x : double.NaN;
        ulong bits = Interop.FloatAsInt(x);
        int exponent = (int)(bits >> 52) - 1023;
        double m = Interop.IntAsFloat((bits & 0xFFFFFFFFFFFFFUL) | 0x3FF0000000000000UL);
        if (m > 1.4142135623730951)
        {
            m *= 0.5;
            exponent++;
        }
        double s = (m - 1) / (m + 1), square = s * s, sum = 1.0 / 21;
        // ln m = 2(s + s³/3 + …): the first term that is left out is below 1e-17 of the value.
        for (int n = 19; n > 0; n -= 2)
            sum = (sum * square) + (1.0 / n);
        return (exponent * Ln2High) + ((exponent * Ln2Low) + (2 * s * sum));
    }

    /// <summary>e to the power of x, within 2 units in the last place; 0 below −87.3, where it would be subnormal, and 2.2e38 from 88.3
    /// on; NaN stays. The function of the CPU's kernels.</summary>
    public static float Exp(float x)
    {
        if (float.IsNaN(x) || x < -87.3f)
            return float.IsNaN(x) ? x : 0;
        float inside = x > 88.3f ? 88.3f : x;
        int n = (int)((inside * 1.44269504f) + (inside < 0 ? -0.5f : 0.5f));
        float r = inside - (n * 0.693359375f) + (n * 2.12194440e-4f);
        float sum = (r * (1f / 5040)) + (1f / 720);
        sum = (sum * r) + (1f / 120);
        sum = (sum * r) + (1f / 24);
        sum = (sum * r) + (1f / 6);
        sum = (sum * r) + 0.5f;
        sum = (sum * r) + 1;
        sum = (sum * r) + 1;
        return sum * Interop.IntAsFloat((uint)(n + 127) << 23);
    }

    /// <summary>The error function, within 2e-7; NaN stays. Up to 1 its series; from there by the complement, a Chebyshev fit
    /// (Press et al., Numerical Recipes).</summary>
    public static float Erf(float x)
    {
        float size = x < 0 ? -x : x, square = x * x;
        if (size >= 1)
        {
            float far = 1 - Complement(size, square);
            return x < 0 ? -far : far;
        }
        float series = -1.22905552e-09f;
        series = (series * square) + 1.48071928e-08f;
        series = (series * square) - 1.63658441e-07f;
        series = (series * square) + 1.64621144e-06f;
        series = (series * square) - 1.49256502e-05f;
        series = (series * square) + 0.000120553326f;
        series = (series * square) - 0.000854832702f;
        series = (series * square) + 0.00522397785f;
        series = (series * square) - 0.0268661715f;
        series = (series * square) + 0.112837918f;
        series = (series * square) - 0.376126379f;
        series = (series * square) + 1.12837923f;
        return series * x;
    }

    /// <summary>t·exp(−x² + p(t)), t = 1/(1 + x/2).</summary>
    private static float Complement(float size, float square)
    {
        float t = 1 / ((size * 0.5f) + 1);
        float fit = 0.17087277f;
        fit = (fit * t) - 0.82215223f;
        fit = (fit * t) + 1.48851587f;
        fit = (fit * t) - 1.13520398f;
        fit = (fit * t) + 0.27886807f;
        fit = (fit * t) - 0.18628806f;
        fit = (fit * t) + 0.09678418f;
        fit = (fit * t) + 0.37409196f;
        fit = (fit * t) + 1.00002368f;
        fit = (fit * t) - 1.26551223f;
        return t * Exp(fit - square);
    }
}
