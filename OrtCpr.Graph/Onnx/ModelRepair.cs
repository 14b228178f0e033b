using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Onnx;

/// <summary>Mends in the file itself what exporters write and ONNX Runtime does not take, so that the trained model can
/// be exported in a form that runs.</summary>
internal static class ModelRepair
{
    /// <summary>A branch that returns a value of the graph around it gets an Identity in between.</summary>
    /// <returns>What was changed, for the user.</returns>
    public static IReadOnlyList<string> Run(ModelProto model)
    {
        var told = new List<string>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        CollectNames(model.Graph, names);
        ReturnOwnValues(model.Graph.Node, names, told);
        foreach (FunctionProto function in model.Functions)
        {
            names.UnionWith(function.Node.SelectMany(n => n.Output));
            ReturnOwnValues(function.Node, names, told);
        }
        return told;
    }

    private static void CollectNames(GraphProto graph, HashSet<string> names)
    {
        names.UnionWith(graph.Input.Select(i => i.Name).Concat(graph.Initializer.Select(i => i.Name))
            .Concat(graph.Node.SelectMany(n => n.Output)));
        foreach (GraphProto body in graph.Node.SelectMany(n => n.Attribute).Where(a => a.G is not null).Select(a => a.G))
            CollectNames(body, names);
    }

    private static void ReturnOwnValues(IEnumerable<NodeProto> nodes, HashSet<string> names, List<string> told)
    {
        foreach (NodeProto node in nodes)
        {
            foreach (AttributeProto attribute in node.Attribute.Where(a => a.G is not null))
            {
                GraphProto body = attribute.G;
                ReturnOwnValues(body.Node, names, told);
                var own = body.Input.Select(i => i.Name).Concat(body.Initializer.Select(i => i.Name))
                    .Concat(body.SparseInitializer.Select(s => s.Values?.Name ?? "")).Concat(body.Node.SelectMany(n => n.Output))
                    .ToHashSet(StringComparer.Ordinal);
                foreach (ValueInfoProto output in body.Output.Where(o => !own.Contains(o.Name)))
                {
                    // A name that nobody defines is refused when the graph is read.
                    if (!names.Contains(output.Name)) continue;
                    string copy = $"{output.Name}/returned";
                    for (int i = 1; !names.Add(copy); i++) copy = System.FormattableString.Invariant($"{output.Name}/returned_{i}");
                    body.Node.Add(new NodeProto { OpType = "Identity", Name = copy, Input = { output.Name }, Output = { copy } });
                    told.Add($"{attribute.Name} of {node.OpType} node '{ModelTensors.NameOf(node)}' returns '{output.Name}' of the graph "
                        + "around it, which ONNX Runtime does not accept; an Identity was put in between, in the exported model too.");
                    output.Name = copy;
                }
            }
        }
    }
}
