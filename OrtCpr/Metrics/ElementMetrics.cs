using OrtCpr.Graph;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Metrics;

/// <summary>A figure of the differences between a model output and a label of the same shape.</summary>
internal abstract class ElementMetric(string? output, string? label) : Metric
{
    /// <inheritdoc/>
    public override IReadOnlyList<string?> Outputs => [output];

    internal override MetricKind Kind => MetricKind.Elements;

    internal override string? Problem(MetricSource source) => source.Output(output)?.Shape is Shape found
        && source.Label(label) is { Dimensions: IReadOnlyList<string> expected } given && found.Rank != expected.Count
        ? $"output '{source.OutputName(output)}' has shape {found}, label {given} another rank; expected the same shape" : null;

    /// <summary>What was found and what was expected, element by element.</summary>
    /// <exception cref="DriverException">The shapes differ.</exception>
    protected (double[] Found, double[] Expected) Read(MetricBatch batch)
    {
        TensorData found = batch.Output(output), expected = batch.Label(label);
        return found.Dimensions.SequenceEqual(expected.Dimensions) ? (found.ToDoubles(), expected.ToDoubles())
            : throw new DriverException($"Metric '{Name}': output {found} and label {expected} differ in shape.");
    }
}

/// <summary>Mean of a function of the differences. Lower is better.</summary>
internal sealed class MeanDifference(string name, Func<double, double> of, string? output, string? label) : ElementMetric(output, label)
{
    /// <inheritdoc/>
    public override string Name => name;

    /// <inheritdoc/>
    public override bool HigherIsBetter => false;

    /// <inheritdoc/>
    public override MetricSum Start() => new WeightedSum(b =>
    {
        (double[] found, double[] expected) = Read(b);
        return (found.Zip(expected, (x, y) => of(x - y)).Sum(), found.Length);
    });
}

/// <summary>1 − Σ (y − x)² / Σ (y − mean y)²: the share of the variance of the labels that the output explains.</summary>
internal sealed class ExplainedVariance(string? output, string? label) : ElementMetric(output, label)
{
    /// <summary><c>r2</c>.</summary>
    public override string Name => "r2";

    /// <inheritdoc/>
    public override MetricSum Start() => new Sum(this);

    /// <summary>Mean and squared deviations of the labels, updated one by one (Welford): a mean far from 0 costs no digits.</summary>
    private sealed class Sum(ExplainedVariance metric) : MetricSum
    {
        private double _errors, _mean, _deviations;
        private long _count;

        public override double Value => _count == 0 ? double.NaN : _deviations == 0 ? _errors == 0 ? 1 : 0 : 1 - (_errors / _deviations);

        public override void Add(MetricBatch batch)
        {
            (double[] found, double[] expected) = metric.Read(batch);
            for (int i = 0; i < found.Length; i++)
            {
                _errors += (found[i] - expected[i]) * (found[i] - expected[i]);
                double difference = expected[i] - _mean;
                _mean += difference / ++_count;
                _deviations += difference * (expected[i] - _mean);
            }
        }
    }
}
