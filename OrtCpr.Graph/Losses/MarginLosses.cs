using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;
using static System.FormattableString;

namespace OrtCpr.Graph.Losses;

/// <summary>Hinge: max(0, margin − y·x), with targets y of −1 and 1 in the output's shape.</summary>
/// <param name="Reduction">Mean over all elements (default) or sum.</param>
public sealed record HingeLoss(Reduction Reduction = Reduction.Mean) : ElementLoss(Reduction)
{
    /// <summary>A finite number. Default 1.</summary>
    public double Margin { get; init; } = 1;

    /// <summary>Squares the hinge. Default off.</summary>
    public bool Squared { get; init; }

    private protected override Term Each(GraphBuilder g, Term output, Term target)
    {
        Term hinge = g.Max(Margin - target * output, 0);
        return Squared ? hinge * hinge : hinge;
    }

    internal override IEnumerable<string> Problems() =>
        [.. base.Problems(), .. NotFinite(nameof(Margin), Margin)];
}

/// <summary>Hinge of several classes: Σ over the other classes of max(0, margin − x[label] + x)ᵖ, divided by the number of classes
/// (PyTorch <c>MultiMarginLoss</c>).</summary>
/// <remarks>The mean divides by the rows that count, class weights or not, as PyTorch's does.</remarks>
public sealed record MultiMarginLoss : ClassLoss
{
    /// <summary>A finite number. Default 1.</summary>
    public double Margin { get; init; } = 1;

    /// <summary>p, 1 (default) or 2.</summary>
    public int Power { get; init; } = 1;

    private protected override bool DividesByWeights => false;

    private protected override Term OfRows(GraphBuilder g, Term scores, Term labels)
    {
        Term own = g.Unsqueeze(ClassIndices.Pick(g, scores, labels), 1);
        Term hinge = g.Max(scores - own + Margin, 0);
        if (Power == 2) hinge *= hinge;
        Term n = scores.Shape?[1].Known is long c ? g.Scalar(c, scores.Type) : g.Cast(g.Squeeze(g.DimOf(scores, 1), 0), scores.Type);
        // The label's own term is a constant: the margin, or nothing where that is below 0.
        return (g.ReduceSum(hinge, false, 1) - Math.Pow(Math.Max(0, Margin), Power)) / n;
    }

    internal override IEnumerable<string> Problems() =>
        [.. base.Problems(), .. NotFinite(nameof(Margin), Margin),
            .. Power is 1 or 2 ? Array.Empty<string>() : [Invariant($"{nameof(Power)} is {Power}; expected 1 or 2")]];
}
