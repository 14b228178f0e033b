using OrtCpr.Graph;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Metrics;

/// <summary>Scores of classes and the labels beside them, as metrics of classes read them from a batch.</summary>
internal sealed class ClassScores
{
    private const long DefaultIgnored = -100;

    private readonly double[]? _wide;
    private readonly TensorData _scores;
    private readonly long _inner;

    private ClassScores(TensorData scores, TensorData labels, int axis, long ignored)
    {
        (_scores, Labels, Ignored) = (scores, labels, ignored);
        Classes = scores.Dimensions[axis];
        _inner = scores.Dimensions.Skip(axis + 1).Aggregate(1L, (n, d) => n * d);
        if (scores.Type != ElementType.Float) _wide = scores.ToDoubles();
    }

    /// <summary>How many classes there are.</summary>
    public long Classes { get; }

    /// <summary>The labels, in the order of the rows.</summary>
    public TensorData Labels { get; }

    /// <summary>The label that does not count.</summary>
    public long Ignored { get; }

    /// <summary>What does not fit, as far as the graph tells; null for nothing.</summary>
    public static string? Problem(MetricSource source, string? output, string? label)
    {
        if (source.Output(output) is not Value scores) return null;
        if (!scores.Type.IsFloating())
            return $"output '{scores.Name}' is {scores.Type}; expected scores of a floating type. Name another output";
        if (source.LabelName(label) is null) return "the loss has several labels; name the one to compare with";
        if (source.Label(label) is not BatchInput labels) return $"there is no label '{label}'";
        if (source.YesFrom(output) is not null && labels.Type.IsFloating()) return null;
        if (source.HasProbabilities && labels.Type.IsFloating() && scores.Shape?.Rank == 2) return null;
        if (labels.Type != ElementType.Int64)
            return $"scores '{scores.Name}' {scores.Shape} and label {labels} do not belong together; expected Int64 labels, the classes";
        return scores.Shape is Shape shape && (shape.Rank < 2 || (labels.Dimensions is { } dims && dims.Count != shape.Rank - 1))
            ? $"scores '{scores.Name}' {shape} and label {labels} do not belong together; expected labels without the class axis" : null;
    }

    /// <summary>Scores and labels of a batch.</summary>
    /// <exception cref="DriverException">They do not belong together, or a label is outside of the classes.</exception>
    public static ClassScores Of(string metric, MetricBatch batch, string? output, string? label, long? ignoreIndex)
    {
        TensorData scores = batch.Output(output), labels = batch.Label(label);
        if (batch.Source.YesFrom(output) is double from && labels.Type.IsFloating() && labels.Dimensions.SequenceEqual(scores.Dimensions))
            (scores, labels) = TwoClasses(scores, labels, from);
        if (batch.Source.HasProbabilities && labels.Dimensions.Count == 2 && labels.Dimensions.SequenceEqual(scores.Dimensions))
            labels = Likeliest(labels);
        if (labels.Type != ElementType.Int64 || ClassAxis(scores, labels, batch.Source.ClassAxis(output)) is not int axis)
        {
            throw new DriverException(
                $"Metric '{metric}': scores {scores} and labels {labels} do not belong together; "
                + "expected scores [B, C], [B, T, C] or [B, C, …] and Int64 labels without the class axis.");
        }
        var found = new ClassScores(scores, labels, axis, ignoreIndex ?? batch.Source.IgnoredLabel ?? DefaultIgnored);
        ReadOnlySpan<long> truths = labels.AsSpan<long>();
        for (int i = 0; i < truths.Length; i++)
        {
            if (truths[i] != found.Ignored && (ulong)truths[i] >= (ulong)found.Classes)
            {
                throw new DriverException(
                    $"Metric '{metric}': label {truths[i]} at position {i} is outside of the {found.Classes} classes.");
            }
        }
        return found;
    }

    /// <summary>The scores of a row, a class each, for reading until the next call.</summary>
    /// <param name="row">Position of its label.</param>
    /// <param name="target">A number a class.</param>
    public void Row(int row, Span<double> target)
    {
        long first = (row / _inner * Classes * _inner) + (row % _inner);
        if (_wide is not null)
        {
            for (int c = 0; c < target.Length; c++) target[c] = _wide[first + (c * _inner)];
            return;
        }
        ReadOnlySpan<float> narrow = _scores.AsSpan<float>();
        for (int c = 0; c < target.Length; c++) target[c] = narrow[(int)(first + (c * _inner))];
    }

    /// <summary>The class with the highest score: the lower of equals, and NaN counts as the lowest, as argmax has it.</summary>
    public static int Highest(ReadOnlySpan<double> scores)
    {
        int best = 0;
        for (int c = 1; c < scores.Length; c++)
        {
            if (scores[c] > scores[best] || (double.IsNaN(scores[best]) && !double.IsNaN(scores[c]))) best = c;
        }
        return best;
    }

    /// <summary>No and yes as classes 0 and 1, each element a row.</summary>
    private static (TensorData Scores, TensorData Labels) TwoClasses(TensorData scores, TensorData labels, double yesFrom)
    {
        double[] both = [.. scores.ToDoubles().SelectMany(s => new[] { yesFrom, s })];
        long[] classes = [.. labels.ToDoubles().Select(y => y >= 0.5 ? 1L : 0)];
        return (TensorData.From<double>(both, classes.Length, 2), TensorData.From<long>(classes, classes.Length));
    }

    /// <summary>The class of the highest probability in each row, the first of several.</summary>
    private static TensorData Likeliest(TensorData probabilities)
    {
        int classes = (int)probabilities.Dimensions[1];
        double[] values = probabilities.ToDoubles();
        long[] labels = new long[probabilities.Dimensions[0]];
        for (int r = 0; r < labels.Length; r++) labels[r] = Highest(values.AsSpan(r * classes, classes));
        return TensorData.From<long>(labels, labels.Length);
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
