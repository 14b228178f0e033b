using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Moves a Gather of fixed positions (the last token in front of a classifier head, the class token) up
/// through operators that treat those positions one by one, so that rows nobody asks for are computed neither forward
/// nor backward.</summary>
internal static class HoistSelections
{
    public static void Run(OnnxModel model, ShapeInference known)
    {
        OnnxGraph graph = model.Graph;
        foreach (Node node in graph.Nodes.ToList())
        {
            if (node.Is("Gather") && Positions(node, known) is long[] positions) Hoist(graph, node, positions);
        }
    }

    /// <summary>The positions, when they are constant and fewer than the axis has.</summary>
    private static long[]? Positions(Node gather, ShapeInference known)
    {
        if (gather.In(0)?.Shape is not Shape shape || gather.In(0)!.Producer is null) return null;
        if (gather.In(1)?.Shape is not { Rank: <= 1 } || known.Constants(gather.In(1)) is not { Length: > 0 } positions) return null;
        Dim size = shape[shape.Axis(gather.Int("axis", 0))];
        return size.Known is long n ? (positions.Length < n ? positions : null) : (positions.Length == 1 ? positions : null);
    }

    private static void Hoist(OnnxGraph graph, Node gather, long[] positions)
    {
        Dictionary<Value, List<Node>> readers = graph.Readers();
        Value source = gather.Inputs[0]!;
        int sourceAxis = source.Shape!.Axis(gather.Int("axis", 0));
        // Selected values with their axis, and for each node that moves below the selection the inputs that it will
        // read selected.
        var selected = new Dictionary<Value, int> { [source] = sourceAxis };
        var moved = new Dictionary<Node, int[]>();
        for (int i = graph.Nodes.IndexOf(gather) - 1; i >= 0; i--)
        {
            Node node = graph.Nodes[i];
            if (node.Outputs.Count != 1 || node.Outputs[0] is not Value output || !selected.TryGetValue(output, out int axis)) continue;
            if (graph.Outputs.Contains(output)
                || !readers[output].All(r =>
                    r == gather ? gather.In(1) != output : moved.TryGetValue(r, out int[]? axes) && ReadsOnlySelected(r, output, axes)))
            {
                continue;
            }
            if (SelectionRules.InputAxes(node, axis, positions.Length) is not int[] inputs || inputs.All(a => a < 0)) continue;
            var wanted = node.Inputs.Select((v, k) => (Value: v, Axis: inputs[k])).Where(w => w.Axis >= 0).ToList();
            if (wanted.Any(w =>
                (selected.TryGetValue(w.Value!, out int other) && other != w.Axis)
                || wanted.Any(o => o.Value == w.Value && o.Axis != w.Axis)))
            {
                continue;
            }
            moved[node] = inputs;
            foreach ((Value? value, int inputAxis) in wanted) selected[value!] = inputAxis;
        }
        if (moved.Count > 0) Rewrite(graph, gather, positions, selected, moved);
    }

    private static bool ReadsOnlySelected(Node reader, Value value, int[] axes) =>
        !reader.Inputs.Where((input, k) => input == value && axes[k] < 0).Any();

    private static void Rewrite(OnnxGraph graph, Node gather, long[] positions, Dictionary<Value, int> selected,
        Dictionary<Node, int[]> moved)
    {
        var added = new List<Node>();
        var builder = new GraphBuilder(graph, sink: added);
        var cuts = new Dictionary<Value, Value>();
        foreach (Node node in graph.Nodes.Where(moved.ContainsKey).ToList())
        {
            for (int k = 0; k < node.Inputs.Count; k++)
            {
                if (moved[node][k] < 0 || node.Inputs[k] is not Value input) continue;
                if (input.Producer is Node producer && moved.ContainsKey(producer)) continue;
                if (!cuts.TryGetValue(input, out Value? narrow))
                {
                    builder.Scope = $"{input.Name}/selected";
                    cuts[input] = narrow = builder.Gather(input, builder.Ints(positions), selected[input]);
                }
                node.Inputs[k] = narrow;
            }
            Value output = node.Outputs[0]!;
            output.Shape = output.Shape!.With(selected[output], positions.Length);
            if (!node.Is("Reshape")) continue;
            node.Inputs[1] = builder.Ints(Shape.ReshapeTarget(node.Inputs[0]!.Shape!, output.Shape)!);
            node.Unset("allowzero");
        }
        // What is left of the Gather: dropping the axis, where a single position was picked.
        Value source = gather.Inputs[0]!, result = gather.Outputs[0]!;
        bool drops = gather.In(1)!.Shape!.Rank == 0;
        builder.Scope = result.Name;
        Value rest = drops ? builder.Squeeze(source, selected[source]) : builder.Identity(source);
        rest.Producer!.Outputs[0] = result;
        result.Producer = rest.Producer;
        graph.Nodes.Remove(gather);
        graph.Nodes.AddRange(added);
        graph.Sort();
    }
}
