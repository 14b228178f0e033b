using System.Runtime.CompilerServices;
using ILGPU;

namespace OrtCpr.CudaKernels;

/// <summary>Functions that PTX has no exact instruction for.</summary>
internal static class DeviceMath
{
    private const double Log2E = 1.4426950408889634, Ln2High = 0.693147180369123816490, Ln2Low = 1.90821492927058770002e-10;

    /// <summary>1 − β^t by −ln(β)/2: −expm1(−2·t·half), a few units of the last place in double; 1 for β = 0.</summary>
    public static double BiasCorrection(double halfLogBeta, long step) => -ExpMinusOne(-2 * halfLogBeta * step);

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

    /// <summary>The nearest integer of a number that is no larger than a 32-bit one: adding and taking away 1.5·2⁵² rounds.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static double Round(double x) => (double)(long)(x + (x < 0 ? -0.5 : 0.5));
}
