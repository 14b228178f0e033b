namespace OrtCpr.Metrics;

/// <summary>Area under the receiver operating characteristic: the chance that a row of a class has a higher probability of it than one
/// of another class, half of it for equals. Holds a number a row and class.</summary>
internal sealed class RocAuc(int? of, string? output, string? label) : Metric
{
    /// <summary><c>auc</c>.</summary>
    public override string Name => "auc";

    /// <inheritdoc/>
    public override IReadOnlyList<string?> Outputs => [output];

    internal override MetricKind Kind => MetricKind.Classes;

    internal override string? Problem(MetricSource source) => ClassScores.Problem(source, output, label);

    /// <inheritdoc/>
    public override MetricSum Start() => new Sum(this);

    /// <summary>By ranks (Mann and Whitney): those of equal scores are their mean.</summary>
    /// <returns>NaN where one side is empty.</returns>
    internal static double Area(IReadOnlyList<double> scores, IReadOnlyList<bool> isOf)
    {
        int[] order = [.. Enumerable.Range(0, scores.Count).OrderBy(i => scores[i])];
        long positives = isOf.LongCount(p => p), negatives = isOf.Count - positives;
        double ranks = 0;
        for (int first = 0; first < order.Length;)
        {
            int end = first;
            while (end < order.Length && scores[order[end]].Equals(scores[order[first]])) end++;
            double rank = (first + 1 + end) / 2.0;
            for (; first < end; first++)
            {
                if (isOf[order[first]]) ranks += rank;
            }
        }
        return positives == 0 || negatives == 0 ? double.NaN : (ranks - (positives * (positives + 1) / 2.0)) / positives / negatives;
    }

    private sealed class Sum(RocAuc metric) : MetricSum
    {
        private readonly List<double> _scores = [];
        private readonly List<int> _truths = [];
        private int _classes;

        public override double Value
        {
            get
            {
                int? one = metric.Class(_classes);
                double[] areas = [.. (one is int c ? [c] : Enumerable.Range(0, _classes)).Select(AreaOf).Where(a => !double.IsNaN(a))];
                return areas.Length == 0 ? double.NaN : areas.Average();
            }
        }

        public override void Add(MetricBatch batch)
        {
            ClassScores scores = ClassScores.Of(metric.Name, batch, metric.Outputs[0], metric.LabelName, null);
            _classes = (int)scores.Classes;
            ReadOnlySpan<long> truths = scores.Labels.AsSpan<long>();
            double[] row = new double[_classes];
            for (int i = 0; i < truths.Length; i++)
            {
                if (truths[i] == scores.Ignored) continue;
                scores.Row(i, row);
                AddScores(row);
                _truths.Add((int)truths[i]);
            }
        }

        /// <summary>Probabilities; of two classes the difference of the scores, which ranks alike and does not saturate.</summary>
        private void AddScores(double[] row)
        {
            if (row is [double no, double yes])
            {
                _scores.AddRange([no - yes, yes - no]);
                return;
            }
            double highest = row.Max(), sum = row.Sum(z => Math.Exp(z - highest));
            _scores.AddRange(row.Select(z => Math.Exp(z - highest) / sum));
        }

        private double AreaOf(int c) => Area(
            [.. Enumerable.Range(0, _truths.Count).Select(i => _scores[(i * _classes) + c])],
            [.. _truths.Select(t => t == c)]);
    }

    private string? LabelName => label;

    /// <summary>The class that is looked at; null for the mean over all.</summary>
    private int? Class(int classes) => of is null ? classes == 2 ? 1 : null : of < classes || classes == 0 ? of
        : throw new DriverException($"Metric '{Name}' is of class {of}, and the model has {classes} classes.");
}
