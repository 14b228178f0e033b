using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Convolutions of 1 to 3 spatial dimensions, with groups, strides, dilations and every way of
/// padding.</summary>
internal static class ConvolutionRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["Conv"] = Conv,
        ["ConvTranspose"] = (g, op, dy) => ConvTranspose(g, op, dy, TransposedPads(g, op, dy), 2),
        ["com.microsoft.ConvTransposeWithDynamicPads"] = (g, op, dy) => ConvTranspose(g, op, dy, DynamicPads(g, op, dy), 3),
    };

    internal static Value?[] Conv(GraphBuilder g, Forward op, Term dy)
    {
        var window = ConvWindow.Of(op.Node);
        Term x = op.In(0), w = op.In(1);
        Value? dx = op.IsWanted(0) ? InputGradient(g, window, x, w, dy) : null;
        Value? dw = op.IsWanted(1) ? WeightGradient(g, window, x, w, dy) : null;
        return op.IsWanted(2) ? [dx, dw, BiasGradient(g, dy, window.Spatial)] : [dx, dw];
    }

    private static Term BiasGradient(GraphBuilder g, Value dy, int spatial) =>
        g.ReduceSum(dy, false, [.. Enumerable.Range(0, spatial + 2).Where(i => i != 1).Select(i => (long)i)]);

    /// <summary>Of all rows that the windows span, y is a cut. With zeros around it dy is over the span again, and x is
    /// to it what y is to the x of a Conv with the same weight: dx is that Conv of dy, dw its weight gradient with x
    /// and dy exchanged.</summary>
    private static Value?[] ConvTranspose(GraphBuilder g, Forward op, Value dy, Term begin, int bias)
    {
        var window = ConvWindow.WithoutPads(op.Node);
        Term x = op.In(0), w = op.In(1);
        Term end = window.SpanOf(g, g.SizesFrom(2, x), w) - begin - g.SizesFrom(2, dy);
        Term span = g.PadFrom(2, dy, begin, end);
        Term dx = g.Op("Conv", [span, w], ("strides", window.Strides), ("dilations", window.Dilations), ("group", window.Group)).Like(x);
        var results = new Value?[bias + 1];
        results[0] = dx;
        results[1] = WeightGradient(g, window, span, w, x);
        if (op.TryIn(bias) is not null) results[bias] = BiasGradient(g, dy, window.Spatial);
        return results;
    }

    /// <summary>Rows cut in front. Where the output's size is given, or follows from auto_pad, what is too much is
    /// shared between both ends.</summary>
    private static Term TransposedPads(GraphBuilder g, Forward op, Value dy)
    {
        var window = ConvWindow.WithoutPads(op.Node);
        int n = window.Spatial;
        string auto = op.Node.Text("auto_pad", "NOTSET");
        if (auto == "VALID" || (auto == "NOTSET" && !op.Node.Has("output_shape")))
            return g.Ints(auto == "VALID" ? new long[n] : op.Node.Ints("pads")?[..n] ?? new long[n]);
        Term span = window.SpanOf(g, g.SizesFrom(2, op.In(0)), op.In(1)) + g.Ints(op.Node.Ints("output_padding") ?? new long[n]);
        Term total = g.Max(span - g.SizesFrom(2, dy), g.Ints(0)), half = total / g.Ints(2);
        return auto == "SAME_UPPER" ? half : total - half;
    }

    private static Term DynamicPads(GraphBuilder g, Forward op, Value dy)
    {
        int n = ConvWindow.WithoutPads(op.Node).Spatial;
        return op.TryIn(2) is Value pads ? g.Slice(pads, [0], [n], [0]) : TransposedPads(g, op, dy);
    }

    private static bool HasKernel(ConvWindow window, Value x, Value w) =>
        window is { Spatial: 2, Group: 1, Pads: not null } && x.Type == ElementType.Float && x.Shape is { Rank: 4 }
        && w.Shape is { Rank: 4 };

    /// <summary>ConvTranspose undoes the geometry. What the stride left over at the far end gets zeros: by
    /// output_padding where sizes are known, else by Pad.</summary>
    private static Term InputGradient(GraphBuilder g, ConvWindow window, Value x, Value w, Value dy)
    {
        if (HasKernel(window, x, w))
            return g.Term(Convolution.InputGradOf(g, x, w, dy, window.Strides, window.Dilations, window.Pads!));
        int n = window.Spatial;
        long?[] sizes = [.. Enumerable.Range(2, n).Select(i => x.Shape?[i].Known)];
        long?[] outputs = [.. Enumerable.Range(2, n).Select(i => dy.Shape?[i].Known)];
        (string, object)[] geometry = [("strides", window.Strides), ("dilations", window.Dilations), ("group", window.Group)];
        bool known = window.Pads is not null && window.Kernel is not null && sizes.All(s => s is not null)
            && outputs.All(o => o is not null);
        if (window.Pads is not long[] pads || (!window.HasUnitStrides && !known))
            return window.FitTo(g, g.Op("ConvTranspose", [dy, w], geometry), x, dy, w).Like(x);
        long[] rest = new long[n];
        for (int i = 0; i < n && !window.HasUnitStrides; i++)
            rest[i] = sizes[i]!.Value + pads[i] + pads[n + i] - (((outputs[i]!.Value - 1) * window.Strides[i]) + window.Reach(i));
        return g.Op("ConvTranspose", [dy, w], [.. geometry, ("pads", pads), ("output_padding", rest)]).Like(x);
    }

    /// <summary>A convolution of the input with dy as its kernel, batch and channel axes exchanged; stride and dilation
    /// are exchanged. Windows that the stride skipped make the result larger than the kernel; the rest is cut
    /// off.</summary>
    private static Term WeightGradient(GraphBuilder g, ConvWindow window, Term x, Value w, Value dy)
    {
        if (HasKernel(window, x, w))
            return g.Term(Convolution.WeightGradOf(g, x, w, dy, window.Strides, window.Dilations, window.Pads!));
        int n = window.Spatial, rank = n + 2;
        long[] spatial = [.. Enumerable.Range(2, n).Select(i => (long)i)], exchange = [1, 0, .. spatial];
        if (window.Pads is null)
        {
            (Term begin, Term end) = window.PadsOf(g, x, dy, w);
            x = g.PadFrom(2, x, begin, end).Typed(x.Type, null);
        }
        Term image = window.Group == 1 ? g.Transpose(x, exchange) : GroupedImage(g, window, x, w);
        Term product = g.Op("Conv", [image, g.Transpose(dy, exchange)], ("strides", window.Dilations), ("dilations", window.Strides),
            ("group", window.Group), ("pads", window.Pads ?? new long[2 * n]));
        if (!window.HasUnitStrides)
        {
            Term size = window.Kernel is long[] kernel ? g.Ints(kernel) : g.Op("Shape", [w], ("start", 2));
            product = g.Op("Slice", [product, g.Ints(new long[n]), size, g.Ints(spatial)]);
        }
        product.Shape ??= new Shape(Enumerable.Repeat(Dim.Unknown, rank));
        return g.Transpose(product, exchange).Like(w);
    }

    /// <summary>[N, G·c, …] → [c, G·N, …], so that each group convolves its own channels.</summary>
    private static Term GroupedImage(GraphBuilder g, ConvWindow window, Value x, Value w)
    {
        Term tail = g.Op("Shape", [x], ("start", 2)), batch = g.DimOf(x, 0), channels = g.DimOf(w, 1), groups = g.Ints(window.Group);
        Term apart = g.Reshape(x, g.Concat(0, batch, groups, channels, tail));
        long[] perm = [2, 1, 0, .. Enumerable.Range(3, window.Spatial).Select(i => (long)i)];
        Term exchanged = g.Op("Transpose", [apart], ("perm", perm));
        return g.Reshape(exchanged, g.Concat(0, channels, batch * groups, tail));
    }
}
