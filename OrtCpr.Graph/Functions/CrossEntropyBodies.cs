using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Functions;

// Cross-entropy of rows of logits [N, C] with class indices [N], without log-probabilities in memory: the logarithm of each row's sum is enough for the
// way back. Labels must lie in the row.
internal static class CrossEntropyBodies
{
    // (log Σ exp z − z[label], log Σ exp z), [N] each.
    public static Value[] Forward(GraphBuilder g, Value logits, Value labels)
    {
        Value highest = g.Reduce("ReduceMax", logits, true, 1);
        Value sum = g.Squeeze(g.Add(g.Log(g.ReduceSum(g.Exp(g.Sub(logits, highest)), true, 1)), highest), 1);
        Value picked = g.Squeeze(g.Op("GatherElements", [logits, g.Unsqueeze(labels, 1)], ("axis", 1)), 1);
        return [g.Sub(sum, picked), sum];
    }

    // (exp(z − log Σ exp z) − [c = label])·dy, dy [N].
    public static Value Backward(GraphBuilder g, Value logits, Value labels, Value logSum, Value dy)
    {
        Value column = g.Unsqueeze(dy, 1);
        Value soft = g.Mul(g.Exp(g.Sub(logits, g.Unsqueeze(logSum, 1))), column);
        return g.Op("ScatterElements", [soft, g.Unsqueeze(labels, 1), g.Neg(column)], ("axis", 1), ("reduction", "add"));
    }
}
