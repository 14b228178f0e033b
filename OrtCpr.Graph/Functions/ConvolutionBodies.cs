using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Functions;

// Convolutions of two spatial axes and one group, and their gradients, by standard operators.
internal static class ConvolutionBodies
{
    // ONNX's number for a list of integers.
    private const int Integers = 7;

    public static readonly string[] Attributes = ["strides", "dilations", "pads"];

    private static readonly long[] Exchange = [1, 0, 2, 3];

    public static Value Forward(GraphBuilder g, IReadOnlyList<Value> operands) =>
        g.Op("Conv", [.. operands], ("strides", Of("strides")), ("dilations", Of("dilations")), ("pads", Of("pads")));

    // A convolution of x with dy as its kernel, batch and channel axes exchanged; stride and dilation change places. Windows that the stride skipped make
    // the result larger than the kernel; the rest is cut off.
    public static Value WeightGradient(GraphBuilder g, Value x, Value weight, Value dy)
    {
        Value product = g.Op("Conv", [g.Transpose(x, Exchange), g.Transpose(dy, Exchange)], ("strides", Of("dilations")), ("dilations", Of("strides")), ("pads", Of("pads")));
        return g.Transpose(g.Op("Slice", [product, g.Ints(0, 0), g.Op("Shape", [weight], ("start", 2)), g.Ints(2, 3)]), Exchange);
    }

    // ConvTranspose undoes the geometry over all rows that the windows span. The padding is cut off that, and what the stride left over gets zeros.
    public static Value InputGradient(GraphBuilder g, Value dy, Value weight, Value shape)
    {
        Value span = g.Op("ConvTranspose", [dy, weight], ("strides", Of("strides")), ("dilations", Of("dilations")));
        Value begin = g.Neg(g.Slice(g.Op("Constant", [], ("value_ints", Of("pads"))), [0], [2], [0]));
        Value end = g.Sub(g.Sub(g.Slice(shape, [2], [4], [0]), g.Op("Shape", [span], ("start", 2))), begin);
        return g.PadFrom(2, span, begin, end);
    }

    private static AttributeReference Of(string name) => new(name, Integers);
}
