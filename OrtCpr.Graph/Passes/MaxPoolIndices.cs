using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>The second output of MaxPool for devices whose kernel does not give it, or another on a tie.</summary>
internal static class MaxPoolIndices
{
    /// <summary>For a kernel that goes through a window column by column: rows and columns are exchanged before and
    /// after it. The maximum itself stays with the node, which without indices has a faster kernel.</summary>
    public static void Transpose(OnnxGraph graph, ShapeInference known)
    {
        foreach (Node node in graph.Nodes.Where(n =>
            n.QualifiedType == "MaxPool" && n.Outputs.Count > 1 && n.Outputs[1] is not null && n.Ints("kernel_shape")?.Length > 1).ToList())
        {
            Value x = node.Inputs[0]!, old = node.Outputs[1]!;
            var nodes = new List<Node>();
            var g = new GraphBuilder(graph, known, nodes) { Scope = old.Name };
            int rank = node.Ints("kernel_shape")!.Length + 2;
            long[] swap = [.. Enumerable.Range(0, rank - 2).Select(i => (long)i), rank - 1, rank - 2];
            (string, object)[] attributes = [.. node.Attributes.Where(a => a.Key != "storage_order")
                .Select(a => (a.Key, a.Value is long[] each ? Swapped(each, rank - 2) : a.Value))];
            Term found = g.Transpose(g.Ops("MaxPool", 2, [g.Transpose(x, swap)], attributes)[1], swap);
            // plane·HW + w·H + h to plane·HW + h·W + w.
            Term height = g.DimOf(x, rank - 2), width = g.DimOf(x, rank - 1), column = found / height, row = found - column * height;
            Term planes = column / width * width;
            Value index = (planes * height + row * width + (column - planes)).Like(old);
            graph.Nodes.InsertRange(graph.Nodes.IndexOf(node) + 1, nodes);
            graph.ReplaceReaders(old, index);
            if (graph.Outputs.Contains(index)) (index.Name, old.Name) = (old.Name, index.Name);
            node.Outputs.RemoveAt(1);
        }
    }

    /// <summary>Per axis, or all begins and then all ends.</summary>
    private static long[] Swapped(long[] values, int spatial)
    {
        long[] swapped = [.. values];
        for (int last = spatial - 1; last < values.Length; last += spatial)
            (swapped[last], swapped[last - 1]) = (swapped[last - 1], swapped[last]);
        return swapped;
    }

    /// <summary>In standard operators, for a kernel that gives the first output only: window position by window
    /// position from the last to the first, whoever equals the maximum. Static shapes. Takes the output away from the
    /// node; the node itself stays.</summary>
    public static Value? Write(GraphBuilder g, Node node)
    {
        if (node.Outputs.Count < 2 || node.Outputs[1] is not Value old) return null;
        Value x = node.Inputs[0]!, y = node.Outputs[0]!;
        if (x.Shape?.Sizes is not long[] size || y.Shape?.Sizes is not long[] count) return null;
        var window = ConvWindow.Of(node);
        int n = window.Spatial;
        if (window.PadsBegin is not long[] begin) return null;
        long[] still = [0, 0];
        long[] end = [.. Enumerable.Range(0, n)
            .Select(i => ((count[i + 2] - 1) * window.Strides[i]) + window.Reach(i) - size[i + 2] - begin[i])];
        Value padded = begin.Concat(end).All(p => p == 0) ? x
            : g.Op("Pad", [x, g.Ints([.. still, .. begin, .. still, .. end]), g.Scalar(-3e38, x.Type)]);
        Value? index = null;
        foreach (long[] offset in Offsets(window.Kernel!).Reverse())
        {
            long[] start = [.. offset.Select((k, i) => k * window.Dilations[i])];
            Term position = g.Constant(Positions(start, begin, window.Strides, size, count));
            if (index is null)
            {
                index = position;
                continue;
            }
            Term seen = g.Op(
                "Slice", [padded, g.Ints(start), g.Ints([.. start.Select((s, i) => s + ((count[i + 2] - 1) * window.Strides[i]) + 1)]),
                g.Ints([.. Enumerable.Range(2, n).Select(i => (long)i)]), g.Ints(window.Strides)]);
            index = g.Where(g.Equal(seen, y), position, index);
        }
        long plane = size.Skip(2).Aggregate(1L, (p, d) => p * d);
        long[] bases = [.. Enumerable.Range(0, (int)(size[0] * size[1])).Select(i => i * plane)];
        Term all = (index! + g.Constant(TensorData.From<long>(bases, [size[0], size[1], .. Enumerable.Repeat(1L, n)]))).Like(old);
        g.Graph.ReplaceReaders(old, all);
        node.Outputs.RemoveAt(1);
        return null;
    }

    /// <summary>MaxUnpool: the values go to the places that the indices name in the flat result, zeros elsewhere.</summary>
    public static Value? Unpool(GraphBuilder g, Node node)
    {
        Term x = g.In(node, 0);
        if (node.In(2) is null && x.Shape is null) return null;
        Term shape = g.Term(node.In(2) ?? UnpooledShape(g, node, x));
        Term zeros = g.FilledOf(0, g.Reduce("ReduceProd", shape, true), x.Type);
        Term flat = g.Op("ScatterElements", [zeros, g.Reshape(node.Inputs[1]!, -1), g.Reshape(x, -1)]);
        return g.Reshape(flat, shape);
    }

    private static Term UnpooledShape(GraphBuilder g, Node node, Term x)
    {
        long[] kernel = node.Ints("kernel_shape")!, pads = node.Ints("pads") ?? new long[2 * kernel.Length];
        long[] strides = node.Ints("strides") ?? [.. kernel.Select(_ => 1L)];
        long[] rest = [.. kernel.Select((k, i) => k - strides[i] - pads[i] - pads[kernel.Length + i])];
        return g.Concat(0, g.DimOf(x, 0), g.DimOf(x, 1), g.SizesFrom(2, x) * g.Ints(strides) + g.Ints(rest));
    }

    /// <summary>Every position in a window, row-major.</summary>
    private static IEnumerable<long[]> Offsets(long[] kernel) => kernel.Aggregate<long, IEnumerable<long[]>>([[]], (all, size) =>
        all.SelectMany(head => Enumerable.Range(0, (int)size).Select(k => (long[])[.. head, k])));

    /// <summary>Flat positions within a plane, [1, 1, windows…].</summary>
    private static TensorData Positions(long[] start, long[] begin, long[] strides, long[] size, long[] count)
    {
        long[] flat = [0];
        for (int i = 0; i < start.Length; i++)
        {
            int axis = i;
            flat = [.. flat.SelectMany(p =>
                Enumerable.Range(0, (int)count[axis + 2])
                .Select(o => (p * size[axis + 2]) + (o * strides[axis]) + start[axis] - begin[axis]))];
        }
        return TensorData.From<long>(flat, [1, 1, .. count.Skip(2)]);
    }
}
