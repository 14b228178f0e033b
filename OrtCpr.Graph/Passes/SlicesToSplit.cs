using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Slices that cut one tensor along one axis into adjoining parts become one Split, whose gradient is one
/// Concat instead of a padded tensor and a sum for each part. Exporters write the parts of a query-key-value projection
/// that way.</summary>
internal static class SlicesToSplit
{
    private sealed record Cut(Node Node, int Axis, long Start, long End);

    public static void Run(OnnxModel model, ShapeInference known)
    {
        OnnxGraph graph = model.Graph;
        var cuts = new Dictionary<(Value Source, int Axis), List<Cut>>();
        var at = new Dictionary<Node, int>();
        foreach (Node node in graph.Nodes)
        {
            at[node] = at.Count;
            if (Read(node, known) is not Cut cut) continue;
            if (!cuts.TryGetValue((node.Inputs[0]!, cut.Axis), out List<Cut>? parts)) cuts[(node.Inputs[0]!, cut.Axis)] = parts = [];
            parts.Add(cut);
        }
        var pieces = new Dictionary<Node, IReadOnlyList<Node>>();
        foreach (((Value source, int axis), List<Cut> parts) in cuts)
        {
            parts.Sort((a, b) => a.Start.CompareTo(b.Start));
            if (parts.Count < 2 || parts[0].Start != 0 || parts[^1].End != source.Shape![axis].Known) continue;
            if (!parts.Zip(parts.Skip(1), (a, b) => a.End == b.Start).All(adjoining => adjoining)) continue;
            Node split = Join(graph, source, axis, parts);
            int first = parts.Min(p => at[p.Node]);
            foreach (Cut part in parts) pieces[part.Node] = at[part.Node] == first ? [split] : [];
        }
        graph.Splice(pieces);
    }

    private static Cut? Read(Node node, ShapeInference known)
    {
        if (!node.Is("Slice") || node.In(0)?.Shape is not Shape shape) return null;
        if (known.Constants(node.In(1)) is not [long start] || known.Constants(node.In(2)) is not [long end]) return null;
        if (node.In(4) is Value step && known.Constants(step) is not [1]) return null;
        if ((node.In(3) is Value given ? known.Constants(given) : [0]) is not [long axisValue]) return null;
        int axis = shape.Axis(axisValue);
        if (shape[axis].Known is not long size) return null;
        start = Math.Clamp(start < 0 ? start + size : start, 0, size);
        end = Math.Clamp(end < 0 ? end + size : end, 0, size);
        return start < end ? new Cut(node, axis, start, end) : null;
    }

    private static Node Join(OnnxGraph graph, Value source, int axis, List<Cut> parts)
    {
        var split = new Node("", "Split", graph.Names.Unique($"{source.Name}/Split"));
        split.Inputs.Add(source);
        split.Inputs.Add(graph.AddInitializer(
            $"{source.Name}/split", TensorData.From<long>(parts.Select(p => p.End - p.Start).ToArray(), parts.Count)));
        split.Set("axis", axis);
        foreach (Cut part in parts)
        {
            Value output = part.Node.Outputs[0]!;
            output.Producer = split;
            split.Outputs.Add(output);
        }
        return split;
    }
}
