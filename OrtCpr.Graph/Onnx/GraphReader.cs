using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Onnx;

// Protobuf messages -> graph classes. The twin of GraphWriter. What the classes have no place for rides along as the message it came from.
internal sealed class GraphReader
{
    private readonly ModelFile _file;
    private readonly IReadOnlyDictionary<string, TensorData> _drawn;
    private readonly NameAuthority _names = new();
    private readonly List<string> _problems = [];

    private GraphReader(ModelFile file, IReadOnlyDictionary<string, TensorData> drawn)
    {
        _file = file;
        _drawn = drawn;
    }

    // weights: values that replace or supply initializers (drawn, or from a checkpoint).
    public static OnnxModel Read(ModelFile file, IReadOnlyDictionary<string, TensorData>? weights = null)
    {
        var reader = new GraphReader(file, weights ?? new Dictionary<string, TensorData>());
        OnnxGraph graph = reader.Graph(file.Proto.Graph, null);
        var model = new OnnxModel(graph) { IrVersion = file.Proto.IrVersion, Origin = file.Proto };
        foreach (OperatorSetIdProto opset in file.Proto.OpsetImport)
        {
            model.Opsets[opset.Domain == "ai.onnx" ? "" : opset.Domain] = opset.Version;
        }
        // Only files before IR 3 get so far without an opset, and mean the first.
        model.Opsets.TryAdd("", 1);
        foreach (FunctionProto function in file.Proto.Functions) model.Functions.Add(reader.Function(function));
        if (reader._problems.Count > 0)
        {
            ModelFormatException.Throw(file.Name, "has a broken graph", reader._problems,
                "Export it again, or check it with onnx.checker.");
        }
        return model;
    }

    private OnnxGraph Graph(GraphProto proto, Scope? outer)
    {
        var graph = new OnnxGraph(proto.Name, _names) { Origin = proto };
        var scope = new Scope(outer);
        foreach (TensorProto tensor in proto.Initializer)
        {
            TensorData data = _drawn.TryGetValue(tensor.Name, out TensorData? drawn) && outer is null ? drawn
                : _file.ReadInitializer(tensor);
            Initializer(graph, scope, tensor.Name, data, tensor, $"initializer '{tensor.Name}'");
        }
        foreach (SparseTensorProto sparse in proto.SparseInitializer)
        {
            string name = sparse.Values?.Name ?? "", where = $"sparse initializer '{name}'";
            Initializer(graph, scope, name, SparseTensor.ToDense(_file, sparse, $"{where} of graph '{proto.Name}'"), sparse, where);
        }
        foreach (ValueInfoProto input in proto.Input)
        {
            // An input of an initializer's name is a default value (the rule before IR 4): the initializer serves as a constant.
            if (scope.Own.TryGetValue(input.Name, out Value? existing) && existing.IsInitializer) continue;
            var value = new Value(input.Name) { Origin = input };
            ReadType(input.Type, value);
            Define(scope, value, $"input '{input.Name}'");
            graph.Inputs.Add(value);
        }
        Nodes(proto.Node, graph, scope);
        var info = new Dictionary<string, ValueInfoProto>(StringComparer.Ordinal);
        foreach (ValueInfoProto v in proto.ValueInfo) info[v.Name] = v;
        foreach (ValueInfoProto output in proto.Output)
        {
            if (scope.Find(output.Name) is not Value value)
            {
                _problems.Add($"graph '{proto.Name}', output '{output.Name}': no node, input or initializer makes it.");
                continue;
            }
            info.TryAdd(output.Name, output);
            graph.Outputs.Add(value);
        }
        foreach ((string name, ValueInfoProto v) in info)
        {
            if (scope.Own.TryGetValue(name, out Value? value) && value.Producer is not null)
            {
                ReadType(v.Type, value);
                value.Origin ??= v;
            }
        }
        return graph;
    }

    // Readers find it under the name that its graph gives it; it is known by the name of its place, which no other graph uses.
    private void Initializer(OnnxGraph graph, Scope scope, string name, TensorData data, object message, string where)
    {
        FilePlace? place = _file.Places.At(message);
        var value = new Value(place?.Name ?? name, data.Type, Shape.Of(data.Dimensions))
        {
            Data = data,
            Origin = message as TensorProto,
            Place = place,
        };
        Define(scope, name, value, where);
        graph.Initializers.Add(value);
    }

    private void Nodes(IEnumerable<NodeProto> protos, OnnxGraph graph, Scope scope)
    {
        // Outputs first, so that nodes in any order read; Sort puts them in order and finds cycles.
        var made = new List<(Node Node, NodeProto Proto)>();
        foreach (NodeProto proto in protos)
        {
            var node = new Node(proto.Domain == "ai.onnx" ? "" : proto.Domain, proto.OpType,
                proto.Name)
            { Origin = proto, Overload = proto.Overload };
            _names.Take(proto.Name);
            foreach (string output in proto.Output)
            {
                Value? value = output.Length == 0 ? null : new Value(output) { Producer = node };
                node.Outputs.Add(value);
                if (value is not null) Define(scope, value, $"node {node.Label}, output '{output}'");
            }
            made.Add((node, proto));
            graph.Nodes.Add(node);
        }
        foreach ((Node node, NodeProto proto) in made)
        {
            foreach (string input in proto.Input)
            {
                Value? value = input.Length == 0 ? null : scope.Find(input);
                if (value is null && input.Length > 0)
                    _problems.Add($"node {node.Label}, input '{input}': no node, input or initializer makes it.");
                node.Inputs.Add(value);
            }
            foreach (AttributeProto attribute in proto.Attribute) node.Set(attribute.Name, Attribute(attribute, node, scope));
            // A sparse Constant is a dense tensor to its readers, in ONNX Runtime too.
            if (node.Is("Constant") && proto.Attribute.FirstOrDefault(a => a.Name == "sparse_value")
                is { SparseTensor: SparseTensorProto sparse })
            {
                node.Set("value", SparseTensor.ToDense(_file, sparse, $"the value of node {node.Label}")).Unset("sparse_value");
            }
        }
        if (_problems.Count == 0) graph.Sort();
    }

    private object Attribute(AttributeProto a, Node node, Scope scope)
    {
        if (a.RefAttrName.Length > 0) return new AttributeReference(a.RefAttrName, (int)a.Type);
        AttributeProto.Types.AttributeType type = a.HasType ? a.Type : Guess(a);
        if ((type == AttributeProto.Types.AttributeType.Tensor && a.T is null)
            || (type == AttributeProto.Types.AttributeType.Graph && a.G is null))
        {
            throw new ModelFormatException($"Model '{_file.Name}', node {node.Label}: attribute '{a.Name}' says it is a {type} but has "
                + "none. Export the model again.");
        }
        return type switch
        {
            AttributeProto.Types.AttributeType.Int => a.I,
            AttributeProto.Types.AttributeType.Float => a.F,
            AttributeProto.Types.AttributeType.String => a.S.ToByteArray(),
            AttributeProto.Types.AttributeType.Ints => a.Ints.ToArray(),
            AttributeProto.Types.AttributeType.Floats => a.Floats.ToArray(),
            AttributeProto.Types.AttributeType.Strings => a.Strings.Select(s => s.ToByteArray()).ToArray(),
            AttributeProto.Types.AttributeType.Tensor => _file.Read(new TensorSite(a.T, $"attribute '{a.Name}' of node {node.Label}")),
            AttributeProto.Types.AttributeType.Graph => Graph(a.G, scope),
            AttributeProto.Types.AttributeType.Graphs => a.Graphs.Select(g => Graph(g, scope)).ToArray(),
            _ => a,
        };
    }

    // Files before IR 2 carry no type.
    private static AttributeProto.Types.AttributeType Guess(AttributeProto a) =>
        a.HasI ? AttributeProto.Types.AttributeType.Int
        : a.HasF ? AttributeProto.Types.AttributeType.Float
        : a.HasS ? AttributeProto.Types.AttributeType.String
        : a.T is not null ? AttributeProto.Types.AttributeType.Tensor
        : a.G is not null ? AttributeProto.Types.AttributeType.Graph
        : a.Ints.Count > 0 ? AttributeProto.Types.AttributeType.Ints
        : a.Floats.Count > 0 ? AttributeProto.Types.AttributeType.Floats
        : a.Strings.Count > 0 ? AttributeProto.Types.AttributeType.Strings
        : AttributeProto.Types.AttributeType.Undefined;

    private OnnxFunction Function(FunctionProto proto)
    {
        // Names in a function body are its own; they get their call's prefix when inlined.
        var reader = new GraphReader(_file, _drawn);
        var body = new OnnxGraph(proto.Name, reader._names);
        var scope = new Scope(null);
        foreach (string input in proto.Input)
        {
            var value = new Value(input);
            reader.Define(scope, value, $"function '{proto.Name}', input '{input}'");
            body.Inputs.Add(value);
        }
        reader.Nodes(proto.Node, body, scope);
        foreach (string output in proto.Output)
        {
            if (scope.Find(output) is Value value) body.Outputs.Add(value);
            else reader._problems.Add($"function '{proto.Name}', output '{output}': no node or input makes it.");
        }
        _problems.AddRange(reader._problems);
        var function = new OnnxFunction(proto.Domain == "ai.onnx" ? "" : proto.Domain, proto.Name,
            body)
        { Overload = proto.Overload, Origin = proto };
        foreach (string name in proto.Attribute) function.Attributes.Add(name);
        foreach (AttributeProto a in proto.AttributeProto)
        {
            function.AttributeDefaults[a.Name] = reader.Attribute(a, new Node("", proto.Name, proto.Name), scope);
        }
        foreach (OperatorSetIdProto opset in proto.OpsetImport)
        {
            function.Opsets[opset.Domain == "ai.onnx" ? "" : opset.Domain] = opset.Version;
        }
        return function;
    }

    private void Define(Scope scope, Value value, string where) => Define(scope, value.Name, value, where);

    private void Define(Scope scope, string name, Value value, string where)
    {
        if (!scope.Own.TryAdd(name, value)) _problems.Add($"{where}: the name '{name}' is defined twice.");
        // Subgraphs beside each other may use one name; the authority only has to know that it is taken.
        _names.Take(value.Name);
    }

    private static void ReadType(TypeProto? type, Value value)
    {
        if (type?.TensorType is TypeProto.Types.Tensor tensor)
        {
            value.Type = (ElementType)tensor.ElemType;
            ReadShape(tensor.Shape, value);
        }
        // No type of ours, as no dense tensor; its shape decides that of products.
        else if (type?.SparseTensorType is TypeProto.Types.SparseTensor sparse)
        {
            ReadShape(sparse.Shape, value);
        }
    }

    private static void ReadShape(TensorShapeProto? shape, Value value)
    {
        if (shape is null) return;
        value.Shape = new Shape(shape.Dim.Select(d => d.HasDimValue ? d.DimValue
            : d.HasDimParam && d.DimParam.Length > 0 ? SymbolicInt.Symbol(d.DimParam.Replace("*", "·", StringComparison.Ordinal))
                : Dim.Unknown));
    }

    private sealed class Scope(Scope? outer)
    {
        public Dictionary<string, Value> Own { get; } = new(StringComparer.Ordinal);

        public Value? Find(string name) => Own.TryGetValue(name, out Value? v) ? v : outer?.Find(name);
    }
}
