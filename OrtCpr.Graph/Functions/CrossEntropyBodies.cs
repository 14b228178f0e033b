using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Functions;

// Cross-entropy of rows of logits [N, C] with class indices [N], without log-probabilities in memory: the logarithm of each row's sum is enough for the
// way back. Labels must lie in the row.
internal static class CrossEntropyBodies
{
    public static readonly string[] SmoothAttributes = ["smoothing"];

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

    // With a share ε of the target spread evenly over the classes: log Σ exp z − (1 − ε)·z[label] − ε·mean(z).
    public static Value[] SmoothForward(GraphBuilder g, Value logits, Value labels)
    {
        Value[] plain = Forward(g, logits, labels);
        Value picked = g.Sub(plain[1], plain[0]), spread = g.Squeeze(g.ReduceMean(logits, true, 1), 1);
        return [g.Add(plain[0], g.Mul(g.Sub(picked, spread), Smoothing(g, logits))), plain[1]];
    }

    // (exp(z − log Σ exp z) − (1 − ε)·[c = label] − ε/C)·dy.
    public static Value SmoothBackward(GraphBuilder g, Value logits, Value labels, Value logSum, Value dy) =>
        SmoothBackward(g, logits, labels, logSum, dy, Smoothing(g, logits));

    public static Value SmoothBackward(GraphBuilder g, Value logits, Value labels, Value logSum, Value dy, Value smoothing)
    {
        Value column = g.Unsqueeze(dy, 1), share = g.Mul(column, smoothing), classes = g.Op("CastLike", [g.Op("Shape", [logits], ("start", 1), ("end", 2)), logits]);
        Value soft = g.Sub(g.Mul(g.Exp(g.Sub(logits, g.Unsqueeze(logSum, 1))), column), g.Div(share, classes));
        return g.Op("ScatterElements", [soft, g.Unsqueeze(labels, 1), g.Sub(share, column)], ("axis", 1), ("reduction", "add"));
    }

    private static Value Smoothing(GraphBuilder g, Value like) => g.Op("CastLike", [g.Op("Constant", [], ("value_float", new AttributeReference("smoothing", 1))), like]);
}
