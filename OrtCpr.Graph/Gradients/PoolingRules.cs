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
        int n = window.Spatial;
        long?[] sizes = [.. Enumerable.Range(2, n).Select(i => x.Shape?[i].Known)], outputs = [.. Enumerable.Range(2, n).Select(i => dy.Shape?[i].Known)];
        if (sizes.Any(s => s is null) || outputs.Any(o => o is null))
            throw new UnsupportedGradientException($"The spatial sizes at node {op.Node.Label} are not fixed, and the gradient of AveragePool needs them. Export the model with fixed image sizes.");
        Value share = g.Div(dy, Counts(g, window, sizes, outputs, op.Node.Int("count_include_pad", 0) != 0, dy.Type));
        long[] covered = [.. Enumerable.Range(0, n).Select(i => ((outputs[i]!.Value - 1) * window.Strides[i]) + window.Reach(i))];
        Value single = g.Reshape(share, [-1, 1, .. outputs.Select(o => o!.Value)]);
        Value ones = g.Constant(Ones([1, 1, .. window.Kernel], dy.Type));
        Value full = g.Op("ConvTranspose", [single, ones], ("kernel_shape", window.Kernel), ("strides", window.Strides), ("dilations", window.Dilations));
        // Cut the padding; rows that no window reached get zeros (ceil_mode makes windows reach behind the end).
        long[] end = [.. Enumerable.Range(0, n).Select(i => sizes[i]!.Value - covered[i] + window.PadsBegin[i])];
        Value cut = window.PadsBegin.All(p => p == 0) && end.All(p => p == 0) ? full
            : g.Op("Pad", [full, g.Ints([0, 0, .. window.PadsBegin.Select(p => -p), 0, 0, .. end])]);
        return [g.ReshapeLike(cut, x)];
    }

    // How many elements each window averages; known when sizes are, separable by axis.
    private static Value Counts(GraphBuilder g, ConvWindow window, long?[] sizes, long?[] outputs, bool includePad, ElementType type)
    {
        int n = window.Spatial;
        double[][] axes = [.. Enumerable.Range(0, n).Select(i => Enumerable.Range(0, (int)outputs[i]!.Value).Select(o =>
        {
            long start = (o * window.Strides[i]) - window.PadsBegin[i];
            long limit = sizes[i]!.Value + (includePad ? window.PadsEnd[i] : 0), floor = includePad ? -window.PadsBegin[i] : 0;
            return (double)Enumerable.Range(0, (int)window.Kernel[i]).Count(k => start + (k * window.Dilations[i]) is long at && at >= floor && at < limit);
        }).ToArray())];
        if (axes.All(a => a.All(c => c == a[0]))) return g.Scalar(axes.Aggregate(1.0, (p, a) => p * a[0]), type);
        double[] all = [1];
        foreach (double[] axis in axes) all = [.. all.SelectMany(p => axis.Select(c => p * c))];
        return g.Constant(GraphBuilder.Reshaped(GraphBuilder.FloatVector(type, all), [.. outputs.Select(o => o!.Value)]));
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
