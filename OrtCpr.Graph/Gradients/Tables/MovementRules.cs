using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Operators that move elements without changing them: reshapes, transposes, joins, cuts, paddings.</summary>
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
        ["com.microsoft.Pad"] = Pad,
        ["com.microsoft.ExpandDims"] = (g, op, dy) => [g.ReshapeLike(dy, op.In(0))],
        ["com.microsoft.SampleOp"] = (g, op, dy) => [dy],
        ["CenterCropPad"] = CenterCropPad,
        ["DepthToSpace"] = DepthToSpace,
        ["SpaceToDepth"] = (g, op, dy) => [g.Op("DepthToSpace", [dy], ("blocksize", op.Node.Int("blocksize", 1)))],
        ["ReverseSequence"] = ReverseSequence,
        ["Trilu"] = Trilu,
        ["com.microsoft.Trilu"] = Trilu,
        ["CumSum"] = CumSum,
        ["CumProd"] = ByDefinition.Rule(CumProd),
        ["Col2Im"] = Col2Im,
    };

    private static Value?[] Reshaped(GraphBuilder g, Forward op, Term dy) => [g.ReshapeLike(dy, op.In(0))];

    private static Value?[] Transpose(GraphBuilder g, Forward op, Term dy)
    {
        int rank = op.In(0).Shape?.Rank ?? dy.Shape!.Rank;
        long[] perm = op.Node.Ints("perm") ?? [.. Enumerable.Range(0, rank).Reverse().Select(i => (long)i)];
        long[] inverse = new long[rank];
        for (int i = 0; i < rank; i++) inverse[perm[i]] = i;
        return [g.Transpose(dy, inverse)];
    }

    private static Value?[] Concat(GraphBuilder g, Forward op, Term dy)
    {
        int axis = op.Axis("axis", 0), n = op.InputCount;
        if (n == 1) return [dy];
        Value[] inputs = [.. Enumerable.Range(0, n).Select(op.In)];
        long?[] sizes = [.. inputs.Select(i => i.Shape?[axis].Known)];
        Term split = sizes.All(s => s is not null) ? g.Ints([.. sizes.Select(s => s!.Value)])
            : g.Concat(0, [.. inputs.Select(i => g.DimOf(i, axis))]);
        Term[] parts = g.Ops("Split", n, [dy, split], ("axis", axis));
        return [.. parts.Select((p, i) => (Value?)GraphBuilder.Like(p, inputs[i]))];
    }

    private static Value?[] Split(GraphBuilder g, Forward op, Term dy)
    {
        int n = op.Node.Outputs.Count;
        var parts = new Value[n];
        for (int i = 0; i < n; i++) parts[i] = op.Dy(i) ?? (i == 0 ? dy : g.Filled(0, op.Out(i)));
        return [n == 1 ? parts[0] : g.Concat(op.Axis("axis", 0), parts).Like(op.In(0))];
    }

    /// <summary>With step 1: zeros around. With other steps: scatter to the positions that the same slice of a counting
    /// vector gives.</summary>
    private static Value?[] Slice(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0), starts = op.In(1), ends = op.In(2);
        int rank = op.Rank(0);
        int count = (int)(starts.Shape?[0].Known ?? g.Known.Integers(starts)?.Length
            ?? throw new UnsupportedGradientException($"The number of axes that node {op.Node.Label} slices is unknown."));
        long[] axes = op.TryIn(3) is null ? [.. Enumerable.Range(0, count).Select(i => (long)i)]
            : op.Constants(3)
            ?? throw new UnsupportedGradientException(
                $"The axes of node {op.Node.Label} are not constant. Export the model with constant axes.");
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
            Term dim = g.DimOf(x, axis), start = g.Gather(starts, g.Ints(i));
            start = g.Cast(start, ElementType.Int64);
            Term front = g.Max(g.Min(g.Where(start < g.Ints(0), start + dim, start), dim), g.Ints(0));
            before[axis] = front;
            after[axis] = dim - front - g.DimOf(dy, axis);
        }
        Term pads = before.Concat(after).All(p => p.ConstantIntegers is not null)
            ? g.Ints([.. before.Concat(after).Select(p => p.ConstantIntegers![0])])
            : g.Concat(0, [.. before, .. after]);
        return [g.Op("Pad", [dy, pads]).Like(x)];
    }

    private static Term Scattered(GraphBuilder g, Forward op, Term dy, long[] axes, int rank)
    {
        Term x = op.In(0);
        // One axis at a time, innermost cut undone first; `partial` is x cut along the axes before this one only.
        for (int i = axes.Length - 1; i >= 0; i--)
        {
            int axis = x.Shape!.Axis(axes[i]);
            Term at = g.Ints(i);
            Term positions = g.Op("Range", [g.Int(0), g.Squeeze(g.DimOf(x, axis), 0), g.Int(1)]);
            Term step = op.TryIn(4) is Value steps ? g.Gather(steps, at) : g.Ints(1);
            Term index = g.Op("Slice", [positions, g.Gather(op.In(1), at), g.Gather(op.In(2), at), g.Cast(g.Ints(0), op.In(1).Type), step]);
            long[] shape = Enumerable.Repeat(1L, rank).ToArray();
            shape[axis] = -1;
            Term wide = g.Op("Expand", [g.Reshape(index, shape), g.ShapeOf(dy)]);
            Term dims = rank == 1 ? g.DimOf(x, 0)
                : g.Concat(0, [.. Enumerable.Range(0, rank).Select(d => g.DimOf(d == axis ? x : dy, d))]);
            Term zeros = g.Op("ConstantOfShape", [dims], ("value", GraphBuilder.Reshaped(GraphBuilder.ScalarData(0, dy.Type), 1)));
            dy = g.Op("ScatterElements", [zeros, wide, dy], ("axis", axis));
        }
        return dy.Like(x);
    }

    /// <summary>Each axis d repeated r times is [r, d]; sum over the r.</summary>
    private static Value?[] Tile(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0);
        int rank = op.Rank(0);
        Term pairs = g.Concat(1, g.Unsqueeze(op.In(1), 1), g.Unsqueeze(g.ShapeOf(x), 1));
        Term split = g.Reshape(dy, g.Reshape(pairs, -1));
        return [g.ReduceSum(split, false, [.. Enumerable.Range(0, rank).Select(i => (long)(2 * i))]).Like(x), null];
    }

    /// <summary>Constant mode: cut the padding off again (negative pads put zeros back). In the other modes y is x read
    /// at positions.</summary>
    private static Value?[] Pad(GraphBuilder g, Forward op, Term dy)
    {
        if (op.Node.Text("mode", "constant") != "constant") return ReadAtPositions(g, op, dy);
        Value?[] inputs = [dy, -op.In(1), null, op.TryIn(3)];
        Term dx = g.Op("Pad", inputs).Like(op.In(0));
        if (op.TryIn(2) is not { IsInitializer: false } fill) return [dx];
        Term dFill = g.ReduceSum(dy, false) - g.ReduceSum(dx, false);
        return [dx, null, g.ReshapeLike(dFill, fill)];
    }

    private static readonly GradientRule ReadAtPositions = ByDefinition.Rule(Gathered);

    /// <summary>The positions along an axis are what Pad itself makes of 0, 1, 2 …</summary>
    private static Term Gathered(GraphBuilder g, Forward op)
    {
        Term y = op.In(0), pads = g.Folded(op.In(1));
        int rank = op.Rank(0);
        long[] axes = op.TryIn(3) is null ? [.. Enumerable.Range(0, rank).Select(i => (long)i)]
            : op.Constants(3)
            ?? throw new UnsupportedGradientException(
                $"The axes of node {op.Node.Label} are not constant. Export the model with constant axes.");
        for (int i = 0; i < axes.Length; i++)
        {
            Term own = g.Folded(g.Gather(pads, g.Ints(i, i + axes.Length)));
            if (own.ConstantIntegers is [0, 0]) continue;
            int axis = op.In(0).Shape!.Axis(axes[i]);
            Term positions = g.Op("Pad", [g.Positions(g.DimOf(op.In(0), axis)), own], ("mode", op.Node.Text("mode", "constant")));
            y = g.Gather(y, GraphBuilder.Typed(positions, ElementType.Int64, new Shape(Dim.Unknown)), axis);
        }
        return y;
    }

    /// <summary>Cropping and padding about the centre undo each other.</summary>
    private static Value?[] CenterCropPad(GraphBuilder g, Forward op, Term dy)
    {
        Term sizes = g.ShapeOf(op.In(0));
        if (op.Node.Ints("axes") is not long[] axes) return [g.Op("CenterCropPad", [dy, sizes])];
        return [g.Op("CenterCropPad", [dy, g.Gather(sizes, g.Ints([.. axes.Select(a => (long)op.In(0).Shape!.Axis(a))]))], ("axes", axes))];
    }

    /// <summary>SpaceToDepth puts the block in front of the channels; mode CRD has it after them.</summary>
    private static Value?[] DepthToSpace(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0);
        long block = op.Node.Int("blocksize", 1);
        Term dx = g.Op("SpaceToDepth", [dy], ("blocksize", block));
        if (op.Node.Text("mode", "DCR") == "DCR") return [dx];
        Term apart = g.Reshape(dx, g.Concat(0, g.DimOf(x, 0), g.Ints(block * block, -1), g.SizesFrom(2, x)));
        return [g.ReshapeLike(g.Op("Transpose", [apart], ("perm", new long[] { 0, 2, 1, 3, 4 })), x)];
    }

    private static Value?[] ReverseSequence(GraphBuilder g, Forward op, Term dy) =>
        [g.Op("ReverseSequence", [dy, op.In(1)], ("batch_axis", op.Node.Int("batch_axis", 1)), ("time_axis", op.Node.Int("time_axis", 0)))];

    private static Value?[] Trilu(GraphBuilder g, Forward op, Term dy) =>
        [g.Op(op.Node.QualifiedType, [dy, op.TryIn(1)], ("upper", op.Node.Int("upper", 1)))];

    private static Value?[] CumSum(GraphBuilder g, Forward op, Term dy) =>
        [g.Op("CumSum", [dy, op.In(1)], ("exclusive", op.Node.Int("exclusive", 0)), ("reverse", op.Node.Int("reverse", 0) == 0))];

    /// <summary>A product over [out, in] with 1 where an element takes no part, so that zeros among the factors stay
    /// exact.</summary>
    private static Term CumProd(GraphBuilder g, Forward op)
    {
        long[] constant = op.Constants(1)
            ?? throw new UnsupportedGradientException(
                $"The axis of node {op.Node.Label} is not constant. Export the model with a constant axis.");
        int axis = op.In(0).Shape!.Axis(constant[0]);
        bool reverse = op.Node.Int("reverse", 0) != 0, exclusive = op.Node.Int("exclusive", 0) != 0;
        return g.OnLastAxis(op.In(0), axis, x =>
        {
            Term at = g.Positions(g.DimOf(x, -1)), read = g.Unsqueeze(at, 0), written = g.Unsqueeze(at, 1);
            (Term smaller, Term larger) = reverse ? (written, read) : (read, written);
            Term part = exclusive ? smaller < larger : smaller <= larger;
            return g.Reduce("ReduceProd", g.Where(part, g.Unsqueeze(x, -2), 1), false, -1);
        });
    }

    /// <summary>Image to columns: each axis of the padded dy is read at block position + window position, [block,
    /// windows] of them.</summary>
    private static Value?[] Col2Im(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0);
        int n = op.Rank(0) == 3 && dy.Shape is Shape image ? image.Rank - 2
            : throw new UnsupportedGradientException(
                $"The rank of the output of node {op.Node.Label} is unknown. Export the model with a constant image_shape.");
        long[] strides = op.Node.Ints("strides") ?? [.. Enumerable.Repeat(1L, n)];
        long[] dilations = op.Node.Ints("dilations") ?? [.. Enumerable.Repeat(1L, n)];
        long[] pads = op.Node.Ints("pads") ?? new long[2 * n];
        Term read = g.PadFrom(2, dy, g.Ints(pads[..n]), g.Ints(pads[n..]));
        for (int i = 0; i < n; i++)
        {
            Term block = g.Gather(op.In(2), g.Ints(i)), inside = g.Positions(block) * dilations[i];
            Term room = g.DimOf(dy, i + 2) + g.Ints(pads[i] + pads[n + i]) - (block - g.Ints(1)) * g.Ints(dilations[i]) - g.Ints(1);
            Term windows = g.Positions(room / g.Ints(strides[i]) + g.Ints(1)) * strides[i];
            read = g.Op("Gather", [read, g.Unsqueeze(inside, 1) + g.Unsqueeze(windows, 0)], ("axis", 2 + (2 * i)));
        }
        long[] perm = [0, 1, .. Enumerable.Range(0, n).Select(i => 2L + (2 * i)), .. Enumerable.Range(0, n).Select(i => 3L + (2 * i))];
        return [g.ReshapeLike(g.Op("Transpose", [read], ("perm", perm)), x)];
    }
}
