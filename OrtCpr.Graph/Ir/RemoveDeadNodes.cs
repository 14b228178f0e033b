namespace OrtCpr.Graph.Ir;

/// <summary>Drops nodes and initializers that no output needs.</summary>
internal static class RemoveDeadNodes
{
    public static void Run(OnnxGraph graph, IReadOnlySet<Value>? keep = null)
    {
        var needed = new HashSet<Value>(graph.Outputs);
        var dead = new HashSet<Node>();
        for (int i = graph.Nodes.Count - 1; i >= 0; i--)
        {
            Node node = graph.Nodes[i];
            if (node.Outputs.Any(o => o is not null && needed.Contains(o))) needed.UnionWith(OnnxGraph.ReadBy(node));
            else dead.Add(node);
        }
        graph.Nodes.RemoveAll(dead.Contains);
        graph.Initializers.RemoveAll(i => !needed.Contains(i) && keep?.Contains(i) != true);
    }
}
