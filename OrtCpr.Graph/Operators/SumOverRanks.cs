using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Operators;

/// <summary>The sum of a vector over the processes that train together. In a process alone, and so in the body, the vector
/// itself.</summary>
internal static class SumOverRanks
{
    /// <summary>Name of the graph's output [first, w] with what the loss of this batch divides by; empty where it divides by
    /// nothing.</summary>
    public const string WeightAttribute = "weight";

    /// <summary>x → Σ x. All ranks run the same nodes in the same order, or none goes on.</summary>
    public static OperatorDefinition Definition { get; } = new()
    {
        Name = "SumOverRanks",
        Inputs = ["x"],
        Outputs = [new("sum", ShapeOf: "x")],
        Attributes = [new(WeightAttribute, AttributeKind.Text)],
        Body = (g, x) => [g.Identity(x["x"])],
        Gradient = (g, op, dy) => [Backward(g, op.Node, dy)],
    };

    /// <summary>A call.</summary>
    public static Term Of(GraphBuilder g, Value vector, string weight) => Definition.Call(g, [vector], (WeightAttribute, weight))[0];

    /// <summary>All gradients of a rank are multiplied by the weight of its first batch in the end, so what another rank's loss gives here
    /// is multiplied by the ratio of the two.</summary>
    private static Term Backward(GraphBuilder g, Node call, Value dy)
    {
        string name = call.Text(WeightAttribute, "");
        Value? weight = g.Graph.Outputs.FirstOrDefault(o => o.Name == name);
        if (weight is null) return Of(g, dy, name);
        Term first = g.Slice(weight, [0], [1], [0]);
        return Of(g, g.Term(dy) * first, name) / first;
    }
}
