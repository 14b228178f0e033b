namespace OrtCpr.Graph.Ir;

/// <summary>Output shapes of operators that slide windows over images or change their sizes, in symbols.</summary>
internal static class WindowShapes
{
    public static Shape?[]? Conv(Node node)
    {
        if (Geometry(node, node.In(1)?.Shape?.Skip(2)) is not { } g || node.In(1)?.Shape is not Shape weight || weight.Rank != g.Image.Rank)
            return null;
        return [new Shape([g.Image[0], weight[0], .. Enumerable.Range(0, g.Kernel.Length).Select(i => Windows(node, g, i, false))])];
    }

    public static Shape?[]? Pool(Node node)
    {
        if (Geometry(node, node.Ints("kernel_shape")?.Select(k => (Dim)k)) is not { } g) return null;
        var shape = new Shape(
            [g.Image[0], g.Image[1], .. Enumerable.Range(0, g.Kernel.Length)
                .Select(i => Windows(node, g, i, node.Int("ceil_mode", 0) != 0))]);
        return [shape, shape];
    }

    public static Shape?[]? GlobalPool(Node node) =>
        node.In(0)?.Shape is { Rank: > 2 } x ? [new Shape(x.Select((d, i) => i < 2 ? d : 1))] : null;

    public static Shape?[]? ConvTranspose(Node node)
    {
        if (Geometry(node, node.In(1)?.Shape?.Skip(2)) is not { } g || node.In(1)?.Shape is not Shape weight || weight.Rank != g.Image.Rank)
            return null;
        long[] extra = node.Ints("output_padding") ?? new long[g.Kernel.Length];
        long[]? given = node.Ints("output_shape");
        Dim channels = weight[1].Size is SymbolicInt c ? c * SymbolicInt.Of(node.Int("group", 1)) : null;
        return [new Shape([g.Image[0], channels, .. Enumerable.Range(0, g.Kernel.Length).Select(Rows)])];

        Dim Rows(int i)
        {
            if (given is not null) return given[^(g.Kernel.Length - i)];
            if (g.Image[i + 2].Size is not SymbolicInt size || g.Reach(i) is not SymbolicInt reach) return Dim.Unknown;
            if (g.Auto is "SAME_UPPER" or "SAME_LOWER") return size * SymbolicInt.Of(g.Strides[i]);
            return ((size - SymbolicInt.One) * SymbolicInt.Of(g.Strides[i])) + reach + SymbolicInt.Of(extra[i] - g.Pad(i));
        }
    }

    /// <summary>Sizes given, or factors; whole factors keep symbols.</summary>
    public static Shape?[]? Resize(Node node, ShapeInference known)
    {
        if (node.In(0)?.Shape is not Shape x || node.Text("keep_aspect_ratio_policy", "stretch") != "stretch") return null;
        int[] axes = node.Ints("axes") is long[] some ? [.. some.Select(a => x.Axis(a))] : [.. Enumerable.Range(0, x.Rank)];
        SymbolicInt?[]? sizes = known.Integers(node.In(3));
        double[]? scales = sizes is null && node.In(2)?.Data is TensorData { ElementCount: > 0 } data ? data.ToDoubles() : null;
        if ((sizes?.Length ?? scales?.Length) != axes.Length) return null;
        Shape result = x;
        for (int i = 0; i < axes.Length; i++) result = result.With(axes[i], sizes is not null ? sizes[i] : Scaled(x[axes[i]], scales![i]));
        return [result];
    }

    public static Shape?[]? Pad(Node node, ShapeInference known)
    {
        if (node.In(0)?.Shape is not Shape x || known.Integers(node.In(1)) is not { } pads) return null;
        long[]? axes = node.In(3) is null ? [.. Enumerable.Range(0, x.Rank).Select(i => (long)i)] : known.Constants(node.In(3));
        if (axes is null || pads.Length != 2 * axes.Length) return null;
        Shape result = x;
        for (int i = 0; i < axes.Length; i++)
        {
            int axis = x.Axis(axes[i]);
            result = result.With(axis, x[axis].Size is SymbolicInt size && pads[i] is SymbolicInt begin
                && pads[axes.Length + i] is SymbolicInt end ? size + begin + end : null);
        }
        return [result];
    }

    private sealed record Window(Shape Image, Dim[] Kernel, long[] Strides, long[] Dilations, long[] Pads, string Auto)
    {
        public long Pad(int i) => Pads[i] + Pads[Kernel.Length + i];

        /// <summary>Rows that a window spans, its gaps included.</summary>
        public SymbolicInt? Reach(int i) =>
            Kernel[i].Size is SymbolicInt k ? ((k - SymbolicInt.One) * SymbolicInt.Of(Dilations[i])) + SymbolicInt.One : null;
    }

    private static Window? Geometry(Node node, IEnumerable<Dim>? sizes)
    {
        if (node.In(0)?.Shape is not Shape image || sizes is null) return null;
        Dim[] kernel = [.. sizes];
        int n = kernel.Length;
        long[] strides = node.Ints("strides") ?? [.. Enumerable.Repeat(1L, n)];
        long[] dilations = node.Ints("dilations") ?? [.. Enumerable.Repeat(1L, n)];
        string auto = node.Text("auto_pad", "NOTSET");
        long[] pads = auto == "NOTSET" ? node.Ints("pads") ?? new long[2 * n] : new long[2 * n];
        return n > 0 && image.Rank == n + 2 && strides.Length == n && dilations.Length == n && pads.Length == 2 * n
            ? new(image, kernel, strides, dilations, pads, auto) : null;
    }

    private static Dim Windows(Node node, Window g, int i, bool ceil)
    {
        if (g.Image[i + 2].Size is not SymbolicInt size || g.Reach(i) is not SymbolicInt reach) return Dim.Unknown;
        long stride = g.Strides[i];
        if (g.Auto is "SAME_UPPER" or "SAME_LOWER")
            return stride == 1 ? size : (size + SymbolicInt.Of(stride - 1)) / SymbolicInt.Of(stride);
        SymbolicInt free = size + SymbolicInt.Of(g.Pad(i)) - reach;
        if (!ceil) return (free / SymbolicInt.Of(stride)) + SymbolicInt.One;
        if (stride == 1) return free + SymbolicInt.One;
        // A last window that would start in the padding after the image is dropped.
        if (free.Constant is not long f || size.Constant is not long s) return Dim.Unknown;
        long count = ((f + stride - 1) / stride) + 1;
        return (count - 1) * stride >= s + g.Pads[i] ? count - 1 : count;
    }

    private static Dim Scaled(Dim size, double scale) => size.Known is long n ? (long)Math.Floor(n * (double)(float)scale)
        : size.Size is SymbolicInt symbol && scale == Math.Floor(scale) ? symbol * SymbolicInt.Of((long)scale) : null;
}
