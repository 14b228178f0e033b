using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;
using static System.FormattableString;

namespace OrtCpr.Graph.Losses;

/// <summary>Focal loss of one class a row, from logits: −(1 − p)^γ·log p, p being the probability of the label (Lin et al. 2017).</summary>
/// <remarks>With γ = 0 it is the cross-entropy. The mean divides by the summed class weights of the labels that count.</remarks>
public sealed record FocalLoss : ClassLoss
{
    /// <summary>γ, at least 0. Default 2.</summary>
    public double Gamma { get; init; } = 2;

    private protected override bool TakesLogits => true;

    private protected override Term OfRows(GraphBuilder g, Term scores, Term labels)
    {
        Term entropy = CrossEntropy.LossOfRows(g, scores, labels);
        return Gamma == 0 ? entropy : Focus(g, 1 - g.Exp(-entropy), Gamma) * entropy;
    }

    /// <summary>missing^γ; kept off 0, where a power below 1 has no slope.</summary>
    internal static Term Focus(GraphBuilder g, Term missing, double gamma) =>
        gamma == 1 ? missing : gamma == 2 ? missing * missing : g.Pow(g.Max(missing, 1e-12), gamma);

    internal override IEnumerable<string> Problems() => [.. base.Problems(), .. BelowZero(nameof(Gamma), Gamma)];
}

/// <summary>Focal loss of independent yes-or-no elements, from logits: α·(1 − p)^γ·BCE, p being the probability of the target (torchvision
/// <c>sigmoid_focal_loss</c>).</summary>
/// <param name="Reduction">Mean over all elements (default) or sum.</param>
public sealed record BinaryFocalLoss(Reduction Reduction = Reduction.Mean) : ElementLoss(Reduction)
{
    /// <summary>γ, at least 0. Default 2.</summary>
    public double Gamma { get; init; } = 2;

    /// <summary>Weight of the positive class, in [0, 1]; the negative one has 1 − α. Null for no weights. Default 0.25.</summary>
    public double? Alpha { get; init; } = 0.25;

    private protected override Term Taken(LossContext context, Term output) => Activations.InFrontOf(context, output, this);

    private protected override Term Each(GraphBuilder g, Term output, Term target)
    {
        Term entropy = (1 - target) * output + g.Log(g.Exp(-g.Abs(output)) + 1) + g.Max(-output, 0);
        Term missing = g.Sigmoid(-output) * target + g.Sigmoid(output) * (1 - target);
        Term loss = Gamma == 0 ? entropy : FocalLoss.Focus(g, missing, Gamma) * entropy;
        return Alpha is double alpha ? loss * (target * (2 * alpha - 1) + (1 - alpha)) : loss;
    }

    internal override IEnumerable<string> Problems() =>
        [.. base.Problems(), .. BelowZero(nameof(Gamma), Gamma),
            .. Alpha is not (< 0 or > 1 or double.NaN) ? Array.Empty<string>()
                : [Invariant($"{nameof(Alpha)} is {Alpha}; expected 0 to 1, or null")]];
}
