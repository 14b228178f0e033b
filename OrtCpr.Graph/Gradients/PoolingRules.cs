using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

// Pooling.
internal static class PoolingRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["MaxPool"] = MaxPool,
        ["AveragePool"] = AveragePool,
        ["GlobalAveragePool"] = GlobalAveragePool,
    };

    // The forward's indices count over the whole tensor in row-major order; a tie is the first of the window.
    private static Value?[] MaxPool(GraphBuilder g, Forward op, Value dy)
    {
        if (op.Node.Int("storage_order", 0) != 0)
            throw new UnsupportedGradientException($"Node {op.Node.Label} has storage_order = 1, whose column-major indices have no gradient rule. Export it with storage_order = 0.");
        Value x = op.In(0);
        Value size = x.Shape?.ElementCount?.Constant is long n ? g.Ints(n) : g.Reshape(g.SizeOf(x), 1);
        Value zeros = g.Op("ConstantOfShape", [size], ("value", GraphBuilder.Reshaped(GraphBuilder.ScalarData(0, x.Type), 1)));
        Value sum = g.Op("ScatterElements", [zeros, g.Reshape(op.Out(1), -1), g.Reshape(dy, -1)], ("axis", 0), ("reduction", "add"));
        return [g.ReshapeLike(sum, x)];
    }

    // Each output spreads evenly over its window: a ConvTranspose with a kernel of ones, channel by channel.
    private static Value?[] AveragePool(GraphBuilder g, Forward op, Value dy)
    {
        var window = ConvWindow.Of(op);
        Value x = op.In(0);
        Value share = g.Div(dy, Counts(g, window, x, dy, op.Node.Int("count_include_pad", 0) != 0, op.Node.Int("ceil_mode", 0) != 0));
        Value ones = g.Constant(Ones([1, 1, .. window.Kernel!], dy.Type));
        Value full = g.Op("ConvTranspose", [Alone(g, share, window.Spatial), ones], ("strides", window.Strides), ("dilations", window.Dilations));
        return [g.ReshapeLike(window.FitTo(g, full, x, 2), x)];
    }

    // [N, C, …] -> [N·C, 1, …].
    private static Value Alone(GraphBuilder g, Value v, int spatial)
    {
        long?[] sizes = [.. Enumerable.Range(2, spatial).Select(i => v.Shape?[i].Known)];
        return sizes.All(s => s is not null) ? g.Reshape(v, [-1, 1, .. sizes.Select(s => s!.Value)])
            : g.Reshape(v, g.Concat(0, g.Ints(-1, 1), g.Op("Shape", [v], ("start", 2))));
    }

    // How many elements each window averages: a number where all windows are alike, else counted by a convolution over ones.
    private static Value Counts(GraphBuilder g, ConvWindow window, Value x, Value dy, bool includePad, bool ceil)
    {
        double area = window.Kernel!.Aggregate(1.0, (p, k) => p * k);
        if (!ceil && (includePad || window.Pads.All(p => p == 0))) return g.Scalar(area, dy.Type);
        int n = window.Spatial;
        Value counted = g.Op("ConstantOfShape", [g.Concat(0, g.Ints(1, 1), g.Op("Shape", [x], ("start", 2)))],
            ("value", GraphBuilder.Reshaped(GraphBuilder.ScalarData(1, dy.Type), 1)));
        Value pads = g.Ints([0, 0, .. window.PadsBegin, 0, 0, .. window.PadsEnd]);
        counted = includePad ? g.Op("Pad", [counted, pads, g.Scalar(1, dy.Type)]) : g.Op("Pad", [counted, pads]);
        // ceil_mode lets the last window reach behind the end, where nothing counts.
        if (ceil) counted = g.Op("Pad", [counted, g.Ints([.. new long[n + 2], 0, 0, .. window.Strides.Select(s => s - 1)])]);
        Value counts = g.Op("Conv", [counted, g.Constant(Ones([1, 1, .. window.Kernel!], dy.Type))], ("strides", window.Strides), ("dilations", window.Dilations));
        return ceil ? g.Op("Slice", [counts, g.Ints(new long[n]), g.Op("Shape", [dy], ("start", 2)), g.Ints([.. Enumerable.Range(2, n).Select(i => (long)i)])]) : counts;
    }

    private static TensorData Ones(long[] dims, ElementType type) =>
        GraphBuilder.Reshaped(GraphBuilder.FloatVector(type, [.. Enumerable.Repeat(1.0, (int)dims.Aggregate(1L, (p, d) => p * d))]), dims);

    private static Value?[] GlobalAveragePool(GraphBuilder g, Forward op, Value dy)
    {
        Value x = op.In(0);
        SymbolicInt? area = x.Shape is Shape s ? new Shape(s.Skip(2)).ElementCount : null;
        Value count = area?.Constant is long n ? g.Scalar(n, dy.Type) : g.Cast(g.Div(g.SizeOf(x), g.SizeOf(dy)), dy.Type);
        return [g.ExpandLike(g.Div(dy, count), x)];
    }
}
