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

    /// <summary>A branch that a constant condition never takes need not be legal, but ONNX Runtime checks it: it becomes a
    /// copy of the branch that is taken.</summary>
    /// <returns>What was changed, for the user.</returns>
    public static IReadOnlyList<string> ReplaceDeadBranches(ModelProto model)
    {
        var told = new List<string>();
        ReplaceDeadBranches(model.Graph, new Dictionary<string, bool>(StringComparer.Ordinal), told);
        return told;
    }

    private static void ReplaceDeadBranches(GraphProto graph, Dictionary<string, bool> outer, List<string> told)
    {
        var known = new Dictionary<string, bool>(outer, StringComparer.Ordinal);
        foreach (TensorProto tensor in graph.Initializer.Concat(graph.Node.Where(n => n.OpType == "Constant")
            .SelectMany(n => n.Attribute.Where(a => a.Name == "value" && a.T is not null)
                .Select(a => new TensorProto(a.T) { Name = n.Output[0] }))))
        {
            if (tensor.DataType == (int)ElementType.Bool && TensorSerializer.Read(tensor, null, out TensorData? data) is null
                && data!.ElementCount == 1)
            {
                known[tensor.Name] = data.ToInt64s()[0] != 0;
            }
        }
        foreach (NodeProto node in graph.Node)
        {
            if (node.OpType == "If" && node.Domain is "" or "ai.onnx" && known.TryGetValue(node.Input[0], out bool taken))
            {
                AttributeProto? live = node.Attribute.FirstOrDefault(a => a.Name == (taken ? "then_branch" : "else_branch"));
                AttributeProto? dead = node.Attribute.FirstOrDefault(a => a.Name == (taken ? "else_branch" : "then_branch"));
                if (live?.G is not null && dead?.G is not null && !dead.G.Equals(live.G))
                {
                    dead.G = live.G.Clone();
                    told.Add($"{dead.Name} of If node '{ModelTensors.NameOf(node)}' is never taken and ONNX Runtime does not accept it; it "
                        + $"is a copy of {live.Name} now, in the exported model too.");
                }
            }
            foreach (GraphProto body in node.Attribute.Where(a => a.G is not null).Select(a => a.G)) ReplaceDeadBranches(body, known, told);
        }
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
