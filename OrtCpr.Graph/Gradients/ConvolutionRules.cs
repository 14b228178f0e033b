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

    // ConvTranspose undoes the geometry. What the stride left over at the far end gets zeros: output_padding where sizes are known, else by Pad.
    private static Value InputGradient(GraphBuilder g, ConvWindow window, Value x, Value w, Value dy)
    {
        int n = window.Spatial;
        long?[] sizes = [.. Enumerable.Range(2, n).Select(i => x.Shape![i].Known)];
        long?[] outputs = [.. Enumerable.Range(2, n).Select(i => dy.Shape?[i].Known)];
        if (window.Strides.All(s => s == 1) || (sizes.All(s => s is not null) && outputs.All(o => o is not null)))
        {
            long[] rest = new long[n];
            for (int i = 0; i < n; i++)
                rest[i] = window.Strides[i] == 1 ? 0 : sizes[i]!.Value + window.PadsBegin[i] + window.PadsEnd[i] - (((outputs[i]!.Value - 1) * window.Strides[i]) + window.Reach(i));
            return GraphBuilder.Like(g.Op("ConvTranspose", [dy, w], ("kernel_shape", window.Kernel), ("strides", window.Strides), ("dilations", window.Dilations),
                ("group", window.Group), ("pads", window.Pads), ("output_padding", rest)), x);
        }
        Value full = g.Op("ConvTranspose", [dy, w], ("kernel_shape", window.Kernel), ("strides", window.Strides), ("dilations", window.Dilations), ("group", window.Group));
        // full has (o-1)·s + reach rows; x with its padding may have up to s-1 more. Negative pads cut, positive ones add zeros.
        Value fullSize = g.Op("Shape", [full], ("start", 2)), size = g.Op("Shape", [x], ("start", 2));
        Value begin = g.Ints([.. window.PadsBegin.Select(p => -p)]);
        Value end = g.Sub(g.Sub(size, fullSize), begin);
        Value pads = g.Concat(0, g.Ints(0, 0), begin, g.Ints(0, 0), end);
        return GraphBuilder.Like(g.Op("Pad", [full, pads]), x);
    }

    // A convolution of the input with dy as its kernel, batch and channel axes exchanged; stride and dilation change places. Windows that the
    // stride skipped make the result larger than the kernel; the rest is cut off.
    private static Value WeightGradient(GraphBuilder g, ConvWindow window, Value x, Value w, Value dy)
    {
        int n = window.Spatial, rank = n + 2;
        long[] exchange = [1, 0, .. Enumerable.Range(2, n).Select(i => (long)i)];
        Value image = x;
        if (window.Group == 1)
        {
            image = g.Transpose(x, exchange);
        }
        else
        {
            // [N, G·c, …] -> [c, G·N, …]: each group convolves its own channels.
            Value tail = g.Op("Shape", [x], ("start", 2));
            Value batch = g.DimOf(x, 0);
            long channels = w.Shape?[1].Known ?? throw new UnsupportedGradientException($"The channels of '{w.Name}' are unknown, and the gradient of a grouped Conv needs them.");
            Value apart = g.Reshape(x, g.Concat(0, batch, g.Ints(window.Group, channels), tail));
            Value turned = g.Op("Transpose", [apart], ("perm", new long[] { 2, 1, 0 }.Concat(Enumerable.Range(3, n).Select(i => (long)i)).ToArray()));
            image = g.Reshape(turned, g.Concat(0, g.Ints(channels), g.Mul(batch, g.Ints(window.Group)), tail));
        }
        Value kernel = g.Transpose(dy, exchange);
        Value product = g.Op("Conv", [image, kernel], ("strides", window.Dilations), ("dilations", window.Strides), ("group", window.Group), ("pads", window.Pads));
        if (window.Strides.Any(s => s != 1))
        {
            long[] axes = [.. Enumerable.Range(2, n).Select(i => (long)i)];
            product = g.Slice(product, new long[n], window.Kernel, axes);
        }
        product.Shape ??= new Shape(Enumerable.Repeat(Dim.Unknown, rank));
        return GraphBuilder.Like(g.Transpose(product, exchange), w);
    }
}
