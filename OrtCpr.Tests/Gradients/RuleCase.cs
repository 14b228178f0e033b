using OrtCpr.Graph;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Tests.Gradients;

/// <summary>One tensor that goes into a case. Floating ones are written down in double and take the type of the
/// run.</summary>
internal sealed record Feed(ElementType Type, long[] Shape, double[] Values)
{
    /// <summary>Whether its gradient is compared.</summary>
    public bool Differentiated { get; init; } = true;

    /// <summary>An initializer of the model instead of an input.</summary>
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

/// <summary>One row of the property test: a model of one operator, or of what Body writes, and what it is
/// fed.</summary>
internal sealed record RuleCase(string Op, Feed?[] Inputs, (string Name, object Value)[] Attributes)
{
    public int Opset { get; init; } = 18;

    public int Outputs { get; init; } = 1;

    /// <summary>The forward operator runs in double precision too, but operators of its gradient do not.</summary>
    public bool FloatOnly { get; init; }

    /// <summary>Shapes that the operator itself needs as numbers.</summary>
    public bool StaticOnly { get; init; }

    /// <summary>Outputs that take part; null for all floating ones.</summary>
    public int[]? Of { get; init; }

    /// <summary>Inputs whose buffers the operator's kernel writes an output to, which it demands.</summary>
    public (int Input, int Output)[] Shared { get; init; } = [];

    /// <summary>Steps of the differences; null for the one that suits the type.</summary>
    public double[]? Steps { get; init; }

    /// <summary>Writes something else than one node of the operator.</summary>
    public Func<GraphBuilder, Value?[], Value[]>? Body { get; init; }

    public override string ToString() =>
        $"{Op}({string.Join(", ", Inputs.Select(i => i is null ? "none" : $"[{string.Join(',', i.Shape)}]"))}; "
        + $"{string.Join(", ", Attributes.Select(a => $"{a.Name}={Text(a.Value)}"))}) opset {Opset}";

    private static object Text(object value) => value is Array list ? string.Join(',', list.Cast<object>()) : value;
}
