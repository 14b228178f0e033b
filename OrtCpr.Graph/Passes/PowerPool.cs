using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>LpPool and GlobalLpPool: (Σ |x|^p)^(1/p) over a window.</summary>
internal static class PowerPool
{
    /// <summary>The sum is a convolution with ones, each channel an image of its own. The last window of ceil_mode, which may
    /// reach beyond the padding, gets padding where sizes are known.</summary>
    public static Value? Write(GraphBuilder g, Node node)
    {
        Term x = g.In(node, 0);
        if (x.Shape is not Shape shape) return null;
        var window = ConvWindow.Of(node);
        (string, object)[] padding = node.Text("auto_pad", "NOTSET") is string auto and not "NOTSET" ? [("auto_pad", auto)]
            : [("pads", node.Ints("pads") ?? new long[2 * window.Spatial])];
        if (node.Int("ceil_mode", 0) != 0)
        {
            if (Reached(window, x, node.Outputs[0]!) is not long[] end) return null;
            padding = [("pads", (long[])[.. window.PadsBegin!, .. end])];
        }
        long power = node.Int("p", 2);
        long[] ones = [1, 1, .. window.Kernel!];
        Term apart = g.Reshape(Powers(g, x, power), g.Concat(0, g.Ints(-1, 1), g.SizesFrom(2, x)));
        Term weight = g.Constant(TensorData.From<float>([.. Enumerable.Repeat(1f, (int)ones.Aggregate((a, b) => a * b))], ones)
            .ConvertTo(x.Type));
        Term sums = g.Op("Conv", [apart, weight], [("strides", window.Strides), ("dilations", window.Dilations), .. padding]);
        sums.Shape ??= new Shape(Enumerable.Repeat(Dim.Unknown, shape.Rank));
        return Root(g, g.Reshape(sums, g.Concat(0, g.DimOf(x, 0), g.DimOf(x, 1), g.SizesFrom(2, sums))), power);
    }

    /// <summary>Padding at the end up to the last row of the last window.</summary>
    private static long[]? Reached(ConvWindow window, Term x, Value y)
    {
        long?[] size = [.. Enumerable.Range(2, window.Spatial).Select(i => x.Shape?[i].Known)];
        long?[] count = [.. Enumerable.Range(2, window.Spatial).Select(i => y.Shape?[i].Known)];
        if (window.PadsBegin is null || size.Concat(count).Any(n => n is null)) return null;
        return [.. Enumerable.Range(0, window.Spatial).Select(i =>
            Math.Max(0, ((count[i]!.Value - 1) * window.Strides[i]) + window.Reach(i) - size[i]!.Value - window.PadsBegin[i]))];
    }

    public static Value? WriteGlobal(GraphBuilder g, Node node)
    {
        Term x = g.In(node, 0);
        if (x.Shape is not Shape shape) return null;
        long power = node.Int("p", 2);
        return Root(g, g.ReduceSum(Powers(g, x, power), true, [.. Enumerable.Range(2, shape.Rank - 2).Select(i => (long)i)]), power);
    }

    private static Term Powers(GraphBuilder g, Term x, long power) => power switch
    {
        1 => g.Abs(x),
        2 => x * x,
        _ => g.Pow(g.Abs(x), power),
    };

    private static Term Root(GraphBuilder g, Term sum, long power) => power switch
    {
        1 => sum,
        2 => g.Sqrt(sum),
        _ => g.Pow(sum, 1.0 / power),
    };
}
