namespace OrtCpr.Graph.Ir;

/// <summary>Geometry of a convolution or pooling window, with automatic padding made explicit where sizes are known.
/// The kernel's size may be unknown for a Conv whose weight has symbolic dimensions.</summary>
internal sealed record ConvWindow(long[]? Kernel, long[] Strides, long[] Dilations, long[]? PadsBegin, long[]? PadsEnd, long Group)
{
    /// <summary>An odd automatic padding has its larger half at the end.</summary>
    private bool Upper { get; init; }

    public int Spatial => Strides.Length;

    /// <summary>Null where automatic padding depends on sizes that only a run knows.</summary>
    public long[]? Pads => PadsBegin is null ? null : [.. PadsBegin, .. PadsEnd!];

    public bool HasUnitStrides => Strides.All(s => s == 1);

    /// <summary>Rows that a window spans, its gaps included.</summary>
    public long Reach(int axis) => ((Kernel![axis] - 1) * Dilations[axis]) + 1;

    public static ConvWindow Of(Node node)
    {
        ConvWindow window = WithoutPads(node);
        int n = window.Spatial;
        string auto = node.Text("auto_pad", "NOTSET");
        if (auto is "VALID") return window;
        if (auto is "NOTSET")
            return node.Ints("pads") is long[] pads ? window with { PadsBegin = pads[..n], PadsEnd = pads[n..] } : window;
        long[] total = new long[n];
        for (int i = 0; i < n; i++)
        {
            // With stride 1 the padding does not depend on the size.
            long? size = window.Strides[i] == 1 ? 0 : node.Inputs[0]!.Shape?[i + 2].Known;
            if (window.Kernel is null || size is not long s)
                return window with { PadsBegin = null, PadsEnd = null, Upper = auto is "SAME_UPPER" };
            long stride = window.Strides[i];
            total[i] = stride == 1 ? window.Reach(i) - 1 : Math.Max(0, ((((s + stride - 1) / stride) - 1) * stride) + window.Reach(i) - s);
        }
        long[] less = [.. total.Select(t => t / 2)], more = [.. total.Select(t => t - (t / 2))];
        return auto is "SAME_UPPER" ? window with { PadsBegin = less, PadsEnd = more } : window with { PadsBegin = more, PadsEnd = less };
    }

    /// <summary>The geometry with no padding, whatever the node says of it.</summary>
    public static ConvWindow WithoutPads(Node node)
    {
        Dim[]? sizes = node.In(1)?.Shape?.Skip(2).ToArray();
        long[]? kernel = node.Ints("kernel_shape")
            ?? (sizes is not null && sizes.All(d => d.Known is not null) ? [.. sizes.Select(d => d.Known!.Value)] : null);
        int n = kernel?.Length ?? sizes?.Length ?? Rank(node) - 2;
        long[] strides = node.Ints("strides") ?? [.. Enumerable.Repeat(1L, n)];
        long[] dilations = node.Ints("dilations") ?? [.. Enumerable.Repeat(1L, n)];
        int pads = node.Ints("pads")?.Length ?? 2 * n;
        if (strides.Length != n || dilations.Length != n || pads != 2 * n || (node.Inputs[0]!.Shape is Shape image && image.Rank != n + 2))
        {
            throw new ModelFormatException(
                $"Node {node.Label}: kernel, strides, dilations and pads must have {n}, {n}, {n} and {2 * n} entries for an input of rank "
                + $"{n + 2}; found {kernel?.Length ?? n}, {strides.Length}, {dilations.Length}, {pads} and "
                + $"{node.Inputs[0]!.Shape?.ToString() ?? "an unknown rank"}. Export the model again.");
        }
        return new(kernel, strides, dilations, new long[n], new long[n], node.Int("group", 1));
    }

    private static int Rank(Node node) => node.Inputs[0]!.Shape?.Rank
        ?? throw new UnsupportedGradientException(
            $"The rank of '{node.Inputs[0]!.Name}', input of node {node.Label}, is unknown, and its windows cannot be told without it. "
            + "Give the model's inputs a known rank and export it again.");

    /// <summary>Rows that windows of this kernel span, as a vector.</summary>
    public Term ReachOf(GraphBuilder g, Value? weight) =>
        Kernel is not null ? g.Ints([.. Enumerable.Range(0, Spatial).Select(Reach)])
        : (g.SizesFrom(2, weight!) - g.Ints(1)) * g.Ints(Dilations) + g.Ints(1);

    /// <summary>Rows that <c>count</c> windows span together.</summary>
    public Term SpanOf(GraphBuilder g, Term count, Value? weight) =>
        g.Folded((count - g.Ints(1)) * g.Ints(Strides) + ReachOf(g, weight));

    /// <summary>Padding at the begin and at the end of each axis, as vectors.</summary>
    public (Term Begin, Term End) PadsOf(GraphBuilder g, Value x, Value y, Value? weight)
    {
        if (PadsBegin is not null) return (g.Ints(PadsBegin), g.Ints(PadsEnd!));
        Term total = g.Max(SpanOf(g, g.SizesFrom(2, y), weight) - g.SizesFrom(2, x), g.Ints(0));
        Term less = total / g.Ints(2), more = total - less;
        return Upper ? (less, more) : (more, less);
    }

    /// <summary>A tensor over the windows' span → one over the input: cuts the padding, adds zeros where the stride
    /// left rows over.</summary>
    public Term FitTo(GraphBuilder g, Value full, Value x, Value y, Value? weight = null)
    {
        Term begin = -PadsOf(g, x, y, weight).Begin;
        return g.PadFrom(2, full, begin, g.SizesFrom(2, x) - g.SizesFrom(2, full) - begin);
    }
}
