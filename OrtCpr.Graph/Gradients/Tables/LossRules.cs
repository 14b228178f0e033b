using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Losses over classes on axis 1: scores [N, C, d…], labels [N, d…], class weights [C].</summary>
internal static class LossRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["NegativeLogLikelihoodLoss"] = (g, op, dy) => [Picked(g, op, dy)],
        ["SoftmaxCrossEntropyLoss"] = SoftmaxCrossEntropyLoss,
    };

    /// <summary>With h the gradient of log p: dx = h - p·Σ h over the classes.</summary>
    private static Value?[] SoftmaxCrossEntropyLoss(GraphBuilder g, Forward op, Term dy)
    {
        Term h = Picked(g, op, dy);
        if (op.Dy(1) is Value dLogP) h += dLogP;
        Term p = g.Exp(op.Out(1).Like(op.In(0)));
        return [SoftmaxRules.OfLogarithm(g, p, h, 1)];
    }

    /// <summary>loss = -w[t]·x[t], w = 0 where the label is ignored; the mean divides by the sum of the
    /// weights.</summary>
    private static Term Picked(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0), labels = op.In(1);
        string reduction = op.Node.Text("reduction", "mean");
        Value? counts = op.Node.Has("ignore_index") ? !g.Equal(labels, op.Node.Int("ignore_index", 0)) : null;
        Term picked = counts is null ? labels : g.Where(counts, labels, 0);
        Term weight = op.TryIn(2) is Value weights ? g.Gather(weights, picked) : g.FilledOf(1, g.ShapeOf(labels), x.Type);
        if (counts is not null) weight = g.Where(counts, weight, 0);
        Term share = reduction == "mean" ? weight / g.ReduceSum(weight, false) : weight;
        Term spread = g.Unsqueeze(-(share * dy), 1);
        return g.Op("ScatterElements", [g.Filled(0, x), g.Unsqueeze(picked, 1), spread], ("axis", 1)).Like(x);
    }
}
