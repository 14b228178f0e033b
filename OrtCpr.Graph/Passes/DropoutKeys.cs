using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>The key with which a body draws its masks: that of the graph around it, mixed with the number of the
/// iteration in Loop and Scan. It depends on nothing that the backward pass, which computes an iteration again, does not
/// have.</summary>
internal static class DropoutKeys
{
    /// <summary>Made when it is first asked for, so that a body without dropout stays as it is.</summary>
    public static Func<Value> Of(OnnxGraph graph, Node node, OnnxGraph body, Func<Value> outer, Func<int> number)
    {
        Value? made = null;
        return () => made ??= Make(graph, node, body, outer(), number);
    }

    private static Value Make(OnnxGraph graph, Node node, OnnxGraph body, Value outer, Func<int> number)
    {
        if (node.Is("If")) return outer;
        Value iteration = node.Is("Loop") ? body.Inputs[0] : node.Is("Scan") ? Counted(graph, node, body)
            : throw new UnsupportedGradientException(
                $"Node {node.Label} has Dropout in its body and does not tell which iteration that is. "
                + $"Use Loop or Scan, or choose {nameof(DropoutMode)}.{nameof(DropoutMode.Inference)}.");
        var nodes = new List<Node>();
        var g = new GraphBuilder(body, sink: nodes) { Scope = $"{body.Name}/dropout_key" };
        Value key = DropoutMasks.KeyOf(g, iteration, outer, number());
        body.Nodes.InsertRange(0, nodes);
        return key;
    }

    /// <summary>Scan counts by one more tensor that it cuts into slices: 0, 1 ….</summary>
    private static Value Counted(OnnxGraph graph, Node node, OnnxGraph body)
    {
        int scanned = (int)node.Int("num_scan_inputs", 0), states = body.Inputs.Count - scanned;
        var nodes = new List<Node>();
        var g = new GraphBuilder(graph, sink: nodes) { Scope = $"{body.Name}/iterations" };
        node.Inputs.Add(g.Positions(g.DimOf(node.Inputs[states]!, (int)(node.Ints("scan_input_axes")?[0] ?? 0))));
        graph.Nodes.InsertRange(graph.Nodes.IndexOf(node), nodes);
        node.Set("num_scan_inputs", scanned + 1L);
        foreach (string name in new[] { "scan_input_axes", "scan_input_directions" })
        {
            if (node.Ints(name) is long[] given) node.Set(name, (long[])[.. given, 0]);
        }
        return body.AddInput($"{body.Name}/iteration", ElementType.Int64, Shape.Scalar);
    }
}
