using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Batch normalisation → Relu, and batch normalisation → Add of a tensor of the same shape → Relu, become one
/// operator of ours: the results in between are neither written nor read again.</summary>
internal static class FuseBatchNorm
{
    public static void Run(OnnxModel model)
    {
        OnnxGraph graph = model.Graph;
        Dictionary<Value, List<Node>> readers = graph.Readers();
        var gone = new HashSet<Node>();
        foreach (Node norm in graph.Nodes.Where(n => n.Domain == OperatorDefinition.Domain && n.OpType == "BatchNorm").ToList())
        {
            Value y = norm.Outputs[0]!;
            if (graph.OnlyReader(readers, y) is not Node next || gone.Contains(next)) continue;
            Value? skip = null;
            if (next.Is("Add"))
            {
                Node sum = next;
                skip = next.Inputs[0] == y ? next.Inputs[1]! : next.Inputs[0]!;
                if (skip == y || y.Shape is null || !y.Shape.SurelyEquals(skip.Shape)
                    || graph.OnlyReader(readers, sum.Outputs[0]!) is not Node after || !after.Is("Relu"))
                {
                    continue;
                }
                gone.Add(sum);
                next = after;
            }
            if (!next.Is("Relu")) continue;
            norm.OpType = skip is null ? "BatchNormRelu" : "BatchNormAddRelu";
            if (skip is not null) norm.Inputs.Add(skip);
            norm.Outputs[0] = next.Outputs[0];
            norm.Outputs[0]!.Producer = norm;
            gone.Add(next);
        }
        if (gone.Count == 0) return;
        graph.Nodes.RemoveAll(gone.Contains);
        graph.Sort();
        OperatorTable.Attach(model);
    }
}
