using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Nodes of 16-bit types that a device has no kernel for run in float32 between Casts: the same numbers, each rounded where the
/// node gave it.</summary>
internal static class WidenMissing
{
    /// <summary>Rewrites a graph in place.</summary>
    public static void Run(OnnxModel model, DeviceCapabilities device) =>
        Run(model, (node, type) => device.HasKernel(node.QualifiedType, type));

    /// <summary><c>hasKernel</c>: whether a node runs in a type as it is.</summary>
    public static void Run(OnnxModel model, Func<Node, ElementType, bool> hasKernel)
    {
        OnnxGraph graph = model.Graph;
        var casts = new PrecisionCasts(graph);
        var nodes = new List<Node>(graph.Nodes.Count);
        foreach (Node node in graph.Nodes)
        {
            ElementType? low = LowTypeOf(node);
            if (low is not ElementType type || node.Is("Cast") || hasKernel(node, type))
            {
                nodes.Add(node);
                continue;
            }
            for (int i = 0; i < node.Inputs.Count; i++)
            {
                if (node.Inputs[i] is Value input && input.Type == type) node.Inputs[i] = casts.Of(input, ElementType.Float, nodes);
            }
            nodes.Add(node);
            var results = new List<Node>();
            foreach (Value? output in node.Outputs.ToArray())
            {
                if (output?.Type == type) casts.Result(node, output, ElementType.Float, results);
            }
            nodes.AddRange(results);
        }
        graph.Nodes.Clear();
        graph.Nodes.AddRange(nodes);
        RemoveDeadNodes.Run(graph);
    }

    private static ElementType? LowTypeOf(Node node)
    {
        foreach (Value? value in node.Inputs.Concat(node.Outputs))
        {
            if (value?.Type is ElementType.Float16 or ElementType.BFloat16) return value.Type;
        }
        return null;
    }
}
