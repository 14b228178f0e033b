using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Pooling.</summary>
internal static class PoolingRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["MaxPool"] = MaxPool,
        ["com.microsoft.MaxpoolWithMask"] = ByDefinition.Rule(MaxpoolWithMask),
        ["AveragePool"] = AveragePool,
        ["LpPool"] = LpPool,
        ["GlobalAveragePool"] = GlobalAveragePool,
        ["GlobalMaxPool"] = GlobalMaxPool,
        ["GlobalLpPool"] = GlobalLpPool,
        ["MaxUnpool"] = (g, op, dy) => [g.Gather(g.Reshape(dy, -1), op.In(1))],
    };

    /// <summary>The indices count over the whole tensor in row-major order; a tie is the first of the window.</summary>
    private static Value?[] MaxPool(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0), indices = op.Node.Int("storage_order", 0) == 0 ? op.Out(1) : RowMajor(g, op);
        Term zeros = g.FilledOf(0, g.Folded(g.Reshape(g.SizeOf(x), 1)), x.Type);
        Term sum = g.Op("ScatterElements", [zeros, g.Reshape(indices, -1), g.Reshape(dy, -1)], ("axis", 0), ("reduction", "add"));
        return [g.ReshapeLike(sum, x)];
    }

    /// <summary>Column-major indices are of no use here; the pooling is done once more for the others.</summary>
    private static Term RowMajor(GraphBuilder g, Forward op)
    {
        (string, object)[] attributes = [.. op.Node.Attributes.Where(a => a.Key != "storage_order").Select(a => (a.Key, a.Value))];
        return g.Ops("MaxPool", 2, [op.In(0)], attributes)[1];
    }

    /// <summary>What the mask hides is below everything.</summary>
    private static Term MaxpoolWithMask(GraphBuilder g, Forward op)
    {
        (string, object)[] attributes = [.. op.Node.Attributes.Select(a => (a.Key, a.Value))];
        Term hidden = g.Equal(op.In(1), 0);
        return g.Op("MaxPool", [g.Where(hidden, float.MinValue, op.In(0)).Like(op.In(0))], attributes);
    }

    /// <summary>Each output spreads evenly over its window.</summary>
    private static Value?[] AveragePool(GraphBuilder g, Forward op, Term dy)
    {
        var window = ConvWindow.Of(op.Node);
        Term share = dy / Counts(g, window, op.In(0), dy, op.Node.Int("count_include_pad", 0) != 0, op.Node.Int("ceil_mode", 0) != 0);
        return [Spread(g, window, share, op.In(0))];
    }

    /// <summary>y = (Σ |x|ᵖ)^(1/p): dx = sign(x)·|x|ᵖ⁻¹ · Σ dy·y¹⁻ᵖ over the windows with x.</summary>
    private static Value?[] LpPool(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0);
        double p = op.Node.Int("p", 2);
        return [PowerSlope(g, x, p) * Spread(g, ConvWindow.Of(op.Node), dy * NormSlope(g, op.Out(0), p), x)];
    }

    private static Value?[] GlobalLpPool(GraphBuilder g, Forward op, Term dy)
    {
        double p = op.Node.Int("p", 2);
        return [PowerSlope(g, op.In(0), p) * (dy * NormSlope(g, op.Out(0), p))];
    }

    private static Term PowerSlope(GraphBuilder g, Term x, double p) =>
        p == 1 ? g.Sign(x) : p == 2 ? x : g.Sign(x) * g.Pow(g.Abs(x), p - 1);

    /// <summary>y¹⁻ᵖ, and 0 where the norm is 0.</summary>
    private static Term NormSlope(GraphBuilder g, Value y, double p)
    {
        if (p == 1) return g.Filled(1, y);
        Term isZero = g.Equal(y, 0);
        return g.Where(isZero, 0, g.Pow(g.Where(isZero, 1, y), 1 - p));
    }

    /// <summary>Sums what each window holds over the elements in it: a ConvTranspose with a kernel of ones, channel by
    /// channel.</summary>
    private static Term Spread(GraphBuilder g, ConvWindow window, Value share, Value x)
    {
        Term ones = g.Constant(Ones([1, 1, .. window.Kernel!], share.Type));
        Term full = g.Op("ConvTranspose", [Alone(g, share, window.Spatial), ones], ("strides", window.Strides),
            ("dilations", window.Dilations));
        return g.ReshapeLike(window.FitTo(g, full, x, share), x);
    }

    /// <summary>[N, C, …] → [N·C, 1, …].</summary>
    private static Term Alone(GraphBuilder g, Value v, int spatial)
    {
        long?[] sizes = [.. Enumerable.Range(2, spatial).Select(i => v.Shape?[i].Known)];
        return sizes.All(s => s is not null) ? g.Reshape(v, [-1, 1, .. sizes.Select(s => s!.Value)])
            : g.Reshape(v, g.Concat(0, g.Ints(-1, 1), g.Op("Shape", [v], ("start", 2))));
    }

    /// <summary>How many elements each window averages: a number where all windows are alike, else counted by a
    /// convolution over ones.</summary>
    private static Term Counts(GraphBuilder g, ConvWindow window, Value x, Value dy, bool includePad, bool ceil)
    {
        double area = window.Kernel!.Aggregate(1.0, (p, k) => p * k);
        if (!ceil && (includePad || window.Pads?.All(p => p == 0) == true)) return g.Scalar(area, dy.Type);
        int n = window.Spatial;
        (Term begin, Term end) = window.PadsOf(g, x, dy, null);
        Term size = g.SizesFrom(2, x), padded = size + begin + end;
        Term counted = g.FilledOf(1, g.Concat(0, g.Ints(1, 1), includePad ? padded : size), dy.Type);
        if (!includePad) counted = g.PadFrom(2, counted, begin, end);
        // ceil_mode lets the last window reach beyond the end, where nothing counts.
        if (ceil) counted = g.PadFrom(2, counted, g.Ints(new long[n]), window.SpanOf(g, g.SizesFrom(2, dy), null) - padded);
        return g.Op("Conv", [counted, g.Constant(Ones([1, 1, .. window.Kernel!], dy.Type))], ("strides", window.Strides),
            ("dilations", window.Dilations));
    }

    private static TensorData Ones(long[] dims, ElementType type) =>
        GraphBuilder.Reshaped(GraphBuilder.FloatVector(type, [.. Enumerable.Repeat(1.0, (int)dims.Aggregate(1L, (p, d) => p * d))]), dims);

    private static Value?[] GlobalAveragePool(GraphBuilder g, Forward op, Term dy) =>
        [g.ExpandLike(dy / ReductionRules.CountOf(g, op.In(0), dy), op.In(0))];

    /// <summary>To the first maximum of a channel, as MaxPool.</summary>
    private static Value?[] GlobalMaxPool(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0);
        Term flat = g.Reshape(x, g.Concat(0, g.Ints(-1), g.Op("ReduceProd", [g.SizesFrom(2, x)], ("keepdims", 1))));
        Term first = g.Op("ArgMax", [flat], ("axis", 1), ("keepdims", 1));
        Term dx = g.Op("ScatterElements", [g.Filled(0, flat), first, g.Reshape(dy, -1, 1)], ("axis", 1));
        return [g.ReshapeLike(dx, x)];
    }
}
