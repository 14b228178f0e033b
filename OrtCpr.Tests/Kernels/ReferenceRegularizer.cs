using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tests.Kernels;

/// <summary>R and ∇R as the specification's table has them, in float64 and plain loops.</summary>
internal static class ReferenceRegularizer
{
    public static double Value(Regularizer name, double[] values)
    {
        double sum = 0;
        switch (name)
        {
            case Regularizer.L2:
                foreach (double x in values)
                    sum += x * x;
                return sum;
            case Regularizer.L1:
                foreach (double x in values)
                    sum += Math.Abs(x);
                return sum;
            case Regularizer.Huber:
                foreach (double x in values)
                    sum += Math.Abs(x) < 1 ? x * x / 2 : Math.Abs(x) - 0.5;
                return sum;
            case Regularizer.Std:
                if (values.Length < 2)
                    return 0;
                double mean = Mean(values);
                foreach (double x in values)
                    sum += (x - mean) * (x - mean);
                return Math.Sqrt(sum / (values.Length - 1));
            default:
                throw new ArgumentOutOfRangeException(nameof(name));
        }
    }

    public static double[] Gradient(Regularizer name, double[] values)
    {
        double mean = Mean(values);
        double deviation = name == Regularizer.Std ? Value(name, values) : 0;
        return Array.ConvertAll(values, x => name switch
        {
            Regularizer.L2 => 2 * x,
            Regularizer.L1 => Math.Sign(x),
            Regularizer.Huber => Math.Abs(x) < 1 ? x : Math.Sign(x),
            _ => deviation == 0 ? 0 : (x - mean) / ((values.Length - 1) * deviation),
        });
    }

    private static double Mean(double[] values)
    {
        double sum = 0;
        foreach (double x in values)
            sum += x;
        return sum / values.Length;
    }
}
