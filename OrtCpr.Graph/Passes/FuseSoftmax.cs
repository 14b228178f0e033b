using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Softmax of float32 rows becomes an operator of ours, whose kernel uses all threads and the vectorised
/// exponential.</summary>
internal static class FuseSoftmax
{
    public static void Run(OnnxModel model)
    {
        bool any = false;
        foreach (Node node in model.Graph.Nodes.Where(n => n.Is("Softmax")))
        {
            if (node.Inputs[0] is not { Type: ElementType.Float, Shape: Shape shape } || shape.Rank == 0) continue;
            long axis = node.Int("axis", -1);
            if (axis != -1 && axis != shape.Rank - 1) continue;
            node.Domain = OperatorDefinition.Domain;
            node.Unset("axis");
            any = true;
        }
        if (any) OperatorTable.Attach(model);
    }
}
