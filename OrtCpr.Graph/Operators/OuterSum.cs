namespace OrtCpr.Graph.Operators;

/// <summary>The sum over the first and the last axes, as gradients of biases and of channels are. No graph of a plan calls it: it takes
/// the place of a ReduceSum where a device has a kernel for it.</summary>
internal static class OuterSum
{
    /// <summary>x [outer …, kept …, inner …] to [kept …]. axes: those that are summed over. around: how many of them come first, and
    /// how many last.</summary>
    public static OperatorDefinition Definition { get; } = new()
    {
        Name = "OuterSum",
        Inputs = ["x"],
        Outputs = ["sum"],
        Attributes = [new("axes", AttributeKind.Ints), new("around", AttributeKind.Ints)],
        Body = (g, x) => [g.Op("ReduceSum", [x["x"], x.Ints("axes")], ("keepdims", 0))],
    };
}
