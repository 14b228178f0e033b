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
        Case("Pad", [X(2, 3), Ints(1, 2), Exactly([], 0.5), Ints(-1)]),
    ];

    private static RuleCase[] Indexing =>
    [
        Case("Gather", [X(4, 3), Ints([2, 2], [0, 3, -1, 0])]),
        Case("Gather", [X(4, 3), Ints(1, -1, 1)], ("axis", -1)),
        Case("Gather", [X(4, 3), Int(-2)], ("axis", 0)),
        Case("GatherElements", [X(3, 2), Ints([2, 2], [0, 2, -1, 0])]),
        Case("GatherND", [X(3, 2, 2), Ints([2, 2], [0, 1, 2, 0])]),
        Case("Trilu", [X(2, 4, 3), Int(-1)], ("upper", 0)),
    ];

    private static RuleCase[] Reductions =>
    [
        .. new[] { "ReduceSum", "ReduceMean", "ReduceSumSquare", "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMin", "ReduceLogSum" }
            .SelectMany(Reduction),
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
