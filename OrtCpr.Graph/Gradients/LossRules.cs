using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

// Losses over classes on axis 1: scores [N, C, d…], labels [N, d…], class weights [C].
internal static class LossRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["NegativeLogLikelihoodLoss"] = (g, op, dy) => [Picked(g, op, dy)],
        ["SoftmaxCrossEntropyLoss"] = SoftmaxCrossEntropyLoss,
    };

    // With h the gradient of log p: dx = h - p·Σ h over the classes.
    private static Value?[] SoftmaxCrossEntropyLoss(GraphBuilder g, Forward op, Value dy)
    {
        Value h = Picked(g, op, dy);
        if (op.Dy(1) is Value dLogP) h = g.Add(h, dLogP);
        Value p = g.Exp(GraphBuilder.Like(op.Out(1), op.In(0)));
        return [g.Sub(h, g.Mul(p, g.ReduceSum(h, true, 1)))];
    }

    // loss = -w[t]·x[t], w = 0 where the label is ignored; the mean divides by the sum of the weights.
    private static Value Picked(GraphBuilder g, Forward op, Value dy)
    {
        Value x = op.In(0), labels = op.In(1);
        string reduction = op.Node.Text("reduction", "mean");
        Value? counts = op.Node.Has("ignore_index") ? g.Not(g.Equal(labels, g.Scalar(op.Node.Int("ignore_index", 0), labels.Type))) : null;
        Value picked = counts is null ? labels : g.Where(counts, labels, g.Scalar(0, labels.Type));
        Value weight = op.TryIn(2) is Value weights ? g.Gather(weights, picked) : g.FilledOf(1, g.ShapeOf(labels), x.Type);
        if (counts is not null) weight = g.Where(counts, weight, g.Scalar(0, x.Type));
        Value share = reduction == "mean" ? g.Div(weight, g.ReduceSum(weight, false)) : weight;
        Value spread = g.Unsqueeze(g.Neg(g.Mul(share, dy)), 1);
        return GraphBuilder.Like(g.Op("ScatterElements", [g.Filled(0, x), g.Unsqueeze(picked, 1), spread], ("axis", 1)), x);
    }
}
