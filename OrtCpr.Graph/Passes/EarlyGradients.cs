using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Orders weight gradients so that each is computed as soon as its operands are there.</summary>
/// <remarks>ONNX Runtime runs what the last of the nodes that nobody reads needs, then what the one before it needs, and so on. Weight
/// gradients, in the order in which the backward pass writes them, would so all come after it, with every activation and its gradient
/// still in memory; in reverse order each comes as soon as its operands are there.</remarks>
internal static class EarlyGradients
{
    public static void Run(OnnxGraph graph)
    {
        var read = graph.Nodes.SelectMany(OnnxGraph.ReadBy).ToHashSet();
        ILookup<bool, Node> nodes = graph.Nodes.ToLookup(n => n.Outputs.Any(o => o is not null && read.Contains(o)));
        Node[] order = [.. nodes[true], .. nodes[false].Reverse()];
        graph.Nodes.Clear();
        graph.Nodes.AddRange(order);
    }
}
