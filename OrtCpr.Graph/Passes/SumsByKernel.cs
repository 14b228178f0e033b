using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Graph.Passes;

/// <summary>Calls of <see cref="OuterSum"/> in place of a ReduceSum whose first axes are summed over, and perhaps its last.</summary>
internal static class SumsByKernel
{
    public static void Run(OnnxGraph graph)
    {
        foreach (Node node in graph.Nodes.ToList())
        {
            foreach (OnnxGraph body in node.Subgraphs) Run(body);
            if (node.Is("ReduceSum")) Replace(graph, node);
        }
    }

    private static void Replace(OnnxGraph graph, Node node)
    {
        Value x = node.Inputs[0]!, sum = node.Outputs[0]!;
        if (x.Type != ElementType.Float || x.Shape?.Rank is not int rank || rank < 2) return;
        long[]? given = node.Inputs.Count > 1 && node.Inputs[1] is Value axesInput ? axesInput.Data?.ToInt64s() : node.Ints("axes");
        if (given is null || given.Length == 0) return;
        long[] axes = [.. given.Select(a => a < 0 ? a + rank : a).Order()];
        int first = 0, last = 0;
        while (first < axes.Length && axes[first] == first) first++;
        while (last < axes.Length - first && axes[^(last + 1)] == rank - 1 - last) last++;
        if (first == 0 || first + last < axes.Length || first + last == rank) return;

        var nodes = new List<Node>();
        var g = new GraphBuilder(graph, sink: nodes) { Scope = sum.Name };
        bool keeps = node.Int("keepdims", 1) != 0;
        Shape kept = new(x.Shape.Skip(first).Take(rank - first - last));
        Term result = OuterSum.Definition.Call(g, [x], ("axes", axes), ("around", new long[] { first, last }))[0];
        GraphBuilder.Typed(result, ElementType.Float, kept);
        Value value = keeps ? g.Unsqueeze(result, axes) : result;
        GraphBuilder.Like(value, sum);
        int at = graph.Nodes.IndexOf(node);
        graph.Nodes.RemoveAt(at);
        graph.Nodes.InsertRange(at, nodes);
        graph.ReplaceReaders(sum, value);
        if (graph.Outputs.Contains(value)) value.Name = sum.Name;
    }
}
