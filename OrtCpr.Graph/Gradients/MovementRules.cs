using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

// Operators that move elements without changing them: reshapes, transposes, joins, cuts, paddings.
internal static class MovementRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["Reshape"] = Reshaped,
        ["Flatten"] = Reshaped,
        ["Squeeze"] = Reshaped,
        ["Unsqueeze"] = Reshaped,
        ["Transpose"] = Transpose,
        ["Expand"] = (g, op, dy) => [dy],
        ["Concat"] = Concat,
        ["Split"] = Split,
        ["Slice"] = Slice,
        ["Tile"] = Tile,
        ["Pad"] = Pad,
    };

    private static Value?[] Reshaped(GraphBuilder g, Forward op, Value dy) => [g.ReshapeLike(dy, op.In(0))];

    private static Value?[] Transpose(GraphBuilder g, Forward op, Value dy)
    {
        int rank = op.In(0).Shape?.Rank ?? dy.Shape!.Rank;
        long[] perm = op.Node.Ints("perm") ?? [.. Enumerable.Range(0, rank).Reverse().Select(i => (long)i)];
        long[] inverse = new long[rank];
        for (int i = 0; i < rank; i++) inverse[perm[i]] = i;
        return [g.Transpose(dy, inverse)];
    }

    private static Value?[] Concat(GraphBuilder g, Forward op, Value dy)
    {
        int axis = op.Axis("axis", 0), n = op.InputCount;
        if (n == 1) return [dy];
        Value[] inputs = [.. Enumerable.Range(0, n).Select(op.In)];
        long?[] sizes = [.. inputs.Select(i => i.Shape?[axis].Known)];
        Value split = sizes.All(s => s is not null) ? g.Ints([.. sizes.Select(s => s!.Value)]) : g.Concat(0, [.. inputs.Select(i => g.DimOf(i, axis))]);
        Value[] parts = g.Ops("Split", n, [dy, split], ("axis", axis));
        return [.. parts.Select((p, i) => (Value?)GraphBuilder.Like(p, inputs[i]))];
    }

    private static Value?[] Split(GraphBuilder g, Forward op, Value dy)
    {
        int n = op.Node.Outputs.Count;
        var parts = new Value[n];
        for (int i = 0; i < n; i++) parts[i] = op.Dy(i) ?? (i == 0 ? dy : g.Filled(0, op.Out(i)));
        return [n == 1 ? parts[0] : GraphBuilder.Like(g.Concat(op.Axis("axis", 0), parts), op.In(0))];
    }

    // With step 1: zeros around. With other steps: scatter to the positions that the same slice of a counting vector gives.
    private static Value?[] Slice(GraphBuilder g, Forward op, Value dy)
    {
        Value x = op.In(0), starts = op.In(1), ends = op.In(2);
        int rank = op.Rank(0);
        int count = (int)(starts.Shape?[0].Known ?? g.Known.Integers(starts)?.Length ?? throw new UnsupportedGradientException($"The number of axes that node {op.Node.Label} slices is unknown."));
        long[] axes = op.TryIn(3) is null ? [.. Enumerable.Range(0, count).Select(i => (long)i)]
            : op.Constants(3) ?? throw new UnsupportedGradientException($"The axes of node {op.Node.Label} are not constant. Export the model with constant axes.");
        long[]? steps = op.TryIn(4) is null ? [.. Enumerable.Repeat(1L, count)] : op.Constants(4);
        if (steps is null || steps.Any(s => s != 1)) return [Scattered(g, op, dy, axes, rank)];

        Value[] before = [.. Enumerable.Repeat(g.Ints(0), rank)], after = [.. Enumerable.Repeat(g.Ints(0), rank)];
        long[]? first = op.Constants(1), last = op.Constants(2);
        for (int i = 0; i < count; i++)
        {
            int axis = x.Shape!.Axis(axes[i]);
            long? size = x.Shape[axis].Known;
            if (size is long n && first?[i] is long s && last?[i] is long e)
            {
                s = Math.Clamp(s < 0 ? s + n : s, 0, n);
                e = Math.Clamp(e < 0 ? e + n : e, s, n);
                before[axis] = g.Ints(s);
                after[axis] = g.Ints(n - e);
                continue;
            }
            Value dim = g.DimOf(x, axis), start = g.Gather(starts, g.Ints(i));
            start = g.Cast(start, ElementType.Int64);
            Value front = g.Max(g.Min(g.Where(g.Less(start, g.Ints(0)), g.Add(start, dim), start), dim), g.Ints(0));
            before[axis] = front;
            after[axis] = g.Sub(g.Sub(dim, front), g.DimOf(dy, axis));
        }
        Value pads = before.Concat(after).All(p => p.ConstantIntegers is not null)
            ? g.Ints([.. before.Concat(after).Select(p => p.ConstantIntegers![0])])
            : g.Concat(0, [.. before, .. after]);
        return [GraphBuilder.Like(g.Op("Pad", [dy, pads]), x)];
    }

    private static Value Scattered(GraphBuilder g, Forward op, Value dy, long[] axes, int rank)
    {
        Value x = op.In(0);
        // One axis at a time, innermost cut undone first; `partial` is x cut along the axes before this one only.
        for (int i = axes.Length - 1; i >= 0; i--)
        {
            int axis = x.Shape!.Axis(axes[i]);
            Value at = g.Ints(i);
            Value positions = g.Op("Range", [g.Int(0), g.Squeeze(g.DimOf(x, axis), 0), g.Int(1)]);
            Value step = op.TryIn(4) is Value steps ? g.Gather(steps, at) : g.Ints(1);
            Value index = g.Op("Slice", [positions, g.Gather(op.In(1), at), g.Gather(op.In(2), at), g.Cast(g.Ints(0), op.In(1).Type), step]);
            long[] shape = Enumerable.Repeat(1L, rank).ToArray();
            shape[axis] = -1;
            Value wide = g.Op("Expand", [g.Reshape(index, shape), g.ShapeOf(dy)]);
            Value dims = rank == 1 ? g.DimOf(x, 0)
                : g.Concat(0, [.. Enumerable.Range(0, rank).Select(d => g.DimOf(d == axis ? x : dy, d))]);
            Value zeros = g.Op("ConstantOfShape", [dims], ("value", GraphBuilder.Reshaped(GraphBuilder.ScalarData(0, dy.Type), 1)));
            dy = g.Op("ScatterElements", [zeros, wide, dy], ("axis", axis));
        }
        return GraphBuilder.Like(dy, x);
    }

    // Each axis d repeated r times is [r, d]; sum over the r.
    private static Value?[] Tile(GraphBuilder g, Forward op, Value dy)
    {
        Value x = op.In(0);
        int rank = op.Rank(0);
        Value pairs = g.Concat(1, g.Unsqueeze(op.In(1), 1), g.Unsqueeze(g.ShapeOf(x), 1));
        Value split = g.Reshape(dy, g.Reshape(pairs, -1));
        return [GraphBuilder.Like(g.ReduceSum(split, false, [.. Enumerable.Range(0, rank).Select(i => (long)(2 * i))]), x), null];
    }

    // Constant mode: cut the padding off again (negative pads put zeros back).
    private static Value?[] Pad(GraphBuilder g, Forward op, Value dy)
    {
        if (op.Node.Text("mode", "constant") != "constant")
            throw new UnsupportedGradientException($"Node {op.Node.Label} pads in mode '{op.Node.Text("mode", "constant")}', which has no gradient rule yet; mode 'constant' has.");
        Value?[] inputs = [dy, g.Neg(op.In(1)), null, op.TryIn(3)];
        Value dx = GraphBuilder.Like(g.Op("Pad", inputs), op.In(0));
        if (op.TryIn(2) is not { IsInitializer: false } fill) return [dx];
        Value dFill = g.Sub(g.ReduceSum(dy, false), g.ReduceSum(dx, false));
        return [dx, null, g.ReshapeLike(dFill, fill)];
    }
}
