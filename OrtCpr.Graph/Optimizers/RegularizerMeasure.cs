using System.Numerics;

namespace OrtCpr.Graph.Optimizers;

/// <summary>R(W) of values on the host.</summary>
internal static class RegularizerMeasure
{
    /// <summary>Measures a matrix as a constraint does, in double.</summary>
    /// <typeparam name="T">A floating type.</typeparam>
    /// <param name="regularizer">Which measure.</param>
    /// <param name="values">All elements, in any order; none gives 0.</param>
    public static double Measure<T>(this Regularizer regularizer, ReadOnlySpan<T> values) where T : INumberBase<T>
    {
        double mean = 0, sum = 0;
        if (regularizer == Regularizer.Std)
        {
            foreach (T value in values) mean += double.CreateChecked(value) / values.Length;
        }
        foreach (T value in values)
        {
            double x = double.CreateChecked(value), size = Math.Abs(x);
            sum += regularizer switch
            {
                Regularizer.L1 => size,
                Regularizer.Huber => size < 1 ? x * x / 2 : size - 0.5,
                Regularizer.Std => (x - mean) * (x - mean),
                _ => x * x,
            };
        }
        return regularizer == Regularizer.Std ? Math.Sqrt(sum / Math.Max(1, values.Length - 1)) : sum;
    }
}
