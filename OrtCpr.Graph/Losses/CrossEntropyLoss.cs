using System.Collections.Immutable;
using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Ir;
using static System.FormattableString;

namespace OrtCpr.Graph.Losses;

/// <summary>Cross-entropy of class indices from logits (PyTorch <c>CrossEntropyLoss</c>).</summary>
/// <remarks>Logits [B,C], [B,T,V] (classes last) or [B,C,…] (classes second); labels Int64 of the logits' shape without
/// the class axis. The mean divides by the summed class weights of the labels that count.</remarks>
public sealed record CrossEntropyLoss : Loss
{
    /// <summary>Name of the input with the labels. Default <c>labels</c>.</summary>
    public string LabelName { get; init; } = "labels";

    /// <inheritdoc/>
    public override IReadOnlyList<string> Labels => [LabelName];

    /// <summary>Axis of the classes; negative counts from the end. Default: the last axis for logits of rank 2 and 3,
    /// axis 1 for more.</summary>
    public int? ClassAxis { get; init; }

    /// <summary>Rows with this label do not count. Default −100.</summary>
    public long IgnoreIndex { get; init; } = -100;

    /// <summary>Share of the target spread evenly over all classes, in [0, 1]. Default 0.</summary>
    public double LabelSmoothing { get; init; }

    /// <summary>One weight a class; empty for none (default).</summary>
    public ImmutableArray<float> ClassWeights { get; init; } = [];

    /// <summary>Mean (default) or sum over the rows that count.</summary>
    public Reduction Reduction { get; init; } = Reduction.Mean;

    internal override Value Attach(LossContext context)
    {
        GraphBuilder g = context.G;
        Value logits = context.FindFloating(Output);
        Shape shape = logits.Shape!;
        if (shape.Rank < 2)
        {
            throw new OptionException(
                $"Cross-entropy takes output '{logits.Name}' of shape {shape}; expected logits of rank 2 or more ([batch, classes]).");
        }
        int axis = ClassAxis is int given ? shape.Axis(given) : shape.Rank <= 3 ? shape.Rank - 1 : 1;
        if (axis < 0 || axis >= shape.Rank)
        {
            throw new OptionException(
                $"{nameof(ClassAxis)} is {ClassAxis}; output '{logits.Name}' has rank {shape.Rank}, expected {-shape.Rank} to "
                + $"{shape.Rank - 1}.");
        }
        if (!ClassWeights.IsDefaultOrEmpty && shape[axis].Known is long classes && classes != ClassWeights.Length)
        {
            throw new OptionException(
                $"{nameof(ClassWeights)} has {ClassWeights.Length} entries; output '{logits.Name}' has {classes} classes on axis {axis}.");
        }
        Value labels = context.Label(LabelName, ElementType.Int64, new Shape(shape.Where((_, i) => i != axis)));

        Value rows = logits, flat = labels;
        if (axis != shape.Rank - 1)
            rows = g.Transpose(logits, [.. Enumerable.Range(0, shape.Rank).Where(i => i != axis).Append(axis).Select(i => (long)i)]);
        if (shape.Rank > 2)
        {
            rows = shape[axis].Known is long c ? g.Reshape(rows, -1, c) : g.Op("Flatten", [rows], ("axis", shape.Rank - 1));
            flat = g.Reshape(labels, -1);
        }
        return Rows(g, rows, flat);
    }

    /// <summary>Logits [N, C], labels [N].</summary>
    private Term Rows(GraphBuilder g, Value logits, Value labels)
    {
        ElementType type = logits.Type;
        Term counts = !g.Equal(labels, g.Int(IgnoreIndex));
        Term safe = g.Where(counts, labels, 0);
        // Attributes of operators are float32, too coarse a share for other types.
        if (ClassWeights.IsDefaultOrEmpty && (LabelSmoothing == 0 || type == ElementType.Float))
        {
            // Selected, not multiplied: the loss of a row that does not count may be infinite.
            Term each = g.Where(counts, CrossEntropy.LossOfRows(g, logits, safe, (float)LabelSmoothing), 0);
            Term total = g.ReduceSum(each, false);
            return Reduction == Reduction.Sum ? total : total / g.ReduceSum(g.Cast(counts, type), false);
        }
        Term logProbability = g.LogSoftmax(logits, -1);
        Term picked = g.Squeeze(g.Op("GatherElements", [logProbability, g.Unsqueeze(safe, 1)], ("axis", 1)), 1);
        Term weight = g.Cast(counts, type);
        Value? classes = ClassWeights.IsDefaultOrEmpty ? null
            : g.Constant(GraphBuilder.FloatVector(type, [.. ClassWeights.Select(w => (double)w)]));
        if (classes is not null) weight = weight * g.Gather(classes, safe);
        Term loss = -g.ReduceSum(picked * weight, false);
        if (LabelSmoothing != 0)
        {
            Term spread = classes is null ? logProbability : logProbability * classes;
            Term perRow = g.ReduceSum(spread, false, -1);
            Term smooth = -g.ReduceSum(perRow * g.Cast(counts, type), false);
            Term n = logits.Shape?[1].Known is long c ? g.Scalar(c, type) : g.Cast(g.Squeeze(g.DimOf(logits, 1), 0), type);
            loss = loss * (1 - LabelSmoothing) + smooth / n * LabelSmoothing;
        }
        return Reduction == Reduction.Sum ? loss : loss / g.ReduceSum(weight, false);
    }

    internal override IEnumerable<string> Problems()
    {
        if (!(LabelSmoothing is >= 0 and <= 1)) yield return Invariant($"{nameof(LabelSmoothing)} is {LabelSmoothing}; expected 0 to 1");
        if (!ClassWeights.IsDefaultOrEmpty && ClassWeights.Any(w => !(w >= 0)))
            yield return $"{nameof(ClassWeights)} has a weight below 0 or NaN; expected at least 0";
        if (string.IsNullOrEmpty(LabelName)) yield return $"{nameof(LabelName)} is empty";
    }
}
