using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

// Drops nodes and initializers that no output needs, and output names of needed nodes that nobody reads.
internal static class RemoveDeadNodes
{
    public static void Run(OnnxGraph graph, IReadOnlySet<Value>? keep = null)
    {
        var needed = new HashSet<Value>(graph.Outputs);
        for (int i = graph.Nodes.Count - 1; i >= 0; i--)
        {
            Node node = graph.Nodes[i];
            if (!node.Outputs.Any(o => o is not null && needed.Contains(o)))
            {
                graph.Nodes.RemoveAt(i);
                continue;
            }
            needed.UnionWith(OnnxGraph.ReadBy(node));
        }
        for (int i = graph.Initializers.Count - 1; i >= 0; i--)
        {
            Value initializer = graph.Initializers[i];
            if (!needed.Contains(initializer) && keep?.Contains(initializer) != true) graph.Initializers.RemoveAt(i);
        }
    }
}
