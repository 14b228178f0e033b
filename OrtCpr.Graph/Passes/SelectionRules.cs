using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Which axis of each input a selection along one axis of the output becomes; -1 for an input that is read
/// whole. Null where the operator mixes positions along that axis, or where shapes do not tell.</summary>
internal static class SelectionRules
{
    private delegate int[]? Rule(Node node, int axis, int positions);

    private static readonly Dictionary<string, Rule> Table = BuildTable();

    public static int[]? InputAxes(Node node, int axis, int positions) =>
        node.Domain.Length == 0 && node.Outputs[0]?.Shape is not null && node.Inputs.All(i => i is null || i.Shape is not null)
        && Table.TryGetValue(node.OpType, out Rule? rule)
            ? rule(node, axis, positions) : null;

    private static Dictionary<string, Rule> BuildTable()
    {
        var table = new Dictionary<string, Rule>(StringComparer.Ordinal)
        {
            ["MatMul"] = MatMul,
            ["Gemm"] = Gemm,
            ["Softmax"] = Normalized,
            ["LogSoftmax"] = Normalized,
            ["LayerNormalization"] = (n, axis, p) =>
                axis < n.Outputs[0]!.Shape!.Axis(n.Int("axis", -1)) ? [0 + axis, .. Enumerable.Repeat(-1, n.Inputs.Count - 1)] : null,
            ["Transpose"] = (n, axis, p) => [n.Ints("perm") is long[] perm ? (int)perm[axis] : n.Outputs[0]!.Shape!.Rank - 1 - axis],
            ["Reshape"] = Reshape,
            ["Concat"] = (n, axis, p) =>
                axis == n.Outputs[0]!.Shape!.Axis(n.Int("axis", 0)) ? null : [.. Enumerable.Repeat(axis, n.Inputs.Count)],
        };
        foreach (string op in OperatorTraits.With(Trait.Unary)) table.TryAdd(op, (n, axis, p) => n.Inputs.Count == 1 ? [axis] : null);
        foreach (string op in OperatorTraits.With(Trait.Broadcast)) table.TryAdd(op, ElementWise);
        return table;
    }

    private static int[]? ElementWise(Node node, int axis, int positions) =>
        Aligned(node.Outputs[0]!.Shape!, [.. node.Inputs.Select(i => i!.Shape!)], axis);

    /// <summary>Axes of broadcast operands under one of the output's; null where an operand's size along it is not
    /// known to be 1 or the output's.</summary>
    private static int[]? Aligned(Shape output, Shape[] inputs, int axis)
    {
        int[] axes = new int[inputs.Length];
        for (int i = 0; i < inputs.Length; i++)
        {
            int at = axis - (output.Rank - inputs[i].Rank);
            if (at < 0 || inputs[i][at].Known == 1) axes[i] = -1;
            else if (inputs[i][at].SurelyEquals(output[axis])) axes[i] = at;
            else return null;
        }
        return axes;
    }

    private static int[]? MatMul(Node node, int axis, int positions)
    {
        Shape a = node.Inputs[0]!.Shape!, b = node.Inputs[1]!.Shape!, y = node.Outputs[0]!.Shape!;
        if (a.Rank < 2 || b.Rank < 2) return null;
        if (axis == y.Rank - 2) return [a.Rank - 2, -1];
        return axis == y.Rank - 1 ? [-1, b.Rank - 1] : Aligned(y, [a, b], axis);
    }

    private static int[]? Gemm(Node node, int axis, int positions)
    {
        bool transA = node.Int("transA", 0) != 0, transB = node.Int("transB", 0) != 0;
        int[] operands = axis == 0 ? [transA ? 1 : 0, -1] : [-1, transB ? 0 : 1];
        if (node.Inputs.Count < 3) return operands;
        return Aligned(node.Outputs[0]!.Shape!, [node.Inputs[2]!.Shape!], axis) is [int c] ? [.. operands, c] : null;
    }

    private static int[]? Normalized(Node node, int axis, int positions) =>
        axis == node.Outputs[0]!.Shape!.Axis(node.Int("axis", -1)) ? null : [axis];

    /// <summary>The same axis on both sides: equal size, and equally many elements in front of it.</summary>
    private static int[]? Reshape(Node node, int axis, int positions)
    {
        Shape from = node.Inputs[0]!.Shape!, to = node.Outputs[0]!.Shape!;
        SymbolicInt? front = new Shape(to.Take(axis)).ElementCount;
        for (int i = 0; i < from.Rank; i++)
        {
            if (!from[i].SurelyEquals(to[axis]) || front is null || !front.Equals(new Shape(from.Take(i)).ElementCount)) continue;
            return Shape.ReshapeTarget(from.With(i, positions), to.With(axis, positions)) is null ? null : [i, -1];
        }
        return null;
    }
}
