using System.Globalization;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Onnx;

/// <summary>All places of a model file that may hold a parameter, each under a name of its own. Names depend on the file
/// alone, so a copy of the file has the same places under the same names.</summary>
/// <remarks>A name that is defined once in the main graph and its bodies stays as it is. Where two bodies, or a body and
/// the graph around it, use one name, the path is put in front of it: <c>If_3/then_branch/W</c>. What stands in a
/// function is named after the function, which all its calls share: <c>Dense/kernel</c>.</remarks>
internal sealed class TensorPlaces
{
    private readonly Dictionary<string, int> _definitions = new(StringComparer.Ordinal);
    private readonly HashSet<string> _taken = new(StringComparer.Ordinal);
    private readonly Dictionary<object, FilePlace> _byHolder = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<string, FilePlace> _byName = new(StringComparer.Ordinal);
    private readonly List<FilePlace> _all = [];

    private TensorPlaces(ModelProto model)
    {
        if (model.Graph is not null)
        {
            Count(model.Graph);
            _taken.UnionWith(_definitions.Keys);
            Visit(model.Graph, "");
        }
        foreach (FunctionProto function in model.Functions) Visit(function.Node, $"{function.Name}/", shared: true);
    }

    public static TensorPlaces None { get; } = new(new ModelProto());

    public static TensorPlaces Of(ModelProto model) => new(model);

    /// <summary>In file order, the main graph first.</summary>
    public IReadOnlyList<FilePlace> All => _all;

    /// <summary>The place that a message of the file holds: a <see cref="TensorProto"/> among initializers, a Constant
    /// node, an attribute with coefficients.</summary>
    public FilePlace? At(object? holder) => holder is null ? null : _byHolder.GetValueOrDefault(holder);

    public FilePlace? Find(string name) => _byName.GetValueOrDefault(name);

    private void Count(GraphProto graph)
    {
        foreach (string name in graph.Initializer.Select(i => i.Name).Concat(graph.SparseInitializer.Select(s => s.Values?.Name ?? ""))
            .Concat(graph.Input.Select(i => i.Name)).Distinct().Concat(graph.Node.SelectMany(n => n.Output)))
        {
            _definitions[name] = _definitions.GetValueOrDefault(name) + 1;
        }
        foreach (GraphProto body in graph.Node.SelectMany(Bodies).Select(b => b.Graph)) Count(body);
    }

    private void Visit(GraphProto graph, string path, bool shared = false)
    {
        foreach (TensorProto tensor in graph.Initializer) Add(tensor, new InitializerPlace(Name(tensor.Name, path, shared), tensor));
        foreach (SparseTensorProto sparse in graph.SparseInitializer)
        {
            if (sparse.Values is not null) Add(sparse, new SparsePlace(Name(sparse.Values.Name, path, shared), sparse, graph));
        }
        Visit(graph.Node, path, shared);
    }

    private void Visit(IEnumerable<NodeProto> nodes, string path, bool shared)
    {
        foreach (NodeProto node in nodes)
        {
            if (node.OpType == "Constant" && node.Domain is "" or "ai.onnx") AddConstant(node, path, shared);
            if (node.Domain == "ai.onnx.ml") AddCoefficients(node, path, shared);
            foreach ((string attribute, GraphProto body) in Bodies(node))
                Visit(body, $"{path}{ModelTensors.NameOf(node)}/{attribute}/", shared);
        }
    }

    private void AddConstant(NodeProto node, string path, bool shared)
    {
        if (node.Output.Count != 1 || node.Attribute.Count != 1 || node.Attribute[0].RefAttrName.Length > 0) return;
        AttributeProto attribute = node.Attribute[0];
        bool floating = attribute.Name switch
        {
            "value" => attribute.T is not null && ((ElementType)attribute.T.DataType).IsFloating(),
            "sparse_value" => attribute.SparseTensor?.Values is TensorProto values && ((ElementType)values.DataType).IsFloating(),
            "value_float" or "value_floats" => true,
            _ => false,
        };
        if (floating) Add(node, new ConstantNodePlace(Name(node.Output[0], path, shared), node, attribute));
    }

    private void AddCoefficients(NodeProto node, string path, bool shared)
    {
        foreach (AttributeProto attribute in node.Attribute.Where(a => a.Name is "coefficients" or "intercepts" && a.Floats.Count > 0))
        {
            string name = Unique($"{path}{ModelTensors.NameOf(node)}.{attribute.Name}");
            Add(attribute, new CoefficientsPlace(name, node, attribute));
        }
    }

    private void Add(object holder, FilePlace place)
    {
        // A name that a graph defines twice is refused when the graph is read.
        if (!_byName.TryAdd(place.Name, place)) return;
        _byHolder[holder] = place;
        _all.Add(place);
    }

    private string Name(string name, string path, bool shared) =>
        path.Length == 0 || (!shared && _definitions[name] == 1) ? name : Unique($"{path}{name}");

    private string Unique(string name)
    {
        string found = name;
        for (int i = 1; !_taken.Add(found); i++) found = string.Create(CultureInfo.InvariantCulture, $"{name}_{i}");
        return found;
    }

    private static IEnumerable<(string Attribute, GraphProto Graph)> Bodies(NodeProto node) => node.Attribute.SelectMany(a =>
        (a.G is null ? a.Graphs.Select((g, i) => (string.Create(CultureInfo.InvariantCulture, $"{a.Name}[{i}]"), g))
            : a.Graphs.Select(g => (a.Name, g)).Prepend((a.Name, a.G))));
}
