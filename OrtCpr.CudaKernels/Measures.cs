using OrtCpr.Graph.Optimizers;
using OrtCpr.Kernels;

namespace OrtCpr.CudaKernels;

/// <summary>The regularizers element by element; what <c>IRegularizer</c> is on the CPU.</summary>
internal static class Measures
{
    /// <summary>The term of an element in the sum, or its distance from where a thread began for the standard deviation.</summary>
    public static double Term(int regularizer, float value, float first)
    {
        if (regularizer == (int)Regularizer.L2)
            return (double)value * value;
        float size = value < 0 ? -value : value;
        if (regularizer == (int)Regularizer.L1)
            return size;
        if (regularizer == (int)Regularizer.Std)
            return (double)value - first;
        // A NaN is no smaller than 1, and stays.
        float bounded = size < 1 ? size : 1;
        return (double)bounded * (size - (0.5 * bounded));
    }

    /// <summary>R of a whole tensor.</summary>
    public static double Value(int regularizer, RegularizerSum sum) => regularizer != (int)Regularizer.Std ? sum.Total
        : sum.Count > 1 ? Math.Sqrt(sum.Total / (sum.Count - 1)) : 0;

    /// <summary>What stands between <see cref="Direction"/> and ∇R.</summary>
    public static double DirectionScale(int regularizer, RegularizerSum sum)
    {
        if (regularizer != (int)Regularizer.Std)
            return regularizer == (int)Regularizer.L2 ? 2 : 1;
        double deviation = Value(regularizer, sum);
        return deviation == 0 ? 0 : 1 / ((sum.Count - 1) * deviation);
    }

    /// <summary>∇R of an element but for a factor.</summary>
    public static float Direction(int regularizer, float value, float mean)
    {
        if (regularizer == (int)Regularizer.L2)
            return value;
        if (regularizer == (int)Regularizer.Std)
            return value - mean;
        if (regularizer == (int)Regularizer.L1)
            return value > 0 ? 1 : value < 0 ? -1 : value;
        return value > 1 ? 1 : value < -1 ? -1 : value;
    }
}
