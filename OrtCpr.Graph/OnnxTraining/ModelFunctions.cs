using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.OnnxTraining;

/// <summary>Model-local functions of a part of a model.</summary>
internal static class ModelFunctions
{
    /// <summary>Those that nodes call, and those that these call, in the order that they are given in.</summary>
    public static IEnumerable<OnnxFunction> CalledBy(IEnumerable<Node> nodes, IReadOnlyList<OnnxFunction> all)
    {
        var called = new HashSet<OnnxFunction>();
        var work = new Stack<Node>(nodes);
        while (work.TryPop(out Node? node))
        {
            foreach (Node inner in node.Subgraphs.SelectMany(g => g.Nodes)) work.Push(inner);
            if (node.Domain.Length == 0) continue;
            OnnxFunction? function = all.FirstOrDefault(f =>
                f.Domain == node.Domain && f.Name == node.OpType && f.Overload == node.Overload);
            if (function is null || !called.Add(function)) continue;
            foreach (Node inner in function.Body.Nodes) work.Push(inner);
        }
        return all.Where(called.Contains);
    }

    /// <summary>The same function under another operator set.</summary>
    public static OnnxFunction InOpset(OnnxFunction function, int opset)
    {
        var copy = new OnnxFunction(function.Domain, function.Name, function.Body)
        {
            Overload = function.Overload,
            Origin = function.Origin,
            Definition = function.Definition,
        };
        foreach (string attribute in function.Attributes) copy.Attributes.Add(attribute);
        foreach ((string name, object value) in function.AttributeDefaults) copy.AttributeDefaults[name] = value;
        foreach ((string domain, long version) in function.Opsets) copy.Opsets[domain] = domain.Length == 0 ? opset : version;
        return copy;
    }
}
