using OrtCpr.Graph;

namespace OrtCpr;

public sealed partial class TrainingDriver
{
    /// <summary>Whether accumulated batches count by what the loss divides by, such as the labels that count: then the gradients of A
    /// batches together are A times that of one batch of them all. <see cref="Trainer"/> turns it on while it fits. Default off: gradients
    /// add up as they are, as in ONNX Runtime's training session.</summary>
    /// <remarks>To be changed before the first batch of a step. A loss that is a sum has nothing to weigh by, and adds up.</remarks>
    public bool WeighBatches { get; set; }

    /// <summary>A copy of a parameter's gradient, as accumulated so far.</summary>
    /// <param name="parameter">One that is trained.</param>
    /// <returns>Type and shape of the parameter. With <see cref="WeighBatches"/>: that of one batch of them all, times the number of
    /// batches.</returns>
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
    internal IReadOnlyList<double> LossFigures
    {
        get
        {
            if (_figures is null) return [];
            Optimizer.Device.Wait();
            return Devices.Device.ReadOnHost(_figures).ToDoubles();
        }
    }

    /// <summary>What makes the mean of the accumulated gradients, each counted once, their mean weighted by what the loss divides
    /// by.</summary>
    private double AccumulationFactor
    {
        get
        {
            if (_weight is null || !WeighBatches || AccumulatedSteps < 2) return 1;
            double sum = Optimizer.Store.Number(_weight, 1);
            return sum == 0 ? 1 : AccumulatedSteps * Optimizer.Store.Number(_weight, 0) / sum;
        }
    }
}
