using System.Numerics;
using OrtCpr.Graph;

namespace OrtCpr.Metrics;

/// <summary>Share of rows whose label is among the classes with the highest scores. Of labels that are probabilities of classes,
/// [B, C], it is the class of the highest one.</summary>
internal sealed class Accuracy(int top, string? output, string? label, long? ignoreIndex) : Metric
{
    private const long DefaultIgnored = -100;

    private readonly int _top = top >= 1 ? top
        : throw new OptionException($"{nameof(Metric)}.{nameof(Accuracy)}: {nameof(top)} is {top}; expected at least 1.");

    /// <summary><c>accuracy</c>, or <c>top5</c> and the like.</summary>
    public override string Name => _top == 1 ? "accuracy" : $"top{_top}";

    /// <inheritdoc/>
    public override IReadOnlyList<string?> Outputs => [output];

    internal override MetricKind Kind => MetricKind.Classes;

    internal override string? Problem(MetricSource source)
    {
        if (source.Output(output) is not Graph.Ir.Value scores) return null;
        if (!scores.Type.IsFloating())
            return $"output '{scores.Name}' is {scores.Type}; expected scores of a floating type. Name another output";
        if (source.LabelName(label) is null) return "the loss has several labels; name the one to compare with";
        if (source.Label(label) is not BatchInput labels) return $"there is no label '{label}'";
        if (source.HasProbabilities && labels.Type.IsFloating() && scores.Shape?.Rank == 2) return null;
        if (labels.Type != ElementType.Int64)
            return $"scores '{scores.Name}' {scores.Shape} and label {labels} do not belong together; expected Int64 labels, the classes";
        return scores.Shape is Graph.Ir.Shape shape && (shape.Rank < 2 || (labels.Dimensions is { } dims && dims.Count != shape.Rank - 1))
            ? $"scores '{scores.Name}' {shape} and label {labels} do not belong together; expected labels without the class axis" : null;
    }

    /// <inheritdoc/>
    public override MetricSum Start() => new WeightedSum(Measure);

    private (double Sum, double Weight) Measure(MetricBatch batch)
    {
        TensorData scores = batch.Output(output), labels = batch.Label(label);
        if (batch.Source.HasProbabilities && labels.Dimensions.Count == 2 && labels.Dimensions.SequenceEqual(scores.Dimensions))
            labels = Likeliest(labels);
        if (labels.Type != ElementType.Int64 || ClassAxis(scores, labels, batch.Source.ClassAxis(output)) is not int axis)
        {
            throw new DriverException(
                $"Metric '{Name}': scores {scores} and labels {labels} do not belong together; "
                + "expected scores [B, C], [B, T, C] or [B, C, …] and Int64 labels without the class axis.");
        }
        long classes = scores.Dimensions[axis], inner = scores.Dimensions.Skip(axis + 1).Aggregate(1L, (n, d) => n * d);
        long ignored = ignoreIndex ?? batch.Source.IgnoredLabel ?? DefaultIgnored;
        return scores.Type == ElementType.Float ? Count(scores.AsSpan<float>(), labels.AsSpan<long>(), classes, inner, ignored)
            : Count<double>(scores.ToDoubles(), labels.AsSpan<long>(), classes, inner, ignored);
    }

    /// <summary>The class of the highest probability in each row, the first of several.</summary>
    private static TensorData Likeliest(TensorData probabilities)
    {
        int classes = (int)probabilities.Dimensions[1];
        double[] values = probabilities.ToDoubles();
        long[] labels = new long[probabilities.Dimensions[0]];
        for (int r = 0; r < labels.Length; r++)
        {
            ReadOnlySpan<double> row = values.AsSpan(r * classes, classes);
            labels[r] = System.Numerics.Tensors.TensorPrimitives.IndexOfMax(row);
        }
        return TensorData.From<long>(labels, labels.Length);
    }

    private (double Hits, double Rows) Count<T>(ReadOnlySpan<T> values, ReadOnlySpan<long> truths, long classes,
        long inner, long ignored) where T : IFloatingPointIeee754<T>
    {
        long hits = 0, rows = 0;
        for (int i = 0; i < truths.Length; i++)
        {
            long truth = truths[i];
            if (truth == ignored) continue;
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

    private static int? ClassAxis(TensorData scores, TensorData labels, int? ofLoss)
    {
        int rank = scores.Dimensions.Count;
        if (rank < 2 || labels.Dimensions.Count != rank - 1) return null;
        foreach (int axis in ofLoss is int own ? [own] : rank == 3 ? [2, 1] : new[] { 1 })
        {
            if (scores.Dimensions.Where((_, i) => i != axis).SequenceEqual(labels.Dimensions)) return axis;
        }
        return null;
    }
}
