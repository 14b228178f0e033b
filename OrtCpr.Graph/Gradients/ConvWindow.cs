using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

// Geometry of a convolution or pooling window, with automatic padding made explicit. The kernel's size may be unknown for a Conv whose weight
// has symbolic dimensions.
internal sealed record ConvWindow(long[]? Kernel, long[] Strides, long[] Dilations, long[] PadsBegin, long[] PadsEnd, long Group)
{
    public int Spatial => Strides.Length;

    public long[] Pads => [.. PadsBegin, .. PadsEnd];

    public bool HasUnitStrides => Strides.All(s => s == 1);

    // Rows that a window spans, its gaps included.
    public long Reach(int axis) => ((Kernel![axis] - 1) * Dilations[axis]) + 1;

    public static ConvWindow Of(Forward op)
    {
        Node node = op.Node;
        Dim[]? sizes = op.TryIn(1)?.Shape?.Skip(2).ToArray();
        long[]? kernel = node.Ints("kernel_shape") ?? (sizes is not null && sizes.All(d => d.Known is not null) ? [.. sizes.Select(d => d.Known!.Value)] : null);
        int n = kernel?.Length ?? sizes?.Length ?? op.In(0).Shape?.Rank - 2 ?? throw Unknown(op, "rank");
        long[] strides = node.Ints("strides") ?? [.. Enumerable.Repeat(1L, n)];
        long[] dilations = node.Ints("dilations") ?? [.. Enumerable.Repeat(1L, n)];
        long[] pads = node.Ints("pads") ?? new long[2 * n];
        if (strides.Length != n || dilations.Length != n || pads.Length != 2 * n || (op.In(0).Shape is Shape image && image.Rank != n + 2))
            throw new ModelFormatException($"Node {node.Label}: kernel, strides, dilations and pads must have {n}, {n}, {n} and {2 * n} entries for an input of rank {n + 2}; found {kernel?.Length ?? n}, {strides.Length}, {dilations.Length}, {pads.Length} and {op.In(0).Shape?.ToString() ?? "an unknown rank"}. Export the model again.");
        ConvWindow window = new(kernel, strides, dilations, pads[..n], pads[n..], node.Int("group", 1));
        string auto = node.Text("auto_pad", "NOTSET");
        if (auto is "NOTSET") return window;
        if (auto is "VALID") return window with { PadsBegin = new long[n], PadsEnd = new long[n] };
        if (kernel is null) throw Unknown(op, "kernel size (auto_pad)");
        long[] begin = new long[n], end = new long[n];
        for (int i = 0; i < n; i++)
        {
            // With stride 1 the padding does not depend on the size.
            long size = strides[i] == 1 ? 0 : op.In(0).Shape?[i + 2].Known ?? throw Unknown(op, "spatial size (auto_pad with a stride)");
            long total = strides[i] == 1 ? window.Reach(i) - 1 : Math.Max(0, ((((size + strides[i] - 1) / strides[i]) - 1) * strides[i]) + window.Reach(i) - size);
            begin[i] = auto is "SAME_UPPER" ? total / 2 : total - (total / 2);
            end[i] = total - begin[i];
        }
        return window with { PadsBegin = begin, PadsEnd = end };
    }

    // A tensor over the windows' span -> one over the input: cuts the padding, adds zeros where the stride left rows over. `spatial` is the wanted
    // size, computed where it is not known.
    public Value FitTo(GraphBuilder g, Value full, Value x, int leadingAxes)
    {
        Value begin = g.Ints([.. PadsBegin.Select(p => -p)]);
        long?[] wanted = [.. Enumerable.Range(2, Spatial).Select(i => x.Shape?[i].Known)], found = [.. Enumerable.Range(2, Spatial).Select(i => full.Shape?[i].Known)];
        Value end = wanted.All(w => w is not null) && found.All(f => f is not null)
            ? g.Ints([.. wanted.Select((w, i) => w!.Value - found[i]!.Value + PadsBegin[i])])
            : g.Sub(g.Sub(g.Op("Shape", [x], ("start", 2)), g.Op("Shape", [full], ("start", 2))), begin);
        if (PadsBegin.All(p => p == 0) && end.ConstantIntegers is long[] known && known.All(e => e == 0)) return full;
        Value still = g.Ints(new long[leadingAxes]);
        return g.Op("Pad", [full, g.Concat(0, still, begin, still, end)]);
    }

    private static UnsupportedGradientException Unknown(Forward op, string what) =>
        new($"The {what} of node {op.Node.Label} is unknown, and its gradient needs it. Export the model with that size fixed.");
}
