using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;
using static System.FormattableString;

namespace OrtCpr.Graph.Losses;

/// <summary>Cosine of two embeddings [B,D]: 1 − cos where the target is 1, max(0, cos − margin) where it is −1 (PyTorch
/// <c>CosineEmbeddingLoss</c>).</summary>
/// <remarks>Targets [B] of the outputs' type, 1 or −1.</remarks>
/// <param name="OtherOutput">The second output, or other tensor of the model.</param>
/// <param name="Reduction">Mean over the pairs (default) or sum.</param>
public sealed record CosineEmbeddingLoss(string OtherOutput, Reduction Reduction = Reduction.Mean) : Loss
{
    /// <summary>As PyTorch adds it to squared lengths.</summary>
    private const double Tiny = 1e-12;

    /// <summary>A number from −1 to 1. Default 0.</summary>
    public double Margin { get; init; }

    /// <summary>Name of the input with the targets. Default <c>target</c>.</summary>
    public string TargetName { get; init; } = "target";

    /// <inheritdoc/>
    public override IReadOnlyList<string> Labels => [TargetName];

    internal override string LabelProperty => nameof(TargetName);

    internal override LossValue Attach(LossContext context)
    {
        GraphBuilder g = context.G;
        Term a = Embeddings.Find(context, this, Output), b = Embeddings.Find(context, this, OtherOutput, a);
        Term target = context.Label(TargetName, a.Type, new Shape(a.Shape![0]));
        Term lengths = (g.ReduceSum(a * a, false, 1) + Tiny) * (g.ReduceSum(b * b, false, 1) + Tiny);
        Term cosine = g.ReduceSum(a * b, false, 1) / g.Sqrt(lengths);
        Term each = g.Where(target > g.Scalar(0, target.Type), 1 - cosine, g.Max(cosine - Margin, 0));
        return LossValue.Of(g, each, Reduction, target);
    }

    internal override IEnumerable<string> Problems() =>
        [.. Empty(nameof(OtherOutput), OtherOutput), .. Empty(nameof(TargetName), TargetName),
            .. Margin is >= -1 and <= 1 ? Array.Empty<string>() : [Invariant($"{nameof(Margin)} is {Margin}; expected -1 to 1")]];
}

/// <summary>max(0, d(anchor, positive) − d(anchor, negative) + margin), d the Euclidean distance (PyTorch <c>TripletMarginLoss</c> with p =
/// 2).</summary>
/// <remarks>The output holds the anchors, [B,D]; the two others are of the same shape. No labels.</remarks>
/// <param name="PositiveOutput">The output, or other tensor of the model, that belongs to the anchor.</param>
/// <param name="NegativeOutput">The one that does not.</param>
/// <param name="Reduction">Mean over the triplets (default) or sum.</param>
public sealed record TripletMarginLoss(string PositiveOutput, string NegativeOutput, Reduction Reduction = Reduction.Mean) : Loss
{
    /// <summary>As PyTorch adds it to each difference.</summary>
    private const double Tiny = 1e-6;

    /// <summary>Above 0. Default 1.</summary>
    public double Margin { get; init; } = 1;

    /// <summary>Takes the distance of positive and negative where that is smaller than that of anchor and negative. Default off.</summary>
    public bool Swap { get; init; }

    internal override LossValue Attach(LossContext context)
    {
        GraphBuilder g = context.G;
        Term anchor = Embeddings.Find(context, this, Output), positive = Embeddings.Find(context, this, PositiveOutput, anchor),
            negative = Embeddings.Find(context, this, NegativeOutput, anchor);
        Term Distance(Term a, Term b)
        {
            Term difference = a - b + Tiny;
            return g.Sqrt(g.ReduceSum(difference * difference, false, 1));
        }
        Term far = Distance(anchor, negative);
        if (Swap) far = g.Min(far, Distance(positive, negative));
        Term each = g.Max(Distance(anchor, positive) - far + Margin, 0);
        return LossValue.Of(g, each, Reduction, each);
    }

    internal override IEnumerable<string> Problems() =>
        [.. Empty(nameof(PositiveOutput), PositiveOutput), .. Empty(nameof(NegativeOutput), NegativeOutput),
            .. NotPositive(nameof(Margin), Margin)];
}

/// <summary>InfoNCE with the other pairs of the batch as negatives: the cross-entropy of a·bᵀ/τ with the diagonal as labels (CLIP's loss
/// where it is symmetric).</summary>
/// <remarks>Two outputs [B,D], or one [2B,D]; no labels. Negatives come from the batch, so accumulated batches are not one larger
/// batch.</remarks>
/// <param name="OtherOutput">The second output, or other tensor of the model: row i belongs to row i of the first. Null (default) for a
/// model with one encoder, whose batch has an even number of rows: rows 0 and 1 of the output belong together, 2 and 3, and so
/// on.</param>
/// <param name="Reduction">Mean over the pairs (default) or sum.</param>
public sealed record InfoNceLoss(string? OtherOutput = null, Reduction Reduction = Reduction.Mean) : Loss
{
    /// <summary>As PyTorch's <c>normalize</c> has it for the smallest length.</summary>
    private const double ShortestLength = 1e-12;

    /// <summary>τ, above 0. Default 0.07.</summary>
    public double Temperature { get; init; } = 0.07;

    /// <summary>Divides embeddings by their lengths. Default on.</summary>
    public bool Normalize { get; init; } = true;

    /// <summary>Takes the mean of both directions, a to b and b to a. Default on.</summary>
    public bool Symmetric { get; init; } = true;

    internal override LossValue Attach(LossContext context)
    {
        GraphBuilder g = context.G;
        Term a = Embeddings.Find(context, this, Output), b;
        if (OtherOutput is null) (a, b) = Neighbours(g, a);
        else b = Embeddings.Find(context, this, OtherOutput, a);
        if (Normalize) (a, b) = (OfLengthOne(g, a), OfLengthOne(g, b));
        Term logits = g.Gemm(a, b, transB: true) * (1 / Temperature);
        Term labels = g.Positions(g.DimOf(a, 0)).Typed(ElementType.Int64, new Shape(a.Shape![0]));
        Term each = CrossEntropy.LossOfRows(g, logits, labels);
        if (Symmetric) each = (each + CrossEntropy.LossOfRows(g, g.Transpose(logits, 1, 0), labels)) * 0.5;
        return LossValue.Of(g, each, Reduction, each);
    }

    /// <summary>Rows 0, 2, 4 … and 1, 3, 5 … An odd number of rows has no such shape, at which the graph stops.</summary>
    private static (Term, Term) Neighbours(GraphBuilder g, Term x)
    {
        Dim width = x.Shape![1];
        Shape half = new(x.Shape![0].Size is SymbolicInt rows ? rows / SymbolicInt.Of(2) : Dim.Unknown, width);
        Term pairs = g.Reshape(x, width.Known is long known ? g.Ints(-1, 2, known)
            : g.Concat(0, g.Ints(-1, 2), g.Slice(g.ShapeOf(x), [1], [2], [0]))).Typed(x.Type, new Shape(half[0], 2, width));
        Term Side(long i) => g.Squeeze(g.Slice(pairs, [i], [i + 1], [1]), 1).Typed(x.Type, half);
        return (Side(0), Side(1));
    }

    private static Term OfLengthOne(GraphBuilder g, Term x) =>
        x / g.Max(g.Sqrt(g.Max(g.ReduceSum(x * x, true, 1), ShortestLength * ShortestLength)), ShortestLength);

    internal override IEnumerable<string> Problems() =>
        [.. OtherOutput is null ? [] : Empty(nameof(OtherOutput), OtherOutput), .. NotPositive(nameof(Temperature), Temperature)];
}

/// <summary>Outputs that are one vector an example.</summary>
internal static class Embeddings
{
    /// <summary>An output [B,D], with the shape of another where there is one.</summary>
    public static Term Find(LossContext context, Loss loss, string? output, Term? like = null)
    {
        Term found = context.FindFloating(output);
        Shape? expected = like?.Shape;
        bool agrees = expected is null || (found.Shape!.Rank == expected.Rank && found.Type == like!.Value.Type
            && found.Shape.Zip(expected).All(d => d.First.Known is not long a || d.Second.Known is not long b || a == b));
        return found.Shape!.Rank == 2 && agrees ? found : throw new OptionException(
            $"{loss.Kind} takes '{found.Name}' of shape {found.Type}{found.Shape}; expected "
            + (expected is null ? "embeddings [batch, size]." : $"{like!.Value.Type}{expected}, as '{like.Value.Name}' has."));
    }
}
