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

    /// <summary>Whether a result on the host goes to a kernel that wants it on the device: such a copy may still be under way when a
    /// run returns that nobody waits for, and the memory that it reads belongs to the next run.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="isOnHost">Whether a node was placed there.</param>
    public static bool AreCopied(OnnxGraph graph, Func<Node, bool> isOnHost)
    {
        var given = graph.NodesAndInner().Where(IsGiven).SelectMany(n => n.Outputs).OfType<Value>().ToHashSet();
        return graph.NodesAndInner().Where(n => !isOnHost(n)).Any(node => node.Inputs.Select((input, i) => (input, i))
            .Any(p => p.input is not null && given.Contains(p.input) && !IsWanted(node, p.i)));
    }

    public static bool IsWanted(Node node, int input) => node.OpType switch
    {
        "ConstantOfShape" or "If" or "Range" => true,
        "Loop" => input < 2,
        "SequenceInsert" => input == 2,
        "ConvInputGrad" => input == Operators.Convolution.InputGrad.InputIndex("shape"),
        _ => input > 0 && (WantsAfterFirst.Contains(node.OpType) || OperatorTraits.Has(node.OpType, Trait.Reduces)),
    };
}
