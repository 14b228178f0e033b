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
        long[] axes = Axes(op, rank);
        Value dx = dy;
        for (int i = 0; i < axes.Length; i++)
        {
            if (IsUntouched(g, op, dy, axes, i)) continue;
            Value matrix = KeepsAspect(op) ? MatrixOfCommonScale(g, op, axes, i) : Matrix(g, op, axes, i);
            dx = g.OnLastAxis(dx, (int)axes[i], rows => g.MatMul(rows, matrix));
        }
        return [GraphBuilder.Like(dx, x)];
    }

    private static long[] Axes(Forward op, int rank) =>
        op.Node.Ints("axes") is long[] axes ? [.. axes.Select(a => a < 0 ? a + rank : a)] : [.. Enumerable.Range(0, rank).Select(i => (long)i)];

    // The axis keeps its size, and no region is cut out of it.
    private static bool IsUntouched(GraphBuilder g, Forward op, Value dy, long[] axes, int i)
    {
        if (op.Node.Text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize" || KeepsAspect(op)) return false;
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
        return g.Squeeze(g.Op("Resize", [identity, region, scale, target], Attributes(op)), 0, 1);
    }

    private static (string, object)[] Attributes(Forward op, params (string, object)[] more) =>
        [.. op.Node.Attributes.Where(a => a.Key is not ("axes" or "extrapolation_value" or "keep_aspect_ratio_policy")).Select(a => (a.Key, a.Value)), .. more];

    private static bool KeepsAspect(Forward op) => op.TryIn(3) is not null && op.Node.Text("keep_aspect_ratio_policy", "stretch") != "stretch";

    // One scale for all axes, decided by the one that is to grow least (or most): it comes along as the last axis, which holds copies. The rows of
    // the identity are samples of a batch.
    private static Value MatrixOfCommonScale(GraphBuilder g, Forward op, long[] axes, int i)
    {
        Value x = op.In(0), sizes = op.In(3), size = g.DimOf(x, (int)axes[i]), one = g.Ints(1);
        if (op.Node.Text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize")
            throw new UnsupportedGradientException($"Node {op.Node.Label} crops (tf_crop_and_resize) and keeps the aspect ratio, which has no gradient rule. Export it with sizes that have the ratio and without the policy.");
        string policy = op.Node.Text("keep_aspect_ratio_policy", "");
        Value resized = g.Gather(g.ShapeOf(x), g.Ints(axes)), ratios = g.Div(g.Cast(sizes, ElementType.Float), g.Cast(resized, ElementType.Float));
        Value decisive = g.Op(policy == "not_larger" ? "ArgMin" : "ArgMax", [ratios], ("axis", 0));
        Value rows = g.Reshape(g.Eye(size, x.Type), g.Concat(0, size, one, size, one));
        Value copies = g.Op("Expand", [rows, g.Concat(0, size, one, size, g.Gather(resized, decisive))]);
        Value target = g.Concat(0, g.Gather(sizes, g.Ints(i)), g.Gather(sizes, decisive));
        Value result = g.Op("Resize", [copies, null, null, target], Attributes(op, ("axes", new long[] { 2, 3 }), ("keep_aspect_ratio_policy", policy)));
        Value matrix = GraphBuilder.Typed(g.Gather(result, g.Int(0), 3), x.Type, new Shape(Dim.Unknown, 1, Dim.Unknown));
        return g.Transpose(g.Squeeze(matrix, 1), 1, 0);
    }
}
