using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

// Lookups by integer indices: contributions of repeated indices add up.
internal static class IndexingRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["Gather"] = Gather,
        ["GatherElements"] = GatherElements,
        ["GatherND"] = GatherND,
        ["Trilu"] = Trilu,
    };

    private static Value?[] Gather(GraphBuilder g, Forward op, Value dy)
    {
        Value x = op.In(0), indices = op.In(1);
        int axis = op.Axis("axis", 0), rank = x.Shape!.Rank;
        if (op.Constants(1) is [long at] && indices.Shape is { Rank: <= 1 })
            return [Placed(g, x, indices.Shape.Rank == 0 ? g.Unsqueeze(dy, axis) : dy, axis, at)];
        int indexRank = indices.Shape?.Rank ?? dy.Shape!.Rank - rank + 1;
        if (axis == 0)
            return [GraphBuilder.Like(g.Op("ScatterND", [g.Filled(0, x), g.Unsqueeze(indices, -1), dy], ("reduction", "add")), x)];
        // Bring the indexed axis to the front, scatter rows, and bring it back.
        long[] toFront = [axis, .. Enumerable.Range(0, rank).Where(i => i != axis).Select(i => (long)i)];
        long[] back = new long[rank];
        for (int i = 0; i < rank; i++) back[toFront[i]] = i;
        long[] rows = [.. Enumerable.Range(axis, indexRank).Select(i => (long)i), .. Enumerable.Range(0, axis).Select(i => (long)i),
            .. Enumerable.Range(axis + indexRank, rank - axis - 1).Select(i => (long)i)];
        Value front = g.Transpose(x, toFront);
        Value sum = g.Op("ScatterND", [g.Filled(0, front), g.Unsqueeze(indices, -1), g.Transpose(dy, rows)], ("reduction", "add"));
        return [GraphBuilder.Like(g.Transpose(GraphBuilder.Like(sum, front), back), x)];
    }

    // One known position: zeros before and behind, no scatter.
    private static Value Placed(GraphBuilder g, Value x, Value row, int axis, long at)
    {
        int rank = x.Shape!.Rank;
        long[] pads = new long[2 * rank];
        if (x.Shape[axis].Known is long size)
        {
            pads[axis] = at < 0 ? at + size : at;
            pads[rank + axis] = size - 1 - pads[axis];
            return GraphBuilder.Like(g.Op("Pad", [row, g.Ints(pads)]), x);
        }
        Value last = g.Sub(g.DimOf(x, axis), g.Ints(1));
        Value before = at < 0 ? g.Add(last, g.Ints(at + 1)) : g.Ints(at);
        Value after = at < 0 ? g.Ints(-at - 1) : g.Sub(last, g.Ints(at));
        var parts = new Value[2 * rank];
        Array.Fill(parts, g.Ints(0));
        parts[axis] = before;
        parts[rank + axis] = after;
        return GraphBuilder.Like(g.Op("Pad", [row, g.Concat(0, parts)]), x);
    }

    private static Value?[] GatherElements(GraphBuilder g, Forward op, Value dy) =>
        [GraphBuilder.Like(g.Op("ScatterElements", [g.Filled(0, op.In(0)), op.In(1), dy], ("axis", op.Axis("axis", 0)), ("reduction", "add")), op.In(0))];

    private static Value?[] GatherND(GraphBuilder g, Forward op, Value dy)
    {
        if (op.Node.Int("batch_dims", 0) != 0)
            throw new UnsupportedGradientException($"Node {op.Node.Label} has batch_dims = {op.Node.Int("batch_dims", 0)}, which has no gradient rule yet; batch_dims = 0 has.");
        return [GraphBuilder.Like(g.Op("ScatterND", [g.Filled(0, op.In(0)), op.In(1), dy], ("reduction", "add")), op.In(0))];
    }

    private static Value?[] Trilu(GraphBuilder g, Forward op, Value dy) =>
        [g.Op("Trilu", [dy, op.TryIn(1)], ("upper", op.Node.Int("upper", 1)))];
}
