using OrtCpr.Graph;

namespace OrtCpr.Metrics;

/// <summary>e to the power of the mean loss, for a cross-entropy in nats. Lower is better.</summary>
internal sealed class Perplexity : Metric
{
    /// <summary><c>perplexity</c>.</summary>
    public override string Name => "perplexity";

    /// <inheritdoc/>
    public override bool HigherIsBetter => false;

    /// <inheritdoc/>
    public override IReadOnlyList<string?> Outputs => [];

    /// <inheritdoc/>
    public override MetricSum Start() => new WeightedSum(b => (b.Loss * b.LossWeight, b.LossWeight), Math.Exp);
}

/// <summary>Mean of the squared differences between a model output and a label of the same shape. Lower is better.</summary>
internal sealed class MeanSquaredError(string? output, string? label) : Metric
{
    /// <summary><c>mse</c>.</summary>
    public override string Name => "mse";

    /// <inheritdoc/>
    public override bool HigherIsBetter => false;

    /// <inheritdoc/>
    public override IReadOnlyList<string?> Outputs => [output];

    internal override MetricKind Kind => MetricKind.Elements;

    internal override string? Problem(MetricSource source) => source.Output(output)?.Shape is Graph.Ir.Shape found
        && source.Label(label) is { Dimensions: IReadOnlyList<string> expected } given && found.Rank != expected.Count
        ? $"output '{source.OutputName(output)}' has shape {found}, label {given} another rank; expected the same shape" : null;

    /// <inheritdoc/>
    public override MetricSum Start() => new WeightedSum(Measure);

    private (double Sum, double Weight) Measure(MetricBatch batch)
    {
        TensorData found = batch.Output(output), expected = batch.Label(label);
        if (!found.Dimensions.SequenceEqual(expected.Dimensions))
            throw new DriverException($"Metric '{Name}': output {found} and label {expected} differ in shape.");
        return (found.ToDoubles().Zip(expected.ToDoubles(), (a, b) => (a - b) * (a - b)).Sum(), found.ElementCount);
    }
}
