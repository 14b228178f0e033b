using OrtCpr.Graph;

namespace OrtCpr;

public sealed partial class TrainingDriver
{
    /// <summary>A copy of a parameter's gradient, as accumulated so far: of A batches, A times that of one batch of them all.</summary>
    /// <exception cref="DriverException">There is no such parameter.</exception>
    public TensorData GetGradient(string parameter)
    {
        TensorData gradient = Optimizer.GetGradient(parameter);
        double factor = AccumulationFactor;
        if (factor == 1) return gradient;
        double[] scaled = [.. gradient.ToDoubles().Select(d => d * factor)];
        return TensorData.From<double>(scaled, [.. gradient.Dimensions]).ConvertTo(gradient.Type);
    }

    /// <summary>The values of the loss's terms in the last TrainStep, then what each divides by; empty where the plan does not
    /// tell.</summary>
    internal IReadOnlyList<double> LossFigures => _figures is null ? []
        : [.. Enumerable.Range(0, 2 * Plan.LossTerms.Count).Select(i => Optimizer.Store.Number(_figures, i))];

    /// <summary>What makes the mean of the accumulated gradients, each counted once, their mean weighted by what the loss divides
    /// by.</summary>
    private double AccumulationFactor
    {
        get
        {
            if (_weight is null || AccumulatedSteps < 2) return 1;
            double sum = Optimizer.Store.Number(_weight, 1);
            return sum == 0 ? 1 : AccumulatedSteps * Optimizer.Store.Number(_weight, 0) / sum;
        }
    }
}
