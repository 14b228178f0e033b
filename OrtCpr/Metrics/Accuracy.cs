using System.Numerics;
using OrtCpr.Graph;

namespace OrtCpr.Metrics;

/// <summary>Share of rows whose label is among the classes with the highest scores.</summary>
internal sealed class Accuracy(int top, string? output, string? label, long ignoreIndex) : Metric
{
    private readonly int _top = top >= 1 ? top
        : throw new OptionException($"{nameof(Metric)}.{nameof(Accuracy)}: {nameof(top)} is {top}; expected at least 1.");

    /// <summary><c>accuracy</c>, or <c>top5</c> and the like.</summary>
    public override string Name => _top == 1 ? "accuracy" : $"top{_top}";

    /// <inheritdoc/>
    public override IReadOnlyList<string?> Outputs => [output];

    /// <inheritdoc/>
    public override MetricSum Start() => new WeightedSum(Measure);

    private (double Sum, double Weight) Measure(MetricBatch batch)
    {
        TensorData scores = batch.Output(output), labels = batch.Label(label);
        if (labels.Type != ElementType.Int64 || ClassAxis(scores, labels) is not int axis)
        {
            throw new DriverException(
                $"Metric '{Name}': scores {scores} and labels {labels} do not belong together; "
                + "expected scores [B, C], [B, T, C] or [B, C, …] and Int64 labels without the class axis.");
        }
        long classes = scores.Dimensions[axis], inner = scores.Dimensions.Skip(axis + 1).Aggregate(1L, (n, d) => n * d);
        return scores.Type == ElementType.Float ? Count(scores.AsSpan<float>(), labels.AsSpan<long>(), classes, inner)
            : Count<double>(scores.ToDoubles(), labels.AsSpan<long>(), classes, inner);
    }

    private (double Hits, double Rows) Count<T>(ReadOnlySpan<T> values, ReadOnlySpan<long> truths, long classes,
        long inner) where T : IFloatingPointIeee754<T>
    {
        long hits = 0, rows = 0;
        for (int i = 0; i < truths.Length; i++)
        {
            long truth = truths[i];
            if (truth == ignoreIndex) continue;
            if ((ulong)truth >= (ulong)classes)
                throw new DriverException($"Metric '{Name}': label {truth} at position {i} is outside of the {classes} classes.");
            rows++;
            long first = (i / inner * classes * inner) + (i % inner);
            if (Rank(values, first, inner, classes, truth) < _top) hits++;
        }
        return (hits, rows);
    }

    /// <summary>How many classes come before the true one.</summary>
    private static long Rank<T>(ReadOnlySpan<T> values, long first, long stride, long classes,
        long truth) where T : IFloatingPointIeee754<T>
    {
        T own = values[(int)(first + (truth * stride))];
        long before = 0;
        for (long c = 0; c < classes; c++)
        {
            T other = values[(int)(first + (c * stride))];
            if (c != truth && (other > own || (other == own && c < truth) || (T.IsNaN(own) && (!T.IsNaN(other) || c < truth)))) before++;
        }
        return before;
    }

    private static int? ClassAxis(TensorData scores, TensorData labels)
    {
        int rank = scores.Dimensions.Count;
        if (rank < 2 || labels.Dimensions.Count != rank - 1) return null;
        foreach (int axis in rank == 3 ? [2, 1] : new[] { 1 })
        {
            if (scores.Dimensions.Where((_, i) => i != axis).SequenceEqual(labels.Dimensions)) return axis;
        }
        return null;
    }
}
