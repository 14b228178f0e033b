namespace OrtCpr.Tests.Gradients;

internal static partial class RuleCases
{
    private static RuleCase[] Movements =>
    [
        Case("Reshape", [X(2, 3, 4), Ints(0, -1)]),
        Case("Flatten", X(2, 3, 4), ("axis", 2)),
        Case("Squeeze", [X(2, 1, 4), Ints(1)]),
        Case("Unsqueeze", [X(2, 4), Ints(0, -1)]),
        Case("Transpose", X(2, 3, 4), ("perm", new long[] { 2, 0, 1 })),
        Case("Expand", [X(3, 1), Ints(2, 1, 4)]),
        Case("Concat", [X(2, 3), X(2, 1), X(2, 2)], ("axis", -1)),
        Case("Split", [X(2, 5), Ints(2, 3)], ("axis", 1)) with { Outputs = 2 },
        Case("Slice", [X(4, 5), Ints(3, 0), Ints(-9, 4), Ints(0, 1), Ints(-2, 3)]),
        Case("Slice", [X(4, 5), Ints(1), Ints(-1), Ints(-1)]),
        Case("Tile", [X(2, 3), Ints(2, 3)]),
        Case("Pad", [X(2, 3), Ints(1, 0, -1, 2)]),
        Case("Pad", [X(4, 5), Ints(1, 3, 2, -1)], ("mode", "reflect")),
        Case("Pad", [X(4, 5), Fed(Ints(1, 3, 2, 0))], ("mode", "edge")),
        Case("Pad", [X(4, 5), Ints(1, 3), null, Ints(-1)], ("mode", "wrap")) with { Opset = 19 },
        Case("Pad", [X(4, 5), Ints(-1, 2), null, Ints(0)], ("mode", "reflect")),
        Case("com.microsoft.Pad", [X(2, 3), Ints(1, 0, 2, 2), Exactly([], 0.5)]),
        Case("com.microsoft.Pad", [X(2, 3), Ints(1, 0, 1, 2)], ("mode", "reflect")),
        Case("com.microsoft.ExpandDims", [X(2, 3), Int(1) with { Type = OrtCpr.Graph.ElementType.Int32 }]),
        Case("com.microsoft.SampleOp", X(2, 3)),
        Case("CenterCropPad", [X(5, 4), Ints(2, 7)]),
        Case("CenterCropPad", [X(5, 4, 3), Ints(8, 1)], ("axes", new long[] { -1, 1 })),
        Case("DepthToSpace", X(2, 8, 3, 2), ("blocksize", 2)),
        Case("DepthToSpace", X(2, 12, 3, 2), ("blocksize", 2), ("mode", "CRD")),
        Case("SpaceToDepth", X(2, 3, 4, 6), ("blocksize", 2)),
        Case("ReverseSequence", [X(4, 3, 2), Ints(2, 4, 1)]),
        Case("ReverseSequence", [X(3, 4), Ints(2, 4, 1)], ("batch_axis", 0), ("time_axis", 1)),
        Case("CumSum", [X(2, 3, 4), Int(1)]),
        Case("CumSum", [X(2, 3, 4), Ints(-1)], ("exclusive", 1), ("reverse", 1)),
        Case("CumProd", [X(2, 3, 4), Int(1)]) with { Opset = 26 },
        Case("CumProd", [Exactly([2, 4], 1.2, 0, -0.7, 2, 0, 0.5, 0, 3), Int(-1)], ("exclusive", 1)) with { Opset = 26 },
        Case("CumProd", [Exactly([2, 4], 1.2, 0, -0.7, 2, 0, 0.5, 0, 3), Int(-1)], ("reverse", 1)) with { Opset = 26 },
        Case("Col2Im", [X(2, 12, 8), Ints(4, 5), Ints(2, 3)], ("strides", new long[] { 2, 1 }), ("pads", new long[] { 0, 1, 0, 0 })),
        Case("Col2Im", [X(1, 6, 5), Ints(7), Ints(3)]),
        Case("Col2Im", [X(1, 12, 4), Ints(4, 4), Ints(2, 3)], ("dilations", new long[] { 2, 1 }), ("pads", new long[] { 0, 0, 0, 0 })),
        Case("Col2Im", [X(1, 3, 3), Ints(7), Ints(3)], ("dilations", new long[] { 2 })),
        Case("Pad", [X(2, 3), Ints(1, 2), Exactly([], 0.5), Ints(-1)]),
    ];

    private static RuleCase[] Indexing =>
    [
        Case("Gather", [X(4, 3), Ints([2, 2], [0, 3, -1, 0])]),
        Case("Gather", [X(4, 3), Ints(1, -1, 1)], ("axis", -1)),
        Case("Gather", [X(4, 3), Int(-2)], ("axis", 0)),
        Case("GatherElements", [X(3, 2), Ints([2, 2], [0, 2, -1, 0])]),
        Case("GatherND", [X(3, 2, 2), Ints([2, 2], [0, 1, 2, 0])]),
        Case("GatherND", [X(2, 3, 4, 2), Ints([2, 2, 1], [0, 2, 1, 1])], ("batch_dims", 1)),
        Case("GatherND", [X(2, 3, 4), Ints([2, 3, 1], [0, 3, 1, 1, -1, 2])], ("batch_dims", 2)),
        Case("com.microsoft.GatherND", [X(3, 2, 2), Ints([2, 2], [0, 1, 2, 0])]),
        Case("TopK", [X(2, 5), Ints(3)]) with { Outputs = 2 },
        Case("TopK", [X(4, 3), Ints(2)], ("axis", 0), ("largest", 0), ("sorted", 0)) with { Outputs = 2 },
        Case("OneHot", [Ints(1, 0, 3, -1), Int(4), Exactly([2], 0.3, 1.2)]),
        Case("OneHot", [Ints([2, 2], [1, 0, 3, 2]), Int(4), Exactly([2], 0.3, 1.2)], ("axis", 1)),
        Case("Compress", [X(3, 4), Bools([3], 1, 0, 1)], ("axis", 1)),
        Case("Compress", [X(3, 4), Bools([6], 1, 0, 1, 0, 0, 1)]),
        Case("Unique", X(2, 3)),
        Case("Unique", X(4, 2), ("axis", 0)),
        Case("com.microsoft.Unique", X(5)) with { Outputs = 3 },
        Case("Trilu", [X(2, 4, 3), Int(-1)], ("upper", 0)),
        Case("com.microsoft.Trilu", [X(2, 4, 3), Int(-1)], ("upper", 0)),
        Case("ScatterElements", [X(3, 4), Ints([2, 2], [0, 3, 1, 2]), X(2, 2)], ("axis", -1)),
        .. new[] { "add", "mul", "max", "min" }.Select(r =>
            Case("ScatterElements", [X(3, 4), Ints([2, 2], [0, -1, 0, 2]), Between(-1, 3, 2, 2)], ("axis", 0), ("reduction", r))),
        Case("ScatterElements", [Exactly([4], 0, 2, 1, 0), Ints(0, 1, 1, 3, 3), Exactly([5], 1.5, 0, 0.7, 0, 2)], ("reduction", "mul")),
        Case("ScatterND", [X(3, 2, 2), Ints([2, 2], [0, 1, 2, 0]), X(2, 2)]),
        .. new[] { "add", "mul", "max", "min" }.Select(r =>
            Case("ScatterND", [X(3, 4), Ints([2, 1], [2, 2]), Between(-1, 3, 2, 4)], ("reduction", r))),
        Case("Scatter", [X(3, 4), Ints([2, 2], [0, 3, 1, 2]), X(2, 2)], ("axis", 1)) with { Opset = 9 },
        Case("TensorScatter", [X(2, 3, 5, 2), X(2, 3, 2, 2), Ints(1, 3)]) with { Opset = 24 },
        Case("TensorScatter", [X(2, 3, 5, 2), X(2, 3, 2, 2), Ints(4, 3)], ("mode", "circular")) with { Opset = 24 },
        Case("TensorScatter", [X(2, 5, 2), X(2, 2, 2)], ("axis", 1)) with { Opset = 24 },
    ];

    private static RuleCase[] Reductions =>
    [
        .. new[] { "ReduceSum", "ReduceMean", "ReduceSumSquare", "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMin",
            "ReduceLogSum", "ReduceProd" }
            .SelectMany(Reduction),
        Case("ReduceProd", [Exactly([3, 3], 1, 0, 2, 0, 3, 0, -1, 2, 0.5), Ints(1)]),
    ];

    private static IEnumerable<RuleCase> Reduction(string op)
    {
        Feed x = op == "ReduceLogSum" ? Between(0.5, 2, 2, 3, 4) : X(2, 3, 4);
        yield return Case(op, [x, Ints(1, -1)]);
        yield return Case(op, [x, Ints(1)], ("keepdims", 0));
        yield return Case(op, x, ("keepdims", 0));
        yield return Case(op, [x, Fed(Ints(-3, 2))], ("keepdims", 0));
        if (op != "ReduceLogSum") yield return Case(op, x, ("noop_with_empty_axes", 1));
        if (op != "ReduceSum") yield return Case(op, x, ("axes", new long[] { 0, 2 })) with { Opset = 13 };
    }
}
