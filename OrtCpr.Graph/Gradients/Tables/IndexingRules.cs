using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Graph.Gradients;

/// <summary>Lookups by integer indices: contributions of repeated indices add up.</summary>
internal static class IndexingRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["Gather"] = Gather,
        ["GatherElements"] = GatherElements,
        ["GatherND"] = GatherND,
        ["com.microsoft.GatherND"] = GatherND,
        ["TopK"] = TopK,
        ["OneHot"] = OneHot,
        ["Compress"] = ByDefinition.Rule(Compress),
        ["Unique"] = ByDefinition.Rule(Unique),
        ["com.microsoft.UnfoldTensor"] = ByDefinition.Rule(UnfoldTensor),
        ["com.microsoft.NGramRepeatBlock"] = (g, op, dy) => [null, g.Where(g.Equal(op.Out(0), op.In(1)), dy, 0)],
        ["com.microsoft.Unique"] = ByDefinition.Rule(Unique),
    };

    private static Value?[] Gather(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0), indices = g.Cast(op.In(1), ElementType.Int64);
        int axis = op.Axis("axis", 0), rank = x.Shape!.Rank;
        if (op.Constants(1) is [long at] && indices.Shape is { Rank: <= 1 })
            return [Placed(g, x, indices.Shape.Rank == 0 ? g.Unsqueeze(dy, axis) : dy, axis, at)];
        int indexRank = indices.Shape?.Rank ?? dy.Shape!.Rank - rank + 1;
        if (axis == 0)
            return [Embedding.GradOf(g, x, indices, dy)];
        // Bring the indexed axis to the front, scatter rows, and bring it back.
        long[] toFront = [axis, .. Enumerable.Range(0, rank).Where(i => i != axis).Select(i => (long)i)];
        long[] back = new long[rank];
        for (int i = 0; i < rank; i++) back[toFront[i]] = i;
        long[] rows = [.. Enumerable.Range(axis, indexRank).Select(i => (long)i), .. Enumerable.Range(0, axis).Select(i => (long)i),
            .. Enumerable.Range(axis + indexRank, rank - axis - 1).Select(i => (long)i)];
        Term front = g.Transpose(x, toFront);
        Term sum = g.Op("ScatterND", [g.Filled(0, front), g.Unsqueeze(indices, -1), g.Transpose(dy, rows)], ("reduction", "add"));
        return [g.Transpose(GraphBuilder.Like(sum, front), back).Like(x)];
    }

    /// <summary>One known position: zeros before and after, no scatter.</summary>
    private static Term Placed(GraphBuilder g, Value x, Value row, int axis, long at)
    {
        int rank = x.Shape!.Rank;
        long[] pads = new long[2 * rank];
        if (x.Shape[axis].Known is long size)
        {
            pads[axis] = at < 0 ? at + size : at;
            pads[rank + axis] = size - 1 - pads[axis];
            return g.Op("Pad", [row, g.Ints(pads)]).Like(x);
        }
        Term last = g.DimOf(x, axis) - g.Ints(1);
        Term before = at < 0 ? last + g.Ints(at + 1) : g.Ints(at);
        Term after = at < 0 ? g.Ints(-at - 1) : last - g.Ints(at);
        var parts = new Value[2 * rank];
        Array.Fill(parts, g.Ints(0));
        parts[axis] = before;
        parts[rank + axis] = after;
        return g.Op("Pad", [row, g.Concat(0, parts)]).Like(x);
    }

    private static Value?[] GatherElements(GraphBuilder g, Forward op, Term dy) =>
        [g.Op("ScatterElements", [g.Filled(0, op.In(0)), op.In(1), dy], ("axis", op.Axis("axis", 0)), ("reduction", "add")).Like(op.In(0))];

    /// <summary>With batch_dims the batch's own coordinates go in front of the indices.</summary>
    private static Value?[] GatherND(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0), indices = g.Cast(op.In(1), ElementType.Int64);
        int batch = (int)op.Node.Int("batch_dims", 0);
        if (batch > 0)
        {
            int rank = op.Rank(1);
            Term one = g.Concat(0, g.Op("Shape", [indices], ("end", -1)), g.Ints(1));
            Term Coordinate(int axis) =>
                g.Op(
                    "Expand", [g.Reshape(g.Positions(g.DimOf(indices, axis)),
                        [.. Enumerable.Range(0, rank).Select(i => i == axis ? -1L : 1)]), one]);
            indices = g.Concat(-1, [.. Enumerable.Range(0, batch).Select(Coordinate), indices]);
        }
        return [g.Op("ScatterND", [g.Filled(0, x), indices, dy], ("reduction", "add")).Like(x)];
    }

    private static Value?[] TopK(GraphBuilder g, Forward op, Term dy) =>
        [g.Op("ScatterElements", [g.Filled(0, op.In(0)), op.Out(1), dy], ("axis", op.Node.Int("axis", -1))).Like(op.In(0))];

    /// <summary>values = [off, on]: all of dy that is not on is off.</summary>
    private static Value?[] OneHot(GraphBuilder g, Forward op, Term dy)
    {
        Term mask = g.Op("OneHot", [op.In(0), op.In(1), g.Constant(GraphBuilder.FloatVector(dy.Type, 0, 1))],
            ("axis", op.Node.Int("axis", -1)));
        Term on = g.Reshape(g.ReduceSum(dy * mask, false), 1), all = g.Reshape(g.ReduceSum(dy, false), 1);
        return [null, null, g.Concat(0, all - on, on)];
    }

    /// <summary>Without an axis the input counts as flat.</summary>
    private static Term Compress(GraphBuilder g, Forward op)
    {
        Term x = op.Node.Has("axis") ? op.In(0) : g.Reshape(op.In(0), -1);
        Term chosen = g.Squeeze(g.Op("NonZero", [op.In(1)]), 0);
        return g.Gather(x, GraphBuilder.Typed(chosen, ElementType.Int64, new Shape(Dim.Unknown)), op.Axis("axis", 0));
    }

    /// <summary>The second output says where each value occurred first.</summary>
    private static Term Unique(GraphBuilder g, Forward op)
    {
        Term x = op.Node.Has("axis") ? op.In(0) : g.Reshape(op.In(0), -1);
        return g.Gather(x, GraphBuilder.Typed(op.Out(1), ElementType.Int64, new Shape(Dim.Unknown)), op.Axis("axis", 0));
    }

    /// <summary>Windows along an axis, each after all others: y[…, w, …, i] = x[…, w·step + i, …].</summary>
    private static Term UnfoldTensor(GraphBuilder g, Forward op)
    {
        int axis = op.Axis("dim", -1), rank = op.Rank(0);
        long size = op.Node.Int("size", 1), step = op.Node.Int("step", 1);
        Term windows = (g.DimOf(op.In(0), axis) - g.Ints(size)) / g.Ints(step) + g.Ints(1);
        Term at = g.Unsqueeze(g.Positions(windows) * step, 1) + g.Unsqueeze(g.Positions(g.Ints(size)), 0);
        Term read = g.Gather(op.In(0), GraphBuilder.Typed(at, ElementType.Int64, new Shape(Dim.Unknown, size)), axis);
        return g.Transpose(read, [.. Enumerable.Range(0, rank + 1).Where(i => i != axis + 1).Select(i => (long)i), axis + 1]);
    }
}
