using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

// Resize in all its modes. It is linear and works on one axis after another, y = … W₂ W₁ x, so dx = … W₂ᵀ W₁ᵀ dy. The matrix of an axis is what
// Resize itself makes of an identity matrix, with the same attributes and the axis's own scale, size and region: no formula is repeated here.
internal static class ResizeRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["Resize"] = Resize,
    };

    private static Value?[] Resize(GraphBuilder g, Forward op, Value dy)
    {
        Value x = op.In(0);
        int rank = op.Rank(0);
        if (op.Node.Text("keep_aspect_ratio_policy", "stretch") != "stretch" && op.TryIn(3) is not null)
            return [KeptAspect(g, op, dy, rank)];
        long[] axes = Axes(op, rank);
        Value dx = dy;
        for (int i = 0; i < axes.Length; i++)
        {
            if (IsUntouched(g, op, dy, axes, i)) continue;
            Value matrix = Matrix(g, op, axes, i);
            dx = g.OnLastAxis(dx, (int)axes[i], rows => g.MatMul(rows, matrix));
        }
        return [GraphBuilder.Like(dx, x)];
    }

    private static long[] Axes(Forward op, int rank) =>
        op.Node.Ints("axes") is long[] axes ? [.. axes.Select(a => a < 0 ? a + rank : a)] : [.. Enumerable.Range(0, rank).Select(i => (long)i)];

    // The axis keeps its size, and no region is cut out of it.
    private static bool IsUntouched(GraphBuilder g, Forward op, Value dy, long[] axes, int i)
    {
        if (op.Node.Text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize") return false;
        if (op.TryIn(2)?.Data is TensorData { ElementCount: > 0 } scales) return scales.ToDoubles()[i] == 1;
        return op.TryIn(3) is not null && op.In(0).Shape is Shape from && dy.Shape is Shape to && from[(int)axes[i]].SurelyEquals(to[(int)axes[i]]);
    }

    // [out, in]: the axis as the third of four, which every mode takes, beside columns that stay as they are.
    private static Value Matrix(GraphBuilder g, Forward op, long[] axes, int i)
    {
        Value x = op.In(0), size = g.DimOf(x, (int)axes[i]), at = g.Ints(i);
        Value identity = g.Unsqueeze(g.Eye(size, x.Type), 0, 1);
        Value? region = null, scale = null, target = null;
        if (op.TryIn(1) is Value roi && op.Node.Text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize")
        {
            Value zero = g.Constant(GraphBuilder.FloatVector(roi.Type, 0)), one = g.Constant(GraphBuilder.FloatVector(roi.Type, 1));
            region = g.Concat(0, zero, zero, g.Gather(roi, at), zero, one, one, g.Gather(roi, g.Ints(axes.Length + i)), one);
        }
        Value alike = g.Constant(GraphBuilder.FloatVector(ElementType.Float, 1));
        if (op.TryIn(3) is Value sizes) target = g.Concat(0, g.Ints(1, 1), g.Gather(sizes, at), size);
        if (target is null) scale = g.Concat(0, alike, alike, g.Gather(op.In(2), at), alike);
        (string, object)[] attributes = [.. op.Node.Attributes.Where(a => a.Key is not ("axes" or "extrapolation_value" or "keep_aspect_ratio_policy")).Select(a => (a.Key, a.Value))];
        return g.Squeeze(g.Op("Resize", [identity, region, scale, target], attributes), 0, 1);
    }

    private static Value KeptAspect(GraphBuilder g, Forward op, Value dy, int rank) =>
        throw new UnsupportedGradientException($"Node {op.Node.Label} has keep_aspect_ratio_policy = '{op.Node.Text("keep_aspect_ratio_policy", "")}', whose scale has no gradient rule. Export it with scales instead of sizes.");
}
