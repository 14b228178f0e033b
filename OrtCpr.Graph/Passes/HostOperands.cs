using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>What kernels of a device read and write on the host: sizes, axes, bounds, conditions of loops.</summary>
internal static class HostOperands
{
    /// <summary>Operators whose results are on the host.</summary>
    private static readonly HashSet<string> Gives = ["Shape", "Size", "SequenceLength"];

    /// <summary>Operators of which the inputs from the second on are wanted there.</summary>
    private static readonly HashSet<string> WantsAfterFirst =
    [
        "Clip", "CumSum", "Dropout", "Expand", "OneHot", "Pad", "Reshape", "Resize", "ReverseSequence", "SequenceAt", "SequenceErase",
        "Slice", "Split", "Squeeze", "Tile", "TopK", "Trilu", "Unsqueeze", "Upsample",
    ];

    public static bool IsGiven(Node node) => Gives.Contains(node.OpType);

    public static bool IsWanted(Node node, int input) => node.OpType switch
    {
        "ConstantOfShape" or "If" or "Range" => true,
        "Loop" => input < 2,
        "SequenceInsert" => input == 2,
        _ => input > 0 && (WantsAfterFirst.Contains(node.OpType) || OperatorTraits.Has(node.OpType, Trait.Reduces)),
    };
}
