using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

// Convolutions of 1 to 3 spatial dimensions, with groups, strides, dilations and every way of padding.
internal static class ConvolutionRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["Conv"] = Conv,
    };

    private static Value?[] Conv(GraphBuilder g, Forward op, Value dy)
    {
        var window = ConvWindow.Of(op);
        Value x = op.In(0), w = op.In(1);
        Value dx = InputGradient(g, window, x, w, dy);
        Value dw = WeightGradient(g, window, x, w, dy);
        if (op.TryIn(2) is null) return [dx, dw];
        long[] allButChannels = [.. Enumerable.Range(0, window.Spatial + 2).Where(i => i != 1).Select(i => (long)i)];
        return [dx, dw, g.ReduceSum(dy, false, allButChannels)];
    }

    // ConvTranspose undoes the geometry. What the stride left over at the far end gets zeros: by output_padding where sizes are known, else by Pad.
    private static Value InputGradient(GraphBuilder g, ConvWindow window, Value x, Value w, Value dy)
    {
        int n = window.Spatial;
        long?[] sizes = [.. Enumerable.Range(2, n).Select(i => x.Shape?[i].Known)];
        long?[] outputs = [.. Enumerable.Range(2, n).Select(i => dy.Shape?[i].Known)];
        (string, object)[] geometry = [("strides", window.Strides), ("dilations", window.Dilations), ("group", window.Group)];
        bool known = window.Kernel is not null && sizes.All(s => s is not null) && outputs.All(o => o is not null);
        if (!window.HasUnitStrides && !known)
            return GraphBuilder.Like(window.FitTo(g, g.Op("ConvTranspose", [dy, w], geometry), x, 2), x);
        long[] rest = new long[n];
        for (int i = 0; i < n && !window.HasUnitStrides; i++)
            rest[i] = sizes[i]!.Value + window.PadsBegin[i] + window.PadsEnd[i] - (((outputs[i]!.Value - 1) * window.Strides[i]) + window.Reach(i));
        return GraphBuilder.Like(g.Op("ConvTranspose", [dy, w], [.. geometry, ("pads", window.Pads), ("output_padding", rest)]), x);
    }

    // A convolution of the input with dy as its kernel, batch and channel axes exchanged; stride and dilation change places. Windows that the
    // stride skipped make the result larger than the kernel; the rest is cut off.
    private static Value WeightGradient(GraphBuilder g, ConvWindow window, Value x, Value w, Value dy)
    {
        int n = window.Spatial, rank = n + 2;
        long[] spatial = [.. Enumerable.Range(2, n).Select(i => (long)i)], exchange = [1, 0, .. spatial];
        Value image = window.Group == 1 ? g.Transpose(x, exchange) : GroupedImage(g, window, x, w);
        Value product = g.Op("Conv", [image, g.Transpose(dy, exchange)], ("strides", window.Dilations), ("dilations", window.Strides), ("group", window.Group), ("pads", window.Pads));
        if (!window.HasUnitStrides)
            product = g.Op("Slice", [product, g.Ints(new long[n]), window.Kernel is long[] kernel ? g.Ints(kernel) : g.Op("Shape", [w], ("start", 2)), g.Ints(spatial)]);
        product.Shape ??= new Shape(Enumerable.Repeat(Dim.Unknown, rank));
        return GraphBuilder.Like(g.Transpose(product, exchange), w);
    }

    // [N, G·c, …] -> [c, G·N, …], so that each group convolves its own channels.
    private static Value GroupedImage(GraphBuilder g, ConvWindow window, Value x, Value w)
    {
        Value tail = g.Op("Shape", [x], ("start", 2)), batch = g.DimOf(x, 0), channels = g.DimOf(w, 1), groups = g.Ints(window.Group);
        Value apart = g.Reshape(x, g.Concat(0, batch, groups, channels, tail));
        Value turned = g.Op("Transpose", [apart], ("perm", new long[] { 2, 1, 0 }.Concat(Enumerable.Range(3, window.Spatial).Select(i => (long)i)).ToArray()));
        return g.Reshape(turned, g.Concat(0, channels, g.Mul(batch, groups), tail));
    }
}
