using Google.Protobuf;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Onnx;

// Graph classes -> protobuf messages. The twin of GraphReader. Tensor bytes are wrapped, not copied.
internal static class GraphWriter
{
    public static ModelProto Write(OnnxModel model)
    {
        ModelProto proto = (model.Origin as ModelProto)?.WithoutGraph() ?? new ModelProto { ProducerName = "OrtCpr" };
        proto.IrVersion = model.IrVersion;
        proto.OpsetImport.Clear();
        foreach ((string domain, long version) in model.Opsets)
        {
            proto.OpsetImport.Add(new OperatorSetIdProto { Domain = domain, Version = version });
        }
        proto.Graph = Graph(model.Graph);
        proto.Functions.Clear();
        proto.Functions.AddRange(model.Functions.Select(Function));
        return proto;
    }

    public static GraphProto Graph(OnnxGraph graph)
    {
        var proto = new GraphProto { Name = graph.Name.Length == 0 ? "graph" : graph.Name };
        if (graph.Origin is GraphProto origin)
        {
            proto.DocString = origin.DocString;
            proto.QuantizationAnnotation.AddRange(origin.QuantizationAnnotation);
            proto.MetadataProps.AddRange(origin.MetadataProps);
        }
        proto.Input.AddRange(graph.Inputs.Select(ValueInfo));
        proto.Output.AddRange(graph.Outputs.Select(ValueInfo));
        proto.Initializer.AddRange(graph.Initializers.Select(i => TensorSerializer.Write(i.Name, i.Data!)));
        proto.Node.AddRange(graph.Nodes.Select(Node));
        return proto;
    }

    public static NodeProto Node(Node node)
    {
        var proto = new NodeProto { OpType = node.OpType, Name = node.Name };
        if (node.Origin is NodeProto origin && origin.OpType == node.OpType)
        {
            if (origin.HasDocString) proto.DocString = origin.DocString;
            proto.MetadataProps.AddRange(origin.MetadataProps);
        }
        if (node.Domain.Length > 0) proto.Domain = node.Domain;
        if (node.Overload.Length > 0) proto.Overload = node.Overload;
        proto.Input.AddRange(node.Inputs.Select(i => i?.Name ?? ""));
        proto.Output.AddRange(node.Outputs.Select(o => o?.Name ?? ""));
        foreach ((string name, object value) in node.Attributes) proto.Attribute.Add(Attribute(name, value));
        return proto;
    }

    private static AttributeProto Attribute(string name, object value)
    {
        if (value is AttributeProto kept) return kept;
        var a = new AttributeProto { Name = name };
        switch (value)
        {
            case long i: a.Type = AttributeProto.Types.AttributeType.Int; a.I = i; break;
            case float f: a.Type = AttributeProto.Types.AttributeType.Float; a.F = f; break;
            case byte[] s: a.Type = AttributeProto.Types.AttributeType.String; a.S = ByteString.CopyFrom(s); break;
            case long[] ints: a.Type = AttributeProto.Types.AttributeType.Ints; a.Ints.AddRange(ints); break;
            case float[] floats: a.Type = AttributeProto.Types.AttributeType.Floats; a.Floats.AddRange(floats); break;
            case byte[][] strings:
                a.Type =
                AttributeProto.Types.AttributeType.Strings; a.Strings.AddRange(strings.Select(s => ByteString.CopyFrom(s))); break;
            case TensorData tensor: a.Type = AttributeProto.Types.AttributeType.Tensor; a.T = TensorSerializer.Write("", tensor); break;
            case OnnxGraph graph: a.Type = AttributeProto.Types.AttributeType.Graph; a.G = Graph(graph); break;
            case OnnxGraph[] graphs: a.Type = AttributeProto.Types.AttributeType.Graphs; a.Graphs.AddRange(graphs.Select(Graph)); break;
            case AttributeReference reference:
                a.Type = (AttributeProto.Types.AttributeType)reference.Kind;
                a.RefAttrName = reference.Name;
                break;
            default: throw new InvalidOperationException($"Attribute '{name}' holds a {value.GetType()}, which has no ONNX form.");
        }
        return a;
    }

    // A function body has no initializers: its constants become Constant nodes in front.
    private static FunctionProto Function(OnnxFunction function)
    {
        var proto = new FunctionProto { Name = function.Name, Domain = function.Domain };
        if (function.Overload.Length > 0) proto.Overload = function.Overload;
        proto.Input.AddRange(function.Body.Inputs.Select(i => i.Name));
        proto.Output.AddRange(function.Body.Outputs.Select(o => o.Name));
        proto.Attribute.AddRange(function.Attributes);
        foreach ((string name, object value) in function.AttributeDefaults) proto.AttributeProto.Add(Attribute(name, value));
        foreach ((string domain, long version) in function.Opsets)
        {
            proto.OpsetImport.Add(new OperatorSetIdProto { Domain = domain, Version = version });
        }
        foreach (Value constant in function.Body.Initializers)
        {
            var node = new NodeProto { OpType = "Constant", Name = constant.Name };
            node.Output.Add(constant.Name);
            node.Attribute.Add(Attribute("value", constant.Data!));
            proto.Node.Add(node);
        }
        proto.Node.AddRange(function.Body.Nodes.Select(Node));
        return proto;
    }

    public static ValueInfoProto ValueInfo(Value value)
    {
        ValueInfoProto info = (value.Origin as ValueInfoProto)?.Clone() ?? new ValueInfoProto();
        info.Name = value.Name;
        if (value.Type == ElementType.Undefined) return info;
        if (info.Type?.TensorType is TypeProto.Types.Tensor known && known.ElemType == (int)value.Type) return info;
        info.Type = TensorType(value.Type, value.Shape);
        return info;
    }

    public static TypeProto TensorType(ElementType type, Shape? shape)
    {
        var tensor = new TypeProto.Types.Tensor { ElemType = (int)type };
        if (shape is not null)
        {
            tensor.Shape = new TensorShapeProto();
            foreach (Dim d in shape)
            {
                var dim = new TensorShapeProto.Types.Dimension();
                if (d.Known is long n) dim.DimValue = n;
                else if (d.Size is not null) dim.DimParam = d.Size.ToString();
                tensor.Shape.Dim.Add(dim);
            }
        }
        return new TypeProto { TensorType = tensor };
    }

    internal static ModelProto WithoutGraph(this ModelProto model)
    {
        GraphProto graph = model.Graph;
        FunctionProto[] functions = [.. model.Functions];
        TrainingInfoProto[] training = [.. model.TrainingInfo];
        model.Graph = null;
        model.Functions.Clear();
        model.TrainingInfo.Clear();
        ModelProto copy = model.Clone();
        model.Graph = graph;
        model.Functions.AddRange(functions);
        model.TrainingInfo.AddRange(training);
        return copy;
    }

    public static byte[] ToBytes(OnnxModel model) => Write(model).ToByteArray();
}
