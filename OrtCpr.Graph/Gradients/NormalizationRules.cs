using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

// Normalisations. Training-mode BatchNormalization never gets here: a pass decomposes it first.
internal static class NormalizationRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["LayerNormalization"] = LayerNormalization,
        ["BatchNormalization"] = BatchNormalization,
    };

    // y = x̂·γ + β, x̂ = (x - mean)·r. With h = dy·γ: dx = r·(h - mean(h) - x̂·mean(h·x̂)); the statistics' own gradients join in dx.
    private static Value?[] LayerNormalization(GraphBuilder g, Forward op, Value dy)
    {
        Value x = op.In(0), gamma = op.In(1);
        int rank = op.Rank(0);
        int axis = op.Axis("axis", -1);
        long[] axes = [.. Enumerable.Range(axis, rank - axis).Select(i => (long)i)];
        Value centred, inverse;
        if (x.Type == ElementType.Float)
        {
            // The kernel's own statistics; it gives them for the asking.
            inverse = op.Out(2);
            centred = g.Sub(x, op.Out(1));
        }
        else
        {
            centred = g.Sub(x, g.ReduceMean(x, true, axes));
            Value variance = g.ReduceMean(g.Mul(centred, centred), true, axes);
            inverse = g.Reciprocal(g.Sqrt(g.Add(variance, op.Node.Float("epsilon", 1e-5f))));
        }
        Value normal = g.Mul(centred, inverse);
        Value h = g.Mul(dy, gamma);
        Value slope = g.Mul(normal, g.ReduceMean(g.Mul(h, normal), true, axes));
        Value dx = g.Mul(g.Sub(g.Sub(h, g.ReduceMean(h, true, axes)), slope), inverse);
        Value count = ReductionRules.CountOf(g, x, inverse);
        if (op.Dy(1) is Value dMean) dx = g.Add(dx, g.Div(g.Cast(dMean, x.Type), count));
        if (op.Dy(2) is Value dInverse) dx = g.Sub(dx, g.Mul(g.Mul(normal, g.Mul(inverse, inverse)), g.Div(g.Cast(dInverse, x.Type), count)));
        return [dx, g.Mul(dy, normal), op.TryIn(2) is null ? null : dy];
    }

    // Inference form: an affine map per channel with constant statistics.
    private static Value?[] BatchNormalization(GraphBuilder g, Forward op, Value dy)
    {
        Value x = op.In(0);
        int rank = op.Rank(0);
        Value inverse = g.Reciprocal(g.Sqrt(g.Add(op.In(4), op.Node.Float("epsilon", 1e-5f))));
        long[] others = [.. Enumerable.Range(0, rank).Where(i => i != 1).Select(i => (long)i)];
        Value channel = PerChannel(g, g.Mul(op.In(1), inverse), rank);
        Value normal = g.Mul(g.Sub(x, PerChannel(g, op.In(3), rank)), PerChannel(g, inverse, rank));
        return [g.Mul(dy, channel), g.ReduceSum(g.Mul(dy, normal), false, others), g.ReduceSum(dy, false, others), null, null];
    }

    internal static Value PerChannel(GraphBuilder g, Value vector, int rank) =>
        rank == 2 ? vector : g.Reshape(vector, [.. Enumerable.Range(0, rank - 1).Select(i => i == 0 ? -1L : 1L)]);
}
