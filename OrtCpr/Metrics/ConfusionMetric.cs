namespace OrtCpr.Metrics;

/// <summary>A figure of a confusion matrix: of one class, or its mean over the classes.</summary>
internal sealed class ConfusionMetric(string name, Func<ConfusionMatrix, int, double> figure, int? of, string? output, string? label)
    : Metric
{
    /// <inheritdoc/>
    public override string Name => name;

    /// <inheritdoc/>
    public override IReadOnlyList<string?> Outputs => [output];

    internal override MetricKind Kind => MetricKind.Classes;

    internal override string? Problem(MetricSource source) => ClassScores.Problem(source, output, label);

    /// <inheritdoc/>
    public override MetricSum Start() => new ConfusionSum(this, output, label);

    private double Of(ConfusionMatrix matrix) => of is not int one ? matrix.Mean(c => figure(matrix, c))
        : one < matrix.Classes ? figure(matrix, one)
        : throw new DriverException($"Metric '{name}' is of class {one}, and the model has {matrix.Classes} classes.");

    /// <summary>What has been counted so far.</summary>
    internal sealed class ConfusionSum(ConfusionMetric metric, string? output, string? label) : MetricSum
    {
        private long[,]? _counts;

        /// <summary>The matrix; null without a batch.</summary>
        public ConfusionMatrix? Matrix => _counts is null ? null : new ConfusionMatrix(_counts);

        public override double Value => Matrix is ConfusionMatrix matrix ? metric.Of(matrix) : double.NaN;

        public override void Add(MetricBatch batch)
        {
            ClassScores scores = ClassScores.Of(metric.Name, batch, output, label, null);
            _counts ??= new long[scores.Classes, scores.Classes];
            ReadOnlySpan<long> truths = scores.Labels.AsSpan<long>();
            double[] row = new double[scores.Classes];
            for (int i = 0; i < truths.Length; i++)
            {
                if (truths[i] == scores.Ignored) continue;
                scores.Row(i, row);
                _counts[truths[i], ClassScores.Highest(row)]++;
            }
        }
    }
}
