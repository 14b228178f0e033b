using System.Runtime.InteropServices;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Onnx;

/// <summary>Evaluates the few operators that initialization graphs are made of.</summary>
internal sealed class InitializationGraph(ModelFile model, long seed)
{
    private const string Advice = "Mend training_info.initialization, or put the weights beside the model.";
    private static readonly string[] Supported = ["RandomNormal", "RandomUniform", "ConstantOfShape", "Constant", "Identity"];
    private readonly Dictionary<string, TensorData> _values = [];

    /// <summary>Values of all names of the graph; its nodes stand in topological order, as ONNX demands.</summary>
    internal Dictionary<string, TensorData> Evaluate(GraphProto graph)
    {
        string[] unsupported = [.. graph.Node.Where(node => node.Domain is not ("" or "ai.onnx") || !Supported.Contains(node.OpType))
            .Select(node => $"node '{ModelTensors.NameOf(node)}': expected one of {string.Join(", ", Supported)}; found {node.OpType}.")];
        if (unsupported.Length > 0)
            ModelFormatException.Throw(model.Name, "has an initialization with operators that are not supported", unsupported, Advice);
        foreach (TensorProto initializer in graph.Initializer)
            _values[initializer.Name] = model.ReadInitializer(initializer);
        foreach (NodeProto node in graph.Node)
        {
            try
            {
                _values[node.Output.Count == 1 ? node.Output[0] : throw Bad(node, $"expected one output; found {node.Output.Count}")] =
                    Run(node);
            }
            catch (TensorDataException error)
            {
                throw Bad(node, error.Message);
            }
        }
        return _values;
    }

    private TensorData Run(NodeProto node)
    {
        switch (node.OpType)
        {
            case "Identity":
                return Input(node);
            case "Constant":
                return Constant(node);
            case "ConstantOfShape":
                TensorData value = Find(node, "value") is { T: not null } attribute
                    ? model.Read(new TensorSite(attribute.T, $"attribute 'value' of node '{ModelTensors.NameOf(node)}'"))
                        : TensorData.Scalar(0f);
                if (value.ElementCount != 1 || value.Strings is not null || value.Type.BitsPerElement() < 8)
                    throw Bad(node, $"expected a value of one element of at least 8 bits; found {value}");
                return Fill(node, value, Input(node).ToInt64s());
            case "RandomNormal":
                double mean = Number(node, "mean", 0), scale = Number(node, "scale", 1);
                return Random(node, stream => mean + (scale * stream.NextNormal()));
            default:
                double low = Number(node, "low", 0), high = Number(node, "high", 1);
                return Random(node, stream => low + ((high - low) * stream.NextUniform()));
        }
    }

    private TensorData Input(NodeProto node) => node.Input.Count == 1 && _values.TryGetValue(node.Input[0], out TensorData? value) ? value
        : throw Bad(node, $"expected one input that an earlier node or initializer makes; found '{string.Join("', '", node.Input)}'");

    private TensorData Constant(NodeProto node)
    {
        AttributeProto constant = node.Attribute.Count == 1 ? node.Attribute[0]
            : throw Bad(node, $"expected one value; found {node.Attribute.Count} attributes");
        return constant.Name switch
        {
            "value" when constant.T is not null => model.Read(new TensorSite(constant.T, $"value of node '{ModelTensors.NameOf(node)}'")),
            "value_float" => TensorData.Scalar(constant.F),
            "value_int" => TensorData.Scalar(constant.I),
            "value_floats" => TensorData.From<float>([.. constant.Floats], constant.Floats.Count),
            "value_ints" => TensorData.From<long>([.. constant.Ints], constant.Ints.Count),
            _ => throw Bad(node, $"expected value, value_float(s) or value_int(s); found '{constant.Name}'"),
        };
    }

    private TensorData Fill(NodeProto node, TensorData value, long[] shape)
    {
        byte[] bytes = Allocate(node, value.Type, shape);
        ReadOnlySpan<byte> element = value.Bytes.Span;
        for (int at = 0; at < bytes.Length; at += element.Length)
            element.CopyTo(bytes.AsSpan(at));
        return TensorData.Create(value.Type, shape, bytes);
    }

    private TensorData Random(NodeProto node, Func<RandomStream, double> next)
    {
        ElementType type = (ElementType)(Find(node, "dtype")?.I ?? (long)ElementType.Float);
        if (!type.IsFloating())
            throw Bad(node, $"expected a floating dtype; found {type}");
        long[] shape = Find(node, "shape") is AttributeProto attribute ? [.. attribute.Ints]
            : throw Bad(node, "expected a shape; found none");
        RandomStream stream = Find(node, "seed") is { HasF: true } own ? RandomStream.For(own.F) : RandomStream.For(seed, node.Output[0]);
        byte[] bytes = Allocate(node, type, shape);
        if (type == ElementType.Float)
        {
            foreach (ref float value in MemoryMarshal.Cast<byte, float>(bytes.AsSpan()))
                value = (float)next(stream);
        }
        else
        {
            int count = bytes.Length / (type.BitsPerElement() / 8);
            for (int i = 0; i < count; i++)
                TensorConversion.Store(next(stream), type, bytes, i);
        }
        return TensorData.Create(type, shape, bytes);
    }

    private byte[] Allocate(NodeProto node, ElementType type, long[] shape) =>
        TensorLayout.Measure(type, shape, out _, out long size) is string problem ? throw Bad(node, problem) : new byte[size];

    private static AttributeProto? Find(NodeProto node, string name) => node.Attribute.FirstOrDefault(attribute => attribute.Name == name);

    private static double Number(NodeProto node, string name, float otherwise) => Find(node, name)?.F ?? otherwise;

    private ModelFormatException Bad(NodeProto node, string problem) => new(
        $"Model '{model.Name}', {node.OpType} node '{ModelTensors.NameOf(node)}' of the initialization: {problem}. {Advice}");
}
