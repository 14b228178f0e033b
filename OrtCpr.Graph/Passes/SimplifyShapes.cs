using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Targets that exporters compute at run time from Shape, written down where the shapes are known: a Reshape
/// needs a computed target only with two or more dimensions that are neither numbers nor the input's own at the same
/// place. Saves dozens of tiny nodes a layer.</summary>
internal static class SimplifyShapes
{
    public static void Run(OnnxModel model, ShapeInference known)
    {
        OnnxGraph graph = model.Graph;
        var builder = new GraphBuilder(graph, known) { Scope = "shape" };
        foreach (Node node in graph.Nodes.ToList())
        {
            if (node.Is("Reshape") && node.In(1) is { IsInitializer: false } && ReshapeTarget(node, known) is long[] target)
            {
                node.Inputs[1] = builder.Ints(target);
                node.Unset("allowzero");
            }
            else if (node.Is("Expand") && node.In(1) is { IsInitializer: false } && ExpandTarget(node) is long[] sizes)
            {
                node.Inputs[1] = builder.Ints(sizes);
            }
        }
        RemoveDeadNodes.Run(graph);
    }

    private static long[]? ReshapeTarget(Node node, ShapeInference known)
    {
        Shape? from = node.In(0)?.Shape;
        if (node.Outputs[0]?.Shape is not Shape to || to.Any(d => d.Size is null)) return null;
        // A target element of -1 or 0 has been resolved into the shape; a zero-sized dimension has no short form.
        if (to.Any(d => d.Known == 0) || (from is not null && from.Any(d => d.Known == 0))) return null;
        return Shape.ReshapeTarget(from ?? Shape.Scalar, to);
    }

    /// <summary>1 in an Expand target keeps the input's dimension.</summary>
    private static long[]? ExpandTarget(Node node)
    {
        if (node.In(0)?.Shape is not Shape from || node.Outputs[0]?.Shape is not Shape to || to.Rank != from.Rank) return null;
        long[] target = new long[to.Rank];
        for (int i = 0; i < target.Length; i++)
        {
            if (to[i].SurelyEquals(from[i])) target[i] = 1;
            else if (to[i].Known is long n) target[i] = n;
            else return null;
        }
        return target;
    }
}
