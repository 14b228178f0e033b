using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>LSTM, GRU and RNN with layout = 1 (the batch in front) become layout = 0 between Transposes: the CPU
/// kernels of ONNX Runtime have no other form.</summary>
internal static class TimeFirst
{
    public static void Run(OnnxGraph graph)
    {
        foreach (Node node in graph.Nodes.ToList())
        {
            foreach (OnnxGraph body in node.Subgraphs) Run(body);
            if (node.Domain.Length == 0 && node.OpType is "LSTM" or "GRU" or "RNN" && node.Int("layout", 0) != 0) Rewrite(graph, node);
        }
    }

    private static void Rewrite(OnnxGraph graph, Node node)
    {
        node.Unset("layout");
        var before = new List<Node>();
        var builder = new GraphBuilder(graph, sink: before) { Scope = node.Outputs.First(o => o is not null)!.Name };
        foreach (int input in new[] { 0, 5, 6 })
        {
            // X and the first states.
            if (node.In(input) is Value value) node.Inputs[input] = builder.Op("Transpose", [value], ("perm", new long[] { 1, 0, 2 }));
        }
        graph.Nodes.InsertRange(graph.Nodes.IndexOf(node), before);
        for (int i = 0; i < node.Outputs.Count; i++)
        {
            if (node.Outputs[i] is not Value output) continue;
            var inner = new Value(graph.Names.Unique($"{output.Name}/time_first"), output.Type) { Producer = node };
            node.Outputs[i] = inner;
            var back = new Node("", "Transpose", graph.Names.Unique($"{output.Name}/Transpose"));
            back.Inputs.Add(inner);
            back.Outputs.Add(output);
            back.Set("perm", i == 0 ? new long[] { 2, 0, 1, 3 } : [1, 0, 2]);
            output.Producer = back;
            graph.Nodes.Insert(graph.Nodes.IndexOf(node) + 1, back);
        }
    }
}
