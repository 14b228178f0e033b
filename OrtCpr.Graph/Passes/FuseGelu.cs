using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Gelu as exporters write it out, ½x·(1 + tanh(√(2/π)·(x + 0.044715·x³))) or ½x·(1 + erf(x/√2)) with its
/// factors in any order, becomes one operator of ours: eight passes over memory forward and a dozen backward become one
/// each.</summary>
internal static class FuseGelu
{
    private static readonly double Scale = Math.Sqrt(2 / Math.PI);

    public static void Run(OnnxModel model)
    {
        OnnxGraph graph = model.Graph;
        Dictionary<Value, List<Node>> readers = graph.Readers();
        bool any = false;
        foreach (Node gate in graph.Nodes.Where(n => n.Is("Tanh") || n.Is("Erf")).ToList())
        {
            if (gate.Inputs[0] is not { Type: ElementType.Float } inner) continue;
            if ((gate.Is("Tanh") ? Cube(inner) : Scaled(inner)) is not Value x) continue;
            if (Outcome(graph, readers, gate.Outputs[0]!, x) is not Value y) continue;
            Node last = y.Producer!;
            var fused = new Node(OperatorDefinition.Domain, gate.Is("Tanh") ? "GeluTanh" : "GeluErf", last.Name);
            fused.Inputs.Add(x);
            fused.Outputs.Add(y);
            y.Producer = fused;
            graph.Nodes[graph.Nodes.IndexOf(last)] = fused;
            any = true;
        }
        if (!any) return;
        RemoveDeadNodes.Run(graph);
        OperatorTable.Attach(model);
    }

    /// <summary>x, when the value is √(2/π)·(x + 0.044715·x³).</summary>
    private static Value? Cube(Value value)
    {
        if (Times(value, Scale) is not Value sum || sum.Producer is not Node add || !add.Is("Add")) return null;
        for (int i = 0; i < 2; i++)
        {
            Value x = add.Inputs[i]!;
            if (Times(add.Inputs[1 - i]!, 0.044715) is Value cube && IsCube(cube, x)) return x;
        }
        return null;
    }

    private static bool IsCube(Value value, Value x)
    {
        if (value.Producer is not Node node) return false;
        if (node.Is("Pow")) return node.Inputs[0] == x && Is(node.Inputs[1], 3);
        return node.Is("Mul")
            && ((node.Inputs[0] == x && IsSquare(node.Inputs[1]!, x)) || (node.Inputs[1] == x && IsSquare(node.Inputs[0]!, x)));
    }

    private static bool IsSquare(Value value, Value x) => value.Producer is Node node
        && ((node.Is("Mul") && node.Inputs[0] == x && node.Inputs[1] == x)
            || (node.Is("Pow") && node.Inputs[0] == x && Is(node.Inputs[1], 2)));

    /// <summary>x, when the value is x/√2.</summary>
    private static Value? Scaled(Value value) =>
        value.Producer is Node node && node.Is("Div") && Is(node.Inputs[1], Math.Sqrt(2)) ? node.Inputs[0] : Times(value, Math.Sqrt(0.5));

    /// <summary>The product ½·x·(1 + gate), its factors grouped in any way.</summary>
    private static Value? Outcome(OnnxGraph graph, Dictionary<Value, List<Node>> readers, Value gate, Value x)
    {
        if (graph.OnlyReader(readers, gate) is not Node add || !add.Is("Add")
            || !Is(add.Inputs[0] == gate ? add.Inputs[1] : add.Inputs[0], 1))
        {
            return null;
        }
        Value sum = add.Outputs[0]!;
        if (graph.OnlyReader(readers, sum) is not Node first || !first.Is("Mul")) return null;
        Value other = first.Inputs[0] == sum ? first.Inputs[1]! : first.Inputs[0]!, product = first.Outputs[0]!;
        if (Times(other, 0.5) == x) return product;
        if (graph.OnlyReader(readers, product) is not Node second || !second.Is("Mul")) return null;
        Value rest = second.Inputs[0] == product ? second.Inputs[1]! : second.Inputs[0]!;
        return (other == x && Is(rest, 0.5)) || (Is(other, 0.5) && rest == x) ? second.Outputs[0] : null;
    }

    /// <summary>v, when the value is v · constant.</summary>
    private static Value? Times(Value value, double constant)
    {
        if (value.Producer is not Node node || !node.Is("Mul")) return null;
        return Is(node.Inputs[1], constant) ? node.Inputs[0] : Is(node.Inputs[0], constant) ? node.Inputs[1] : null;
    }

    /// <summary>Constants as exporters round them.</summary>
    private static bool Is(Value? value, double constant) =>
        value?.Data is { ElementCount: 1 } data && Math.Abs(data.ToDoubles()[0] - constant) <= 1e-6 * Math.Abs(constant);
}
