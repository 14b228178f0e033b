using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

// Geometry of a convolution or pooling window, with automatic padding made explicit.
internal sealed record ConvWindow(long[] Kernel, long[] Strides, long[] Dilations, long[] PadsBegin, long[] PadsEnd, long Group)
{
    public int Spatial => Kernel.Length;

    public long[] Pads => [.. PadsBegin, .. PadsEnd];

    // Rows that a window spans, its gaps included.
    public long Reach(int axis) => ((Kernel[axis] - 1) * Dilations[axis]) + 1;

    public static ConvWindow Of(Forward op)
    {
        Node node = op.Node;
        long[] kernel = node.Ints("kernel_shape") ?? op.TryIn(1)?.Shape?.Skip(2).Select(d => d.Known ?? throw Unknown(op, "kernel size")).ToArray() ?? throw Unknown(op, "kernel size");
        int n = kernel.Length;
        long[] strides = node.Ints("strides") ?? [.. Enumerable.Repeat(1L, n)];
        long[] dilations = node.Ints("dilations") ?? [.. Enumerable.Repeat(1L, n)];
        long[] pads = node.Ints("pads") ?? new long[2 * n];
        var window = new ConvWindow(kernel, strides, dilations, pads[..n], pads[n..], node.Int("group", 1));
        string auto = node.Text("auto_pad", "NOTSET");
        if (auto is "NOTSET") return window;
        long[] begin = new long[n], end = new long[n];
        for (int i = 0; i < n && auto is not "VALID"; i++)
        {
            // With stride 1 the padding does not depend on the size.
            long size = strides[i] == 1 ? 0 : op.In(0).Shape?[i + 2].Known ?? throw Unknown(op, "spatial size (auto_pad with a stride)");
            long total = strides[i] == 1 ? window.Reach(i) - 1 : Math.Max(0, ((((size + strides[i] - 1) / strides[i]) - 1) * strides[i]) + window.Reach(i) - size);
            begin[i] = auto is "SAME_UPPER" ? total / 2 : total - (total / 2);
            end[i] = total - begin[i];
        }
        return window with { PadsBegin = begin, PadsEnd = end };
    }

    private static UnsupportedGradientException Unknown(Forward op, string what) =>
        new($"The {what} of node {op.Node.Label} is unknown, and its gradient needs it. Export the model with that size fixed.");
}
