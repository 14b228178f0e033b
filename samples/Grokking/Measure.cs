using OrtCpr;
using OrtCpr.Graph.Optimizers;

namespace Grokking;

// The regularizer R of a matrix, on the host and in double: for the log only.
internal static class Measure
{
    public static IEnumerable<ConstraintRow> Rows(TrainingDriver driver, Recipe recipe, long seed, int epoch)
    {
        foreach (ConstraintInfo c in driver.Optimizer.GetConstraints())
            yield return new(recipe.Name, seed, epoch, c.Name, c.Lambda, c.Kappa, Of(recipe.RegFunction, driver.GetParameter(c.Name).AsSpan<float>()));
    }

    public static double Of(Regularizer regularizer, ReadOnlySpan<float> values)
    {
        double sum = 0, mean = 0;
        if (regularizer == Regularizer.Std)
        {
            foreach (float x in values) mean += x;
            mean /= values.Length;
        }
        foreach (float x in values)
        {
            double size = Math.Abs(x);
            sum += regularizer switch
            {
                Regularizer.L1 => size,
                Regularizer.Huber => size < 1 ? size * size / 2 : size - 0.5,
                Regularizer.Std => (x - mean) * (x - mean),
                _ => size * size,
            };
        }
        return regularizer == Regularizer.Std ? Math.Sqrt(sum / Math.Max(1, values.Length - 1)) : sum;
    }
}
