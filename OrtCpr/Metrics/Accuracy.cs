using OrtCpr.Graph;

namespace OrtCpr.Metrics;

/// <summary>Share of rows whose label is among the classes with the highest scores. Of labels that are probabilities of classes,
/// [B, C], it is the class of the highest one.</summary>
internal sealed class Accuracy(int top, string? output, string? label, long? ignoreIndex) : Metric
{
    private readonly int _top = top >= 1 ? top
        : throw new OptionException($"{nameof(Metric)}.{nameof(Accuracy)}: {nameof(top)} is {top}; expected at least 1.");

    /// <summary><c>accuracy</c>, or <c>top5</c> and the like.</summary>
    public override string Name => _top == 1 ? "accuracy" : $"top{_top}";

    /// <inheritdoc/>
    public override IReadOnlyList<string?> Outputs => [output];

    internal override MetricKind Kind => MetricKind.Classes;

    internal override string? Problem(MetricSource source) => ClassScores.Problem(source, output, label);

    /// <inheritdoc/>
    public override MetricSum Start() => new WeightedSum(Measure);

    private (double Hits, double Rows) Measure(MetricBatch batch)
    {
        ClassScores scores = ClassScores.Of(Name, batch, output, label, ignoreIndex);
        ReadOnlySpan<long> truths = scores.Labels.AsSpan<long>();
        double[] row = new double[scores.Classes];
        long hits = 0, rows = 0;
        for (int i = 0; i < truths.Length; i++)
        {
            if (truths[i] == scores.Ignored) continue;
            rows++;
            scores.Row(i, row);
            if (Rank(row, (int)truths[i]) < _top) hits++;
        }
        return (hits, rows);
    }

    /// <summary>How many classes come before the true one.</summary>
    private static long Rank(ReadOnlySpan<double> scores, int truth)
    {
        double own = scores[truth];
        long before = 0;
        for (int c = 0; c < scores.Length; c++)
        {
            double other = scores[c];
            bool isBefore = other > own || (other == own && c < truth) || (double.IsNaN(own) && (!double.IsNaN(other) || c < truth));
            if (c != truth && isBefore) before++;
        }
        return before;
    }
}
