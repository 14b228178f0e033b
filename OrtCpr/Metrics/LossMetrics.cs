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
