using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>ConvTranspose for kernels that cut as much in front as at the end: what one end loses more than the other is cut off
/// the result.</summary>
internal static class TransposedPadding
{
    /// <summary>Null where both ends lose the same.</summary>
    public static Value? Cut(GraphBuilder g, Node node)
    {
        var window = ConvWindow.WithoutPads(node);
        int n = window.Spatial;
        string auto = node.Text("auto_pad", "NOTSET");
        bool derived = auto.StartsWith("SAME", StringComparison.Ordinal) || node.Has("output_shape");
        long[] pads = auto == "VALID" ? new long[2 * n] : node.Ints("pads") ?? new long[2 * n];
        if (!derived && pads.AsSpan(0, n).SequenceEqual(pads.AsSpan(n))) return null;
        long[] axes = [.. Enumerable.Range(2, n).Select(i => (long)i)];
        if (derived)
        {
            Term whole = Convolved(g, node, new long[n]);
            Term size = node.Ints("output_shape") is long[] given ? g.Ints([.. given.TakeLast(n)])
                : g.SizesFrom(2, node.Inputs[0]!) * g.Ints(window.Strides);
            Term extra = window.SpanOf(g, g.SizesFrom(2, node.Inputs[0]!), node.Inputs[1]!)
                + g.Ints(node.Ints("output_padding") ?? new long[n]) - size;
            Term half = g.Max(extra, g.Ints(0)) / g.Ints(2), begin = auto == "SAME_UPPER" ? half : g.Max(extra, g.Ints(0)) - half;
            return g.Op("Slice", [whole, begin, begin + size, g.Ints(axes)]);
        }
        long[] both = [.. Enumerable.Range(0, n).Select(i => Math.Min(pads[i], pads[n + i]))];
        long[] from = [.. both.Select((b, i) => pads[i] - b)];
        // An end of 0 would be the front.
        long[] to = [.. both.Select((b, i) => pads[n + i] > b ? b - pads[n + i] : long.MaxValue)];
        return g.Slice(Convolved(g, node, both), from, to, axes);
    }

    private static Term Convolved(GraphBuilder g, Node node, long[] pads) => g.Op("ConvTranspose", [.. node.Inputs],
        [.. node.Attributes.Where(a => a.Key is not ("auto_pad" or "output_shape" or "pads")).Select(a => (a.Key, a.Value)),
            ("pads", (long[])[.. pads, .. pads])]);
}
