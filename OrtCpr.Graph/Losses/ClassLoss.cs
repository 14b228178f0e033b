using System.Collections.Immutable;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Graph.Losses;

/// <summary>A loss of one class index for each row of scores.</summary>
/// <remarks>Scores [B,C], or of rank 3 and more with the classes on <see cref="ClassAxis"/>; labels Int64 of the scores' shape without
/// that axis, 0 to C − 1 or <see cref="IgnoreIndex"/>. Any other label is refused: by the driver before the step, and by ONNX Runtime on
/// the CPU in the graph. Rows that do not count have neither loss nor gradient, whatever they hold (NaN, −∞); where no row counts, loss
/// and gradient are 0.</remarks>
public abstract record ClassLoss : Loss
{
    private protected ClassLoss()
    {
    }

    /// <summary>Name of the input with the labels. Default <c>labels</c>.</summary>
    public string LabelName { get; init; } = "labels";

    /// <inheritdoc/>
    public override IReadOnlyList<string> Labels => [LabelName];

    /// <summary>Axis of the classes; negative counts from the end. Default null: axis 1 for scores of rank 2; for more, the axis
    /// that <see cref="ClassWeights"/>, an input of the model named as the labels, or the model itself tells (Conv: axis 1, as in PyTorch;
    /// MatMul: the last), else that of a fixed size beside a symbolic one, else axis 1 where the two differ in size.</summary>
    /// <remarks>Where axis 1 and the last axis are as likely, the loss is refused until one is named.</remarks>
    public int? ClassAxis { get; init; }

    /// <summary>Rows with this label do not count. Default −100.</summary>
    public long IgnoreIndex { get; init; } = -100;

    /// <summary>One weight a class, each at least 0; empty for none (default).</summary>
    public ImmutableArray<float> ClassWeights { get; init; } = [];

    /// <summary>Mean (default), divided by the summed class weights of the labels that count, or sum, over the rows that count.</summary>
    public Reduction Reduction { get; init; } = Reduction.Mean;

    internal override string LabelProperty => nameof(LabelName);

    /// <summary>Whether the scores are logits: then the loss goes in front of a Softmax.</summary>
    private protected virtual bool TakesLogits => false;

    internal override LossValue Attach(LossContext context)
    {
        GraphBuilder g = context.G;
        Term scores = context.FindFloating(Output);
        Shape shape = scores.Shape!;
        if (shape.Rank < 2)
        {
            throw new OptionException(
                $"{Kind} takes output '{scores.Name}' of shape {shape}; expected scores of rank 2 or more ([batch, classes]).");
        }
        int axis = ClassAxes.Decide(this, scores, context);
        if (!ClassWeights.IsDefaultOrEmpty && shape[axis].Known is long classes && classes != ClassWeights.Length)
        {
            throw new OptionException(
                $"{nameof(ClassWeights)} has {ClassWeights.Length} entries; output '{scores.Name}' has {classes} classes on axis {axis}.");
        }
        if (TakesLogits) scores = Activations.InFrontOf(context, scores, this, axis);
        else scores = Scores(context, scores);
        Term labels = context.Label(LabelName, ElementType.Int64, new Shape(shape.Where((_, i) => i != axis)));
        (context.Part.ClassAxis, context.Part.Classes, context.Part.IgnoredLabel) = (axis, shape[axis].Known, IgnoreIndex);

        Term rows = scores, flat = labels;
        if (axis != shape.Rank - 1)
            rows = g.Transpose(scores, [.. Enumerable.Range(0, shape.Rank).Where(i => i != axis).Append(axis).Select(i => (long)i)]);
        if (shape.Rank > 2)
        {
            rows = shape[axis].Known is long c ? g.Reshape(rows, -1, c) : g.Op("Flatten", [rows], ("axis", shape.Rank - 1));
            flat = g.Reshape(labels, -1);
        }
        return Put(g, rows, flat);
    }

    /// <summary>The scores of a loss that takes no logits.</summary>
    private protected virtual Term Scores(LossContext context, Term scores) => scores;

    /// <summary>Scores [N, C], labels [N].</summary>
    private LossValue Put(GraphBuilder g, Term scores, Term labels)
    {
        ElementType type = scores.Type;
        Term counts = !g.Equal(labels, g.Int(IgnoreIndex));
        Term safe = g.Where(counts, labels, 0);
        Value? classes = ClassWeights.IsDefaultOrEmpty ? null
            : g.Constant(GraphBuilder.FloatVector(type, [.. ClassWeights.Select(w => (double)w)]));
        Term weight = g.Cast(counts, type);
        // A label beyond the classes is found by the loss; here it must not stop the gathering of weights with another message.
        if (classes is not null) weight = weight * g.Gather(classes, ClassIndices.Checked(g, scores, safe));
        // Selected, not multiplied: the loss of a row that does not count may be infinite.
        Term total = g.ReduceSum(Weighted(g, new(scores, safe, counts, weight, classes)), false);
        if (Reduction == Reduction.Sum) return new(total, LossDivisor.Nothing);
        return LossValue.Mean(g, total, g.ReduceSum(DividesByWeights ? weight : g.Cast(counts, type), false));
    }

    /// <summary>Whether the mean divides by the weights of the labels, and not by the rows that count.</summary>
    private protected virtual bool DividesByWeights => true;

    /// <summary>The weighted loss of each row, [N]; 0 where the row does not count.</summary>
    private protected virtual Term Weighted(GraphBuilder g, ClassRows rows)
    {
        Term each = g.Where(rows.Counts, OfRows(g, rows.Scores, rows.Labels), 0);
        return rows.ClassWeights is null ? each : each * rows.Weight;
    }

    /// <summary>The loss of each row, [N], of scores [N, C] and classes [N].</summary>
    private protected abstract Term OfRows(GraphBuilder g, Term scores, Term labels);

    internal override IEnumerable<string> Problems()
    {
        if (!ClassWeights.IsDefaultOrEmpty && ClassWeights.Any(w => !(w >= 0)))
            yield return $"{nameof(ClassWeights)} has a weight below 0 or NaN; expected at least 0";
        foreach (string problem in Empty(nameof(LabelName), LabelName)) yield return problem;
    }
}

/// <summary>Rows of scores with their labels.</summary>
/// <param name="Scores">[N, C].</param>
/// <param name="Labels">[N]; 0 where the row does not count.</param>
/// <param name="Counts">[N], booleans.</param>
/// <param name="Weight">[N], the weight of the label; 0 where the row does not count.</param>
/// <param name="ClassWeights">[C]; null for none.</param>
internal sealed record ClassRows(Term Scores, Term Labels, Term Counts, Term Weight, Value? ClassWeights)
{
    /// <summary>The scores, with zeros in rows that do not count.</summary>
    public Term CountedScores(GraphBuilder g) => g.Where(g.Unsqueeze(Counts, 1), Scores, 0);
}
