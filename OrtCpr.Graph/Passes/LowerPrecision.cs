using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Graph.Passes;

/// <summary>A training graph in mixed precision: nodes run in the type that <see cref="PrecisionPolicy"/> says, with Casts in
/// between.</summary>
/// <remarks>
/// <code>
/// x, w → MatMul → y → Softmax …
///     becomes
/// Cast(x), Cast(w) → MatMul (16 bits) → y → Cast → Softmax …
/// </code>
/// Inputs and outputs of the graph keep their types: parameters are float32 masters, and a gradient is cast where it leaves. The bodies of
/// If, Loop and Scan stay float32.
/// </remarks>
internal static class LowerPrecision
{
    /// <summary>A copy of a float32 graph with 16-bit tensors in it.</summary>
    /// <param name="model">The graph; it stays as it is.</param>
    /// <param name="low">BFloat16 or Float16.</param>
    public static OnnxModel Run(OnnxModel model, ElementType low)
    {
        OnnxModel copy = GraphCopier.Copy(model).Model;
        OnnxGraph graph = copy.Graph;
        // A graph from a file does not tell the types of its inner values.
        if (graph.Nodes.SelectMany(n => n.Outputs).Any(o => o is { Type: ElementType.Undefined })) InferShapes.Again(copy);
        var casts = new PrecisionCasts(graph);
        var nodes = new List<Node>(graph.Nodes.Count);
        foreach (Node node in graph.Nodes) Lower(node, low, casts, nodes);
        graph.Nodes.Clear();
        graph.Nodes.AddRange(nodes);
        WidenOutputs(graph, low, casts);
        RetypeFunctions(copy, low);
        RemoveDeadNodes.Run(graph);
        GraphChecker.Check(copy, "lower precision");
        return copy;
    }

    private static void Lower(Node node, ElementType low, PrecisionCasts casts, List<Node> nodes)
    {
        Value[] operands = [.. node.Inputs.OfType<Value>().Where(v => v.Type.IsFloating())];
        PrecisionClass kind = PrecisionPolicy.Of(node);
        bool isLow = operands.Length > 0 && operands.All(v => v.Type == ElementType.Float || v.Type == low)
            && (kind == PrecisionClass.Low || (kind != PrecisionClass.Float32 && FollowsLow(node, operands, low)));
        bool isRoundedOnce = isLow && kind == PrecisionClass.FollowsRoundedOnce;
        // A Cast that the model has reads what there is.
        if (!node.Is("Cast")) Give(node, isLow && !isRoundedOnce ? low : ElementType.Float, low, casts, nodes);
        nodes.Add(node);
        if (!isLow) return;
        foreach (Value? output in node.Outputs.ToArray())
        {
            if (output is not { Type: ElementType.Float }) continue;
            output.Type = low;
            if (isRoundedOnce) casts.Result(node, output, ElementType.Float, nodes);
        }
    }

    private static void Give(Node node, ElementType type, ElementType low, PrecisionCasts casts, List<Node> nodes)
    {
        bool IsOther(Value value) => value.Type != type && (value.Type == low || value.Type == ElementType.Float);
        for (int i = 0; i < node.Inputs.Count; i++)
        {
            if (node.Inputs[i] is Value input && IsOther(input)) node.Inputs[i] = casts.Of(input, type, nodes);
        }
        foreach (OnnxGraph body in node.Subgraphs)
        {
            foreach (Value captured in body.Captured().Where(IsOther).ToList())
                body.ReplaceReaders(captured, casts.Of(captured, type, nodes));
        }
    }

    /// <summary>Whether the widest operand is one of 16 bits.</summary>
    private static bool FollowsLow(Node node, Value[] operands, ElementType low) => operands.Any(v => v.Type == low)
        && operands.All(v => v.Type == low || IsHeldBy(low, v) || IsBiasOfProduct(node, v));

    /// <summary>A number of the program does not widen what it is combined with, as in PyTorch, unless the type does not hold
    /// it.</summary>
    private static bool IsHeldBy(ElementType low, Value value)
    {
        if (value.Data is not { ElementCount: 1 } data) return false;
        double wanted = data.ToDoubles()[0], found = data.ConvertTo(low).ToDoubles()[0];
        return wanted == 0 || !double.IsFinite(wanted) || (double.IsFinite(found) && Math.Abs(found) >= low.SmallestNormal());
    }

    /// <summary>The bias of a linear layer, which exporters write apart for inputs of rank 3: a part of the product.</summary>
    private static bool IsBiasOfProduct(Node node, Value value) => node.Is("Add") && value.Shape is { Rank: 1 } && value.Producer is null
        && node.Inputs.Any(i => i != value && i!.Producer is Node product && PrecisionPolicy.Of(product) == PrecisionClass.Low);

    private static void WidenOutputs(OnnxGraph graph, ElementType low, PrecisionCasts casts)
    {
        var behind = new Dictionary<Node, IReadOnlyList<Node>>();
        foreach (IGrouping<Node, Value> made in graph.Outputs.Where(o => o.Type == low).Distinct().GroupBy(o => o.Producer!).ToList())
        {
            List<Node> piece = [made.Key];
            foreach (Value output in made)
            {
                var widened = new Value(output.Name, ElementType.Float, output.Shape);
                output.Name = graph.Names.Unique($"{output.Name}/{low}");
                casts.Cast(output, widened, piece);
                for (int i = 0; i < graph.Outputs.Count; i++)
                {
                    if (graph.Outputs[i] == output) graph.Outputs[i] = widened;
                }
            }
            behind[made.Key] = piece;
        }
        graph.Splice(behind);
    }

    /// <summary>The bodies of our own products, which now take 16 bits.</summary>
    private static void RetypeFunctions(OnnxModel model, ElementType low)
    {
        var called = model.Graph.Nodes.Where(n => n.Domain == OperatorDefinition.Domain && n.Inputs[0]!.Type == low)
            .Select(n => n.OpType).ToHashSet(StringComparer.Ordinal);
        for (int i = 0; i < model.Functions.Count; i++)
        {
            OnnxFunction function = model.Functions[i];
            if (function.Domain == OperatorDefinition.Domain && called.Contains(function.Name))
                model.Functions[i] = OperatorTable.Find(function.Name)!.ToFunction(low, model.Opset);
        }
    }
}
