using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;
using static OrtCpr.Graph.Onnx.Proto.AttributeProto.Types;

namespace OrtCpr.Graph.Heads;

/// <summary>Writes a head's nodes into a file, in the forms of its opset.</summary>
/// <remarks>The least opset is 7, from which on Gemm broadcasts its bias.</remarks>
internal sealed class HeadNodes
{
    /// <summary>The first opsets with Where, with a flag that switches Dropout, and those in which axes became inputs.</summary>
    public const int WhereSince = 9, DropoutFlagSince = 12;
    private const int SumAxesSince = 13, OtherAxesSince = 18;

    private readonly GraphProto _graph;
    private readonly HashSet<string> _names;
    private readonly string _scope;
    private readonly long _opset;
    private readonly ElementType _type;

    /// <summary>names: those of the file, which grow.</summary>
    public HeadNodes(GraphProto graph, HashSet<string> names, string scope, long opset, ElementType type)
    {
        (_graph, _names, _opset, _type) = (graph, names, opset, type);
        _scope = Unique(names, scope);
    }

    /// <summary>The name, or the name with the first number that makes it new; it is taken then.</summary>
    public static string Unique(HashSet<string> names, string name)
    {
        string found = name;
        for (int i = 1; !names.Add(found); i++) found = $"{name}_{i}";
        return found;
    }

    /// <summary>[batch, channels, height, width] → [batch, channels].</summary>
    public string PoolPixels(string x, bool maximum, bool channelsLast)
    {
        if (channelsLast) x = Op("Transpose", [x], [Of("perm", 0, 3, 1, 2)]);
        return Flatten(Op(maximum ? "GlobalMaxPool" : "GlobalAveragePool", [x]));
    }

    /// <summary>[batch, …] → [batch, the product of the rest].</summary>
    public string Flatten(string x) => Op("Flatten", [x], [Of("axis", 1L)]);

    /// <summary>[batch, tokens, width] → [batch, width], the first token.</summary>
    public string FirstToken(string x) =>
        Op("Gather", [x, Constant("first", TensorData.Scalar(0L))], [Of("axis", 1L)]);

    /// <summary>[batch, tokens, width] → [batch, width]. mask: [batch, tokens], or null. Where it leaves no token the mean is 0.</summary>
    public string MeanOfTokens(string x, string? mask)
    {
        if (mask is null) return Reduce("ReduceMean", x);
        string weights = Weights(mask), sum = Reduce("ReduceSum", Op("Mul", [x, weights])), count = Reduce("ReduceSum", weights);
        return Op("Div", [sum, Op("Max", [count, Number("one", 1)])]);
    }

    /// <summary>[batch, tokens, width] → [batch, width]. mask: [batch, tokens], or null. Where it leaves no token the maximum
    /// is 0.</summary>
    public string MaximumOfTokens(string x, string? mask)
    {
        if (mask is null) return Reduce("ReduceMax", x);
        string zero = Number("zero", 0), weights = Weights(mask);
        string lowest = Number("lowest", _type is ElementType.Float16 ? -65504 : -1e38);
        string counted = Op("Where", [IsSet(weights), x, lowest]);
        return Op("Where", [IsSet(Reduce("ReduceMax", weights)), Reduce("ReduceMax", counted), zero]);
    }

    /// <summary>Elements dropped while training and in no evaluation.</summary>
    public string Dropout(string x, double ratio)
    {
        string share = Constant("ratio", TensorData.Scalar((float)ratio));
        return Op("Dropout", [x, share, Constant("training", TensorData.From<bool>([true]))]);
    }

    /// <summary>x·Wᵀ + b into a tensor of the given name: a Gemm with W [classes, width] for a matrix, a MatMul with W [width, classes] for
    /// tokens, which Gemm does not take.</summary>
    public void Linear(string x, string weight, string bias, bool tokens, string output)
    {
        if (!tokens)
        {
            Op("Gemm", [x, weight, bias], [Of("transB", 1L)], output);
            return;
        }
        Op("Add", [Op("MatMul", [x, weight]), bias], [], output);
    }

    /// <summary>[batch, tokens] → [batch, tokens, 1] of 0 and 1.</summary>
    private string Weights(string mask)
    {
        string set = Op("Cast", [mask], [Of("to", (long)ElementType.Bool)]), numbers = Op("Cast", [set], [Of("to", (long)_type)]);
        return _opset < SumAxesSince ? Op("Unsqueeze", [numbers], [Of("axes", new long[] { 2 })])
            : Op("Unsqueeze", [numbers, Constant("last", TensorData.From<long>([2], 1))]);
    }

    private string IsSet(string weights) => Op("Cast", [weights], [Of("to", (long)ElementType.Bool)]);

    /// <summary>Over the tokens, without them in the result.</summary>
    private string Reduce(string op, string x) => _opset < (op == "ReduceSum" ? SumAxesSince : OtherAxesSince)
        ? Op(op, [x], [Of("axes", new long[] { 1 }), Of("keepdims", 0L)])
        : Op(op, [x, Constant("tokens", TensorData.From<long>([1], 1))], [Of("keepdims", 0L)]);

    private string Number(string name, double value) => Constant(name, TensorData.From<double>([value]).ConvertTo(_type));

    /// <summary>A Constant node, as no initializer would be: nobody should take it for a parameter.</summary>
    private string Constant(string name, TensorData value)
    {
        string output = Unique(_names, $"{_scope}/{name}");
        var tensor = new AttributeProto
        {
            Name = "value",
            Type = AttributeType.Tensor,
            T = TensorSerializer.Write(output, value),
        };
        _graph.Node.Add(new NodeProto { OpType = "Constant", Name = output, Output = { output }, Attribute = { tensor } });
        return output;
    }

    private string Op(string op, string[] inputs, AttributeProto[]? attributes = null, string? output = null)
    {
        string name = Unique(_names, $"{_scope}/{op}");
        output ??= name;
        var node = new NodeProto { OpType = op, Name = name, Input = { inputs }, Output = { output }, Attribute = { attributes ?? [] } };
        _graph.Node.Add(node);
        return output;
    }

    private static AttributeProto Of(string name, long value) => new() { Name = name, Type = AttributeType.Int, I = value };

    private static AttributeProto Of(string name, params long[] values) =>
        new() { Name = name, Type = AttributeType.Ints, Ints = { values } };
}
