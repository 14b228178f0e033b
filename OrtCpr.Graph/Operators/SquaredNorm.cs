namespace OrtCpr.Graph.Operators;

/// <summary>Σx² of a tensor of any shape; NaN and infinities in the input reach the output, so one number tells a
/// non-finite gradient.</summary>
internal static class SquaredNorm
{
    /// <summary>x → [1].</summary>
    public static OperatorDefinition Definition { get; } = new()
    {
        Name = "SquaredNorm",
        Inputs = ["gradient"],
        Outputs = ["squared_norm"],
        Body = (g, x) => [g.Unsqueeze(g.SumInBlocks(x["gradient"] * x["gradient"]), 0)],
    };

    /// <summary>The same of tensors that lie in one buffer, from their first elements and lengths; a kernel only, see
    /// <c>JoinUpdates</c>.</summary>
    public static OperatorDefinition Joined { get; } = new()
    {
        Name = "SquaredNorms",
        Inputs = ["x", new("starts", SlotType.Int64), new("lengths", SlotType.Int64)],
        Outputs = [new("squared_norms", ShapeOf: "starts")],
    };
}
