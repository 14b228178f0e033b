namespace OrtCpr.Kernels;

/// <summary>
/// What a regularizer knows of a run of elements, in double. For a plain sum: the sum of its terms, mean 0. For the standard
/// deviation: the mean, and the sum of squared deviations from it.</summary>
internal readonly record struct RegularizerSum(double Count, double Total, double Mean)
{
    /// <summary>The sum over both runs (Chan, Golub, LeVeque 1979); with both means 0 it is the plain sum.</summary>
    /// <remarks>Equal means stay bit-equal and add nothing, so a constant tensor has a deviation of exactly 0.</remarks>
    public static RegularizerSum Combine(in RegularizerSum a, in RegularizerSum b)
    {
        double count = a.Count + b.Count;
        if (a.Count == 0 || b.Count == 0)
            return a.Count == 0 ? b : a;
        double difference = b.Mean - a.Mean;
        return new(
            count,
            a.Total + b.Total + (difference * difference * a.Count * b.Count / count),
            a.Mean + (difference * b.Count / count));
    }
}
