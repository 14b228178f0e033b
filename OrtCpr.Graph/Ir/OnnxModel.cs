namespace OrtCpr.Graph.Ir;

/// <summary>A model-local function: a body that nodes of its domain and name stand for.</summary>
internal sealed class OnnxFunction(string domain, string name, OnnxGraph body)
{
    public string Domain { get; } = domain;

    public string Name { get; } = name;

    public string Overload { get; init; } = "";

    public OnnxGraph Body { get; } = body;

    public IList<string> Attributes { get; } = [];

    /// <summary>Attributes with a default, as their messages.</summary>
    public IDictionary<string, object> AttributeDefaults { get; } = new Dictionary<string, object>();

    public IDictionary<string, long> Opsets { get; } = new Dictionary<string, long>();

    public object? Origin { get; init; }

    // The operator of ours that the function is the body of; null for functions of the user's model.
    public object? Definition { get; set; }
}

/// <summary>A whole model: main graph, functions, operator sets.</summary>
internal sealed class OnnxModel(OnnxGraph graph)
{
    public OnnxGraph Graph { get; } = graph;

    public IDictionary<string, long> Opsets { get; } = new SortedDictionary<string, long>(StringComparer.Ordinal);

    public IList<OnnxFunction> Functions { get; } = [];

    public long IrVersion { get; set; } = 8;

    /// <summary>The message it was read from (producer, metadata, training info, unknown fields), or null.</summary>
    public object? Origin { get; set; }

    public int Opset => (int)Opsets[""];

    public NameAuthority Names => Graph.Names;

    public static OnnxModel Create(string name, int opset)
    {
        var model = new OnnxModel(new OnnxGraph(name, new NameAuthority()));
        model.Opsets[""] = opset;
        return model;
    }
}
