using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Operators;

/// <summary>Convolutions of two spatial axes and one group, and their gradients.</summary>
internal static class Convolution
{
    private static readonly OperatorAttribute[] Geometry =
        [new("strides", AttributeKind.Ints), new("dilations", AttributeKind.Ints), new("pads", AttributeKind.Ints)];

    private static readonly long[] Exchange = [1, 0, 2, 3];

    /// <summary>Conv: x [N, C, H, W], weight [M, C, kh, kw].</summary>
    public static OperatorDefinition Forward { get; } = OfForward("ConvForward", "x", "weight");

    /// <summary>Conv with a bias [M].</summary>
    public static OperatorDefinition ForwardBias { get; } = OfForward("ConvForwardBias", "x", "weight", "bias");

    /// <summary>dW from x, the weight (for its shape) and dy.</summary>
    /// <remarks>A convolution of x with dy as its kernel, batch and channel axes exchanged; stride and dilation change places. Windows
    /// that the stride skipped make the result larger than the kernel; the rest is cut off.</remarks>
    public static OperatorDefinition WeightGrad { get; } = new()
    {
        Name = "ConvWeightGrad",
        Inputs = ["x", "weight", "dy"],
        Outputs = [new("gradient", ShapeOf: "weight")],
        Attributes = Geometry,
        Body = (g, x) =>
        {
            Term product = g.Op("Conv", [g.Transpose(x["x"], Exchange), g.Transpose(x["dy"], Exchange)],
                ("strides", x.Attribute("dilations")), ("dilations", x.Attribute("strides")), ("pads", x.Attribute("pads")));
            Term size = g.Op("Shape", [x["weight"]], ("start", 2));
            return [g.Transpose(g.Op("Slice", [product, g.Ints(0, 0), size, g.Ints(2, 3)]), Exchange)];
        },
        Gradient = OfWeightGradient,
    };

    /// <summary>dx from dy, the weight and the shape of x.</summary>
    /// <remarks>ConvTranspose undoes the geometry over all rows that the windows span. The padding is cut off that, and what the stride
    /// left over gets zeros.</remarks>
    public static OperatorDefinition InputGrad { get; } = new()
    {
        Name = "ConvInputGrad",
        Inputs = ["dy", "weight", new("shape", SlotType.Int64)],
        Outputs = ["gradient"],
        Attributes = Geometry,
        Body = (g, x) =>
        {
            Term span = g.Op("ConvTranspose", [x["dy"], x["weight"]], ("strides", x.Attribute("strides")),
                ("dilations", x.Attribute("dilations")));
            Term begin = -g.Slice(x.Ints("pads"), [0], [2], [0]);
            Term end = g.Slice(x["shape"], [2], [4], [0]) - g.Op("Shape", [span], ("start", 2)) - begin;
            return [g.PadFrom(2, span, begin, end)];
        },
        Gradient = OfInputGradient,
    };

    /// <summary>A call of <see cref="WeightGrad"/>.</summary>
    public static Term WeightGradOf(GraphBuilder g, Value x, Value weight, Value dy, long[] strides, long[] dilations, long[] pads) =>
        WeightGrad.Call(g, [x, weight, dy], Attributes(strides, dilations, pads))[0];

    /// <summary>A call of <see cref="InputGrad"/>; the result has the shape of <paramref name="x"/>.</summary>
    public static Term InputGradOf(GraphBuilder g, Value x, Value weight, Value dy, long[] strides, long[] dilations, long[] pads) =>
        InputGrad.Call(g, [dy, weight, g.ShapeOf(x)], Attributes(strides, dilations, pads))[0].Like(x);

    private static OperatorDefinition OfForward(string name, params OperatorSlot[] inputs) => new()
    {
        Name = name,
        Inputs = inputs,
        Outputs = ["y"],
        Attributes = Geometry,
        Body = (g, x) =>
        [
            g.Op("Conv", [.. inputs.Select(i => x[i.Name])],
                ("strides", x.Attribute("strides")), ("dilations", x.Attribute("dilations")), ("pads", x.Attribute("pads"))),
        ],
        Gradient = ConvolutionRules.Conv,
    };

    /// <summary>Both gradients are linear in each operand, and the backward pass of one is the other.</summary>
    private static Value?[] OfWeightGradient(GraphBuilder g, Forward op, Term dy)
    {
        (long[] strides, long[] dilations, long[] pads) = GeometryOf(op.Node);
        return
        [
            op.IsWanted(0) ? InputGradOf(g, op.In(0), dy, op.In(2), strides, dilations, pads) : null,
            null,
            op.IsWanted(2) ? Conv(g, op.In(0), dy, op.In(2), strides, dilations, pads) : null,
        ];
    }

    private static Value?[] OfInputGradient(GraphBuilder g, Forward op, Term dy)
    {
        (long[] strides, long[] dilations, long[] pads) = GeometryOf(op.Node);
        return
        [
            op.IsWanted(0) ? Conv(g, dy, op.In(1), op.In(0), strides, dilations, pads) : null,
            op.IsWanted(1) ? WeightGradOf(g, dy, op.In(1), op.In(0), strides, dilations, pads) : null,
            null,
        ];
    }

    private static Term Conv(GraphBuilder g, Value x, Value weight, Value like, long[] strides, long[] dilations, long[] pads) =>
        g.Op("Conv", [x, weight], Attributes(strides, dilations, pads)).Like(like);

    private static (string, object)[] Attributes(long[] strides, long[] dilations, long[] pads) =>
        [("strides", strides), ("dilations", dilations), ("pads", pads)];

    private static (long[] Strides, long[] Dilations, long[] Pads) GeometryOf(Node node) =>
        (node.Ints("strides")!, node.Ints("dilations")!, node.Ints("pads")!);
}
