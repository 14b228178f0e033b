namespace OrtCpr.Graph.Ir;

/// <summary>Deep copies of graphs; tensor contents are shared. Values outside the copied graph (captured, or mapped
/// beforehand) stay what they are. Names are kept, or made anew, with a suffix, for a copy that stands beside its
/// original.</summary>
internal sealed class GraphCopier(NameAuthority names, string? suffix = null)
{
    public Dictionary<Value, Value> Map { get; } = [];

    /// <summary>A copy of a whole model under the same names.</summary>
    public static (OnnxModel Model, IReadOnlyDictionary<Value, Value> Map) Copy(OnnxModel model)
    {
        var copier = new GraphCopier(new NameAuthority());
        var copy = new OnnxModel(copier.Graph(model.Graph)) { IrVersion = model.IrVersion, Origin = model.Origin };
        foreach ((string domain, long version) in model.Opsets) copy.Opsets[domain] = version;
        foreach (OnnxFunction function in model.Functions) copy.Functions.Add(function);
        return (copy, copier.Map);
    }

    public OnnxGraph Graph(OnnxGraph graph)
    {
        var copy = new OnnxGraph(graph.Name, names) { Origin = graph.Origin };
        foreach (Value input in graph.Inputs) copy.Inputs.Add(Value(input));
        foreach (Value initializer in graph.Initializers) copy.Initializers.Add(Value(initializer));
        foreach (Node node in graph.Nodes) copy.Nodes.Add(Node(node));
        foreach (Value output in graph.Outputs) copy.Outputs.Add(Mapped(output)!);
        return copy;
    }

    public Node Node(Node node)
    {
        var copy = new Node(node.Domain, node.OpType, suffix is null ? node.Name : names.Unique(node.Name + suffix))
        { Overload = node.Overload, Origin = node.Origin };
        names.Take(copy.Name);
        foreach (Value? input in node.Inputs) copy.Inputs.Add(Mapped(input));
        foreach (Value? output in node.Outputs)
        {
            Value? made = output is null ? null : Value(output);
            if (made is not null) made.Producer = copy;
            copy.Outputs.Add(made);
        }
        foreach ((string name, object value) in node.Attributes)
        {
            copy.Set(name, value switch
            {
                OnnxGraph body => Graph(body),
                OnnxGraph[] bodies => bodies.Select(Graph).ToArray(),
                _ => value,
            });
        }
        return copy;
    }

    private Value Value(Value value)
    {
        string name = suffix is null ? value.Name : names.Unique(value.Name + suffix);
        names.Take(name);
        return Map[value] = new Value(name, value.Type, value.Shape)
        {
            Data = value.Data,
            Origin = value.Origin,
            Place = value.Place,
        };
    }

    private Value? Mapped(Value? value) => value is null ? null : Map.TryGetValue(value, out Value? made) ? made : value;
}
