using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Convolutions and pooling of float64, for which ONNX Runtime has no kernel on the CPU, as a Gather of all windows
/// and one product. Done when a graph is differentiated already, so that what is checked are the gradients of the
/// operators themselves.</summary>
/// <remarks>Each axis is gathered by a table of [outputs, taps]; a tap beside the input reads a row of zeros behind it.
/// Geometry that is not written out (a given output shape, ceil_mode) is left as it is.</remarks>
internal static class DoubleProducts
{
    private static readonly Dictionary<string, Func<GraphBuilder, Node, Value?>> Table = new(StringComparer.Ordinal)
    {
        ["Conv"] = Conv,
        ["ConvTranspose"] = ConvTranspose,
        ["AveragePool"] = AveragePool,
        ["GlobalAveragePool"] = (g, n) => Global(g, n, "ReduceMean"),
        ["GlobalMaxPool"] = (g, n) => Global(g, n, "ReduceMax"),
        ["InstanceNormalization"] = InstanceNormalization,
    };

    /// <summary>Rewrites the nodes of the main graph.</summary>
    public static void Run(OnnxModel model)
    {
        OnnxGraph graph = model.Graph;
        var pieces = new Dictionary<Node, IReadOnlyList<Node>>();
        foreach (Node node in graph.Nodes.Where(n => n.Domain.Length == 0 && n.In(0)?.Type == ElementType.Double))
        {
            if (!Table.TryGetValue(node.OpType, out Func<GraphBuilder, Node, Value?>? rewrite)) continue;
            var written = new List<Node>();
            if (rewrite(new GraphBuilder(graph, sink: written) { Scope = $"{node.Outputs[0]!.Name}/double" }, node) is not Value result)
                continue;
            var last = new Node("", "Identity", node.Name);
            last.Inputs.Add(result);
            last.Outputs.Add(node.Outputs[0]);
            node.Outputs[0]!.Producer = last;
            pieces[node] = [.. written, last];
        }
        graph.Splice(pieces);
    }

    private static Value Conv(GraphBuilder g, Node node)
    {
        ConvWindow window = ConvWindow.WithoutPads(node);
        Term x = g.In(node, 0), w = g.In(node, 1), batch = g.DimOf(x, 0), filters = g.DimOf(w, 0);
        Axis[] axes = [.. Enumerable.Range(0, window.Spatial).Select(i => Axis.Of(g, node, window, x, i, g.DimOf(w, i + 2)))];
        Term kernel = g.Reshape(w, g.Concat(0, g.Ints(1, window.Group), filters / g.Ints(window.Group), g.Ints(-1)));
        return Product(g, node, Windows(g, x, axes), kernel, batch, window.Group, axes);
    }

    // Output o gets from tap k what stands at (o + begin - k·dilation) / stride, where that is a row of the input.
    private static Value? ConvTranspose(GraphBuilder g, Node node)
    {
        if (node.Has("output_shape") || node.Text("auto_pad", "NOTSET") is not ("NOTSET" or "VALID")) return null;
        ConvWindow window = ConvWindow.WithoutPads(node);
        int n = window.Spatial;
        Term x = g.In(node, 0), w = g.In(node, 1), channels = g.DimOf(w, 0), group = g.Ints(window.Group);
        long[] pads = node.Ints("pads") ?? new long[2 * n], rest = node.Ints("output_padding") ?? new long[n];
        var axes = new Axis[n];
        for (int i = 0; i < n; i++)
        {
            Term size = g.DimOf(x, i + 2), taps = g.DimOf(w, i + 2), stride = g.Ints(window.Strides[i]);
            Term reach = (taps - g.Ints(1)) * g.Ints(window.Dilations[i]) + g.Ints(1);
            Term outputs = (size - g.Ints(1)) * stride + reach + g.Ints(rest[i] - pads[i] - pads[n + i]);
            Term at = Axis.Table(g, outputs, 1, taps, -window.Dilations[i]) + g.Ints(pads[i]);
            Term row = at / stride;
            axes[i] = Axis.Of(g, row, g.Equal(row * stride, at) & g.GreaterOrEqual(at, g.Ints(0)), size, outputs);
        }
        Term kernel = g.Reshape(w, g.Concat(0, group, channels / group, g.DimOf(w, 1), g.Ints(-1)));
        kernel = g.Reshape(g.Op("Transpose", [kernel], ("perm", new long[] { 0, 2, 1, 3 })),
            g.Concat(0, g.Ints(1, window.Group), g.DimOf(w, 1), g.Ints(-1)));
        return Product(g, node, Windows(g, x, axes), kernel, g.DimOf(x, 0), window.Group, axes);
    }

    private static Value? AveragePool(GraphBuilder g, Node node)
    {
        if (node.Int("ceil_mode", 0) != 0) return null;
        ConvWindow window = ConvWindow.WithoutPads(node);
        Term x = g.In(node, 0);
        int n = window.Spatial;
        Axis[] axes = [.. Enumerable.Range(0, n).Select(i => Axis.Of(g, node, window, x, i, g.Ints(window.Kernel![i])))];
        Term sum = g.ReduceSum(Windows(g, x, axes), false, [.. Enumerable.Range(0, n).Select(i => (3L + (2 * i)))]);
        if (node.Int("count_include_pad", 0) != 0) return sum / window.Kernel!.Aggregate(1.0, (p, k) => p * k);
        for (int i = 0; i < n; i++)
        {
            Term count = g.ReduceSum(g.Cast(axes[i].IsInside, ElementType.Double), false, 1);
            sum = g.Div(sum, g.Reshape(count, [-1, .. Enumerable.Repeat(1L, n - 1 - i)]));
        }
        return sum;
    }

    private static Value Global(GraphBuilder g, Node node, string reduce) => g.Op(reduce,
        [node.Inputs[0], g.Op("Range", [g.Int(2), g.Op("Squeeze", [g.Op("Shape", [g.Op("Shape", [node.Inputs[0]])])]), g.Int(1)])],
        ("keepdims", 1));

    private static Value InstanceNormalization(GraphBuilder g, Node node)
    {
        Term x = g.In(node, 0), mean = g.Term(Global(g, node, "ReduceMean")), centred = g.Sub(x, mean);
        Term axes = g.Term(mean.Value.Producer!.Inputs[1]!);
        Term variance = g.Op("ReduceMean", [g.Mul(centred, centred), axes], ("keepdims", 1));
        double epsilon = node.Float("epsilon", 1e-5f);
        Term shape = g.Op("Concat", [g.Ints(1, -1), g.Op("Expand", [g.Ints(1), g.Op("Shape", [axes])])], ("axis", 0));
        Term normal = g.Div(centred, g.Sqrt(g.Add(variance, g.Scalar(epsilon, ElementType.Double))));
        return g.Add(g.Mul(normal, g.Op("Reshape", [node.Inputs[1], shape])), g.Op("Reshape", [node.Inputs[2], shape]));
    }

    // [N, C, outputs, taps, outputs, taps, …], with a row of zeros behind each axis for what lies beside it.
    private static Term Windows(GraphBuilder g, Value x, Axis[] axes)
    {
        int n = axes.Length;
        Term all = g.Op("Pad", [x, g.Ints([.. new long[n + 4], .. Enumerable.Repeat(1L, n)])]);
        for (int i = 0; i < n; i++) all = g.Gather(all, axes[i].Rows, 2 + (2 * i));
        return all;
    }

    // kernel: [1, groups, outputs a group, channels and taps].
    private static Value Product(GraphBuilder g, Node node, Value windows, Value kernel, Value batch, long group, Axis[] axes)
    {
        int n = axes.Length;
        long[] perm = [0, 1, .. Enumerable.Range(0, n).Select(i => 3L + (2 * i)), .. Enumerable.Range(0, n).Select(i => 2L + (2 * i))];
        Term sizes = g.Concat(0, [.. axes.Select(a => a.Outputs)]);
        Term columns = g.Reshape(g.Op("Transpose", [windows], ("perm", perm)),
            g.Concat(0, batch, g.Ints(group, -1), g.Op("ReduceProd", [sizes], ("keepdims", 1))));
        Term y = g.Reshape(g.MatMul(kernel, columns), g.Concat(0, batch, g.Ints(-1), sizes));
        return node.In(2) is Value bias ? g.Add(y, g.Reshape(bias, [1, -1, .. Enumerable.Repeat(1L, n)])) : y;
    }

    // Rows: which row of the input each tap of each output reads. Outputs: how many there are, as a vector of one.
    private sealed record Axis(Value Rows, Value IsInside, Value Outputs)
    {
        public static Axis Of(GraphBuilder g, Node node, ConvWindow window, Value x, int i, Term taps)
        {
            Term size = g.DimOf(x, i + 2), stride = g.Ints(window.Strides[i]);
            Term reach = (taps - g.Ints(1)) * g.Ints(window.Dilations[i]) + g.Ints(1);
            string auto = node.Text("auto_pad", "NOTSET");
            long[] pads = (auto == "NOTSET" ? node.Ints("pads") : null) ?? new long[2 * window.Spatial];
            Term begin = g.Ints(pads[i]), outputs;
            if (auto.StartsWith("SAME", StringComparison.Ordinal))
            {
                outputs = (size + stride - g.Ints(1)) / stride;
                Term total = g.Max((outputs - g.Ints(1)) * stride + reach - size, g.Ints(0)), half = total / g.Ints(2);
                begin = auto == "SAME_UPPER" ? half : total - half;
            }
            else
            {
                outputs = (size + g.Ints(pads[i] + pads[window.Spatial + i]) - reach) / stride + g.Ints(1);
            }
            Term rows = Table(g, outputs, window.Strides[i], taps, window.Dilations[i]) - begin;
            return Of(g, rows, g.GreaterOrEqual(rows, g.Ints(0)), size, outputs);
        }

        public static Axis Of(GraphBuilder g, Term rows, Term isInside, Term size, Term outputs)
        {
            Term inside = isInside & g.Less(rows, size);
            return new Axis(g.Where(inside, rows, size), inside, outputs);
        }

        // [outputs, taps]: output · a + tap · b.
        public static Term Table(GraphBuilder g, Term outputs, long a, Term taps, long b) =>
            g.Unsqueeze(Count(g, outputs), 1) * g.Ints(a) + g.Unsqueeze(Count(g, taps), 0) * g.Ints(b);

        private static Term Count(GraphBuilder g, Value n) => g.Op("Range", [g.Int(0), g.Squeeze(n, 0), g.Int(1)]);
    }
}
