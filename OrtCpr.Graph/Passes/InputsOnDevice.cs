using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>A provider that leaves arithmetic on shapes to the CPU takes an input of the graph for a part of it where a node reads a
/// number of the host beside it, as in a gradient that is divided by a count, and so a whole tensor of data ends up there. Such
/// an input goes through an operator in front, whose result is on the device for certain.</summary>
internal static class InputsOnDevice
{
    private const long SmallConstant = 100;

    public static void Run(OnnxGraph graph)
    {
        var g = new GraphBuilder(graph, sink: []);
        var host = new HashSet<Value>();
        var through = new Dictionary<Value, Value>();
        foreach (Node node in graph.Nodes)
        {
            foreach (OnnxGraph body in node.Subgraphs) Run(body);
            Value[] read = [.. node.Inputs.OfType<Value>().Where(graph.Inputs.Contains)];
            bool left = StaysOnHost(graph, node, host);
            if (left && read.Any(IsData))
            {
                for (int i = 0; i < node.Inputs.Count; i++)
                {
                    if (node.Inputs[i] is Value input && read.Contains(input) && IsData(input)) node.Inputs[i] = Through(g, through, input);
                }
                left = false;
            }
            if (left || HostOperands.IsGiven(node)) host.UnionWith(node.Outputs.OfType<Value>());
        }
        graph.Nodes.InsertRange(0, g.Emitted);
    }

    /// <summary>Whether all that a node reads is small constants, inputs of the graph, and at least one number of the host that the
    /// kernel would want on the device.</summary>
    private static bool StaysOnHost(OnnxGraph graph, Node node, HashSet<Value> host)
    {
        bool any = false;
        for (int i = 0; i < node.Inputs.Count; i++)
        {
            if (node.Inputs[i] is not Value input || input.Data?.ElementCount <= SmallConstant || graph.Inputs.Contains(input)) continue;
            if (!host.Contains(input) || HostOperands.IsWanted(node, i)) return false;
            any = true;
        }
        return any;
    }

    /// <summary>More than a number, or a vector of sizes or positions.</summary>
    private static bool IsData(Value value) => value.Shape?.Rank != 0
        && !(value.Type is ElementType.Int64 or ElementType.Int32 or ElementType.Bool && value.Shape?.Rank == 1);

    /// <summary>x where true, else x: no optimizer takes it away, as it would an Identity or a neutral element.</summary>
    private static Value Through(GraphBuilder g, Dictionary<Value, Value> through, Value input)
    {
        if (through.TryGetValue(input, out Value? known)) return known;
        g.Scope = input.Name;
        return through[input] = g.Where(g.Scalar(1, ElementType.Bool), input, input).Like(input);
    }
}
