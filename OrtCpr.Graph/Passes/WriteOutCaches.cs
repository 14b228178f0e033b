using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>SparseAttention runs only where whoever runs the model binds the cache that comes out to the buffer of the
/// one that goes in, which nobody does in the middle of a graph or for a batch that the caller owns. So it is written
/// out in every graph of ours, whether a gradient passes or not.</summary>
internal static class WriteOutCaches
{
    /// <summary>False when there was none.</summary>
    public static bool Run(OnnxModel model, ShapeInference known) => Run(model.Graph, known);

    private static bool Run(OnnxGraph graph, ShapeInference known)
    {
        bool any = Decompositions.Run(graph, known, graph.Nodes.Where(n => SparseAttentionDecomposition.Table.ContainsKey(n.QualifiedType))
            .ToList());
        foreach (OnnxGraph body in graph.Nodes.SelectMany(n => n.Subgraphs).ToList())
        {
            var inside = new ShapeInference();
            foreach (Node node in body.Nodes) inside.Visit(node);
            any |= Run(body, inside);
        }
        return any;
    }
}
