using OrtCpr.Graph;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Tests.Gradients;

// One tensor that goes into a case. Floating ones are written down in double and take the type of the run.
internal sealed record Feed(ElementType Type, long[] Shape, double[] Values)
{
    // Whether its gradient is compared.
    public bool Differentiated { get; init; } = true;

    // An initializer of the model instead of an input.
    public bool Constant { get; init; }

    public TensorData ToTensor(ElementType floating) => Type switch
    {
        ElementType.Int64 => TensorData.From<long>(Values.Select(v => (long)v).ToArray(), Shape),
        ElementType.Int32 => TensorData.From<int>(Values.Select(v => (int)v).ToArray(), Shape),
        ElementType.UInt8 => TensorData.From<byte>(Values.Select(v => (byte)v).ToArray(), Shape),
        ElementType.Int8 => TensorData.From<sbyte>(Values.Select(v => (sbyte)v).ToArray(), Shape),
        ElementType.Bool => TensorData.From<bool>(Values.Select(v => v != 0).ToArray(), Shape),
        _ => TensorData.From<double>(Values, Shape).ConvertTo(floating),
    };
}

// One row of the property test: a model of one operator, or of what Body writes, and what it is fed.
internal sealed record RuleCase(string Op, Feed?[] Inputs, (string Name, object Value)[] Attributes)
{
    public int Opset { get; init; } = 18;

    public int Outputs { get; init; } = 1;

    // The forward operator runs in double precision too, but operators of its gradient do not.
    public bool FloatOnly { get; init; }

    // Shapes that the operator itself needs as numbers.
    public bool StaticOnly { get; init; }

    // Outputs that take part; null for all floating ones.
    public int[]? Of { get; init; }

    // Inputs whose buffers the operator's kernel writes an output to, which it demands.
    public (int Input, int Output)[] Shared { get; init; } = [];

    // Steps of the differences; null for the one that suits the type.
    public double[]? Steps { get; init; }

    // Writes something else than one node of the operator.
    public Func<GraphBuilder, Value?[], Value[]>? Body { get; init; }

    public override string ToString() => $"{Op}({string.Join(", ", Inputs.Select(i => i is null ? "none" : $"[{string.Join(',', i.Shape)}]"))}; "
        + $"{string.Join(", ", Attributes.Select(a => $"{a.Name}={(a.Value is Array list ? string.Join(',', list.Cast<object>()) : a.Value)}"))}) opset {Opset}";
}
