namespace OrtCpr.Tests.Kernels;

/// <summary>R and ∇R as the specification's table has them, in float64 and plain loops.</summary>
internal static class ReferenceRegularizer
{
    public static double Value(string name, double[] values)
    {
        double sum = 0;
        switch (name)
        {
            case "l2":
                foreach (double x in values)
                    sum += x * x;
                return sum;
            case "l1":
                foreach (double x in values)
                    sum += Math.Abs(x);
                return sum;
            case "huber":
                foreach (double x in values)
                    sum += Math.Abs(x) < 1 ? x * x / 2 : Math.Abs(x) - 0.5;
                return sum;
            case "std":
                if (values.Length < 2)
                    return 0;
                double mean = Mean(values);
                foreach (double x in values)
                    sum += (x - mean) * (x - mean);
                return Math.Sqrt(sum / (values.Length - 1));
            default:
                throw new ArgumentException(name);
        }
    }

    public static double[] Gradient(string name, double[] values)
    {
        double mean = Mean(values);
        double deviation = name == "std" ? Value(name, values) : 0;
        return Array.ConvertAll(values, x => name switch
        {
            "l2" => 2 * x,
            "l1" => Math.Sign(x),
            "huber" => Math.Abs(x) < 1 ? x : Math.Sign(x),
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
