using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Resize in all its modes. It is linear and works on one axis after another, y = … W₂ W₁ x, so dx = … W₂ᵀ W₁ᵀ
/// dy. The matrix of an axis is what Resize itself makes of an identity matrix, with the same attributes and the axis's
/// own scale, size and region: no formula is repeated here.</summary>
internal static class ResizeRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["Resize"] = Resize,
    };

    private static Value?[] Resize(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0);
        int rank = op.Rank(0);
        long[] axes = Axes(op, rank);
        if (Repeats(op, axes, rank) is long[] times) return [Summed(g, x, dy, times)];
        Term dx = dy;
        for (int i = 0; i < axes.Length; i++)
        {
            if (IsUntouched(g, op, dy, axes, i)) continue;
            Term matrix = KeepsAspect(op) ? MatrixOfCommonScale(g, op, axes, i) : Matrix(g, op, axes, i);
            dx = g.OnLastAxis(dx, (int)axes[i], rows => g.MatMul(rows, matrix));
        }
        return [GraphBuilder.Like(dx, x)];
    }

    /// <summary>The nearest pixel at a whole scale repeats each pixel: how many times along every axis; null where it
    /// is not that simple.</summary>
    private static long[]? Repeats(Forward op, long[] axes, int rank)
    {
        if (op.Node.Text("mode", "nearest") != "nearest" || op.TryIn(3) is not null
            || op.TryIn(2)?.Data is not TensorData { ElementCount: > 0 } data)
        {
            return null;
        }
        double[] scales = data.ToDoubles();
        bool below = op.Node.Text("coordinate_transformation_mode", "half_pixel") == "asymmetric"
            && op.Node.Text("nearest_mode", "round_prefer_floor") == "floor";
        bool centred = op.Node.Text("coordinate_transformation_mode", "half_pixel") == "half_pixel"
            && op.Node.Text("nearest_mode", "round_prefer_floor").StartsWith("round", StringComparison.Ordinal);
        if (!(below || centred) || scales.Any(s => s < 1 || s != Math.Floor(s))) return null;
        long[] times = [.. Enumerable.Repeat(1L, rank)];
        for (int i = 0; i < axes.Length; i++) times[axes[i]] = (long)scales[i];
        return times;
    }

    /// <summary>Each axis d repeated r times is [d, r]; sum over the r.</summary>
    private static Term Summed(GraphBuilder g, Value x, Term dy, long[] times)
    {
        var sizes = new List<Value>();
        var summed = new List<long>();
        for (int axis = 0; axis < times.Length; axis++)
        {
            sizes.Add(g.DimOf(x, axis));
            if (times[axis] == 1) continue;
            summed.Add(sizes.Count);
            sizes.Add(g.Ints(times[axis]));
        }
        if (summed.Count == 0) return dy;
        return g.ReduceSum(g.Reshape(dy, g.Folded(g.Concat(0, [.. sizes]))), false, [.. summed]).Like(x);
    }

    private static long[] Axes(Forward op, int rank) =>
        op.Node.Ints("axes") is long[] axes ? [.. axes.Select(a => a < 0 ? a + rank : a)]
        : [.. Enumerable.Range(0, rank).Select(i => (long)i)];

    /// <summary>The axis keeps its size, and no region is cut out of it.</summary>
    private static bool IsUntouched(GraphBuilder g, Forward op, Value dy, long[] axes, int i)
    {
        if (op.Node.Text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize" || KeepsAspect(op)) return false;
        if (op.TryIn(2)?.Data is TensorData { ElementCount: > 0 } scales) return scales.ToDoubles()[i] == 1;
        return op.TryIn(3) is not null && op.In(0).Shape is Shape from && dy.Shape is Shape to
            && from[(int)axes[i]].SurelyEquals(to[(int)axes[i]]);
    }

    /// <summary>[out, in]: the axis as the third of four, which every mode takes, beside columns that stay as they
    /// are.</summary>
    private static Term Matrix(GraphBuilder g, Forward op, long[] axes, int i)
    {
        Term x = op.In(0), size = g.DimOf(x, (int)axes[i]), at = g.Ints(i);
        Term identity = g.Unsqueeze(g.Eye(size, x.Type), 0, 1);
        Value? region = null, scale = null, target = null;
        if (op.TryIn(1) is Value roi && op.Node.Text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize")
        {
            Term zero = g.Constant(GraphBuilder.FloatVector(roi.Type, 0)), one = g.Constant(GraphBuilder.FloatVector(roi.Type, 1));
            region = g.Concat(0, zero, zero, g.Gather(roi, at), zero, one, one, g.Gather(roi, g.Ints(axes.Length + i)), one);
        }
        Term alike = g.Constant(GraphBuilder.FloatVector(ElementType.Float, 1));
        if (op.TryIn(3) is Value sizes) target = g.Concat(0, g.Ints(1, 1), g.Gather(sizes, at), size);
        if (target is null) scale = g.Concat(0, alike, alike, g.Gather(op.In(2), at), alike);
        return g.Squeeze(g.Op("Resize", [identity, region, scale, target], Attributes(op)), 0, 1);
    }

    private static (string, object)[] Attributes(Forward op, params (string, object)[] more) =>
        [.. op.Node.Attributes.Where(a => a.Key is not ("axes" or "extrapolation_value" or "keep_aspect_ratio_policy"))
            .Select(a => (a.Key, a.Value)), .. more];

    private static bool KeepsAspect(Forward op) =>
        op.TryIn(3) is not null && op.Node.Text("keep_aspect_ratio_policy", "stretch") != "stretch";

    /// <summary>One scale for all axes, decided by the one that is to grow least (or most): it comes along as the last
    /// axis, which holds copies. The rows of the identity are samples of a batch.</summary>
    private static Term MatrixOfCommonScale(GraphBuilder g, Forward op, long[] axes, int i)
    {
        Term x = op.In(0), sizes = op.In(3), size = g.DimOf(x, (int)axes[i]), one = g.Ints(1);
        if (op.Node.Text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize")
        {
            throw new UnsupportedGradientException(
                $"Node {op.Node.Label} crops (tf_crop_and_resize) and keeps the aspect ratio, which has no gradient rule. "
                + "Export it with sizes that have the ratio and without the policy.");
        }
        string policy = op.Node.Text("keep_aspect_ratio_policy", "");
        Term resized = g.Gather(g.ShapeOf(x), g.Ints(axes)), ratios = g.Cast(sizes, ElementType.Float) / g.Cast(resized, ElementType.Float);
        Term decisive = g.Op(policy == "not_larger" ? "ArgMin" : "ArgMax", [ratios], ("axis", 0));
        Term rows = g.Reshape(g.Eye(size, x.Type), g.Concat(0, size, one, size, one));
        Term copies = g.Op("Expand", [rows, g.Concat(0, size, one, size, g.Gather(resized, decisive))]);
        Term target = g.Concat(0, g.Gather(sizes, g.Ints(i)), g.Gather(sizes, decisive));
        Term result =
            g.Op("Resize", [copies, null, null, target],
                Attributes(op, ("axes", new long[] { 2, 3 }), ("keep_aspect_ratio_policy", policy)));
        Term matrix = g.Gather(result, g.Int(0), 3).Typed(x.Type, new Shape(Dim.Unknown, 1, Dim.Unknown));
        return g.Transpose(g.Squeeze(matrix, 1), 1, 0);
    }
}
