using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>com.microsoft SparseAttention: causal attention over a cache, under a mask of blocks that compressed rows
/// describe (one layout for every L-th head). The kernel demands one buffer for the cache before and after. Written out
/// they are two values, so that both have gradients.</summary>
internal static class SparseAttentionDecomposition
{
    public static readonly IReadOnlyDictionary<string, Decomposition> Table = new Dictionary<string, Decomposition>(StringComparer.Ordinal)
    {
        ["com.microsoft.SparseAttention"] = Write,
    };

    private static Value?[] Write(GraphBuilder g, Node node)
    {
        int heads = (int)node.Int("num_heads", 0), keyHeads = (int)node.Int("kv_num_heads", 0);
        (Term q, Term k, Term v) = Operands(g, node, heads, keyHeads);
        Term positions = g.DimOf(q, 1), total = g.Cast(g.Reshape(node.Inputs[7]!, 1), ElementType.Int64);
        Term lengths = g.Cast(node.Inputs[8]!, ElementType.Int64);
        // As many new positions as there are in all is a prompt: it starts at 0, whatever is padded at its end. Else
        // the new ones are each sequence's last.
        Term start = g.Where(g.Equal(total, positions), g.Ints(0), lengths - positions);
        Term at = g.Unsqueeze(start, 1) + g.Positions(positions);
        if (node.Int("do_rotary", 0) != 0)
        {
            Term Turn(Value x) =>
                RotaryDecompositions.RotateFirst(g, x, at, node.Inputs[9]!, node.Inputs[10]!, node.Int("rotary_interleaved", 0) != 0, 1);
            (q, k) = (Turn(q), Turn(k));
        }
        Term index = Positions(g, q, at), keys = Written(g, node.Inputs[3]!, index, k), values = Written(g, node.Inputs[4]!, index, v);
        Term Used(Value cache) => g.Op("Slice", [cache, g.Ints(0), total, g.Ints(2)]);
        var core = new AttentionCore(g, g.Transpose(q, 0, 2, 1, 3), Used(keys), Used(values))
        { Scale = node.Float("scale", 0) is float scale and not 0 ? scale : null };
        core.Keep(Blocks(g, node, at, total, heads));
        // Below what the layout masks: a query without any block attends to all it may see, as in the kernel, and never
        // to what lies ahead.
        core.Filter(core.KeyPositions <= g.Unsqueeze(at, 1, 3), double.NegativeInfinity);
        return [AttentionDecompositions.Merge(g, core.Result()), keys, values];
    }

    /// <summary>[batch, positions, heads, width] each.</summary>
    private static (Term, Term, Term) Operands(GraphBuilder g, Node node, int heads, int keyHeads)
    {
        Term Apart(Value x, long count) => g.Reshape(x, g.Concat(0, g.DimOf(x, 0), g.DimOf(x, 1), g.Ints(count, -1)));
        if (node.In(1) is Value key) return (Apart(node.Inputs[0]!, heads), Apart(key, keyHeads), Apart(node.Inputs[2]!, keyHeads));
        Term[] parts = g.Ops("Split", 3, [Apart(node.Inputs[0]!, heads + (2 * keyHeads)), g.Ints(heads, keyHeads, keyHeads)], ("axis", 2));
        return (parts[0], parts[1], parts[2]);
    }

    /// <summary>Where the new positions go: sequence and position in the cache, [batch, positions, 2].</summary>
    private static Term Positions(GraphBuilder g, Value q, Value at)
    {
        Term batch = g.DimOf(q, 0), sequences = g.Reshape(g.Positions(batch), -1, 1, 1);
        return g.Concat(-1, g.Op("Expand", [sequences, g.Concat(0, batch, g.DimOf(q, 1), g.Ints(1))]), g.Unsqueeze(at, 2));
    }

    /// <summary>The cache [batch, heads, capacity, width] with new positions [batch, positions, heads, width] in
    /// it.</summary>
    private static Term Written(GraphBuilder g, Value past, Value index, Value x)
    {
        Term rows = g.Transpose(past, 0, 2, 1, 3);
        return g.Transpose(g.Op("ScatterND", [rows, index, x]).Like(rows), 0, 2, 1, 3).Like(past);
    }

    /// <summary>Which keys the layouts let a query see: [batch, heads or 1, positions, keys].</summary>
    private static Term Blocks(GraphBuilder g, Node node, Term at, Value total, int heads)
    {
        Term block = g.Int(node.Int("sparse_block_size", 0));
        Term layout = Layout(g, g.Cast(node.Inputs[5]!, ElementType.Int64), g.Cast(node.Inputs[6]!, ElementType.Int64));
        Term rows = g.Gather(layout, at / block, 1), keys = g.Gather(rows, g.Positions(total) / block, 3);
        Term seen = g.Transpose(keys, 1, 0, 2, 3);
        Dim layouts = node.Inputs[5]!.Shape?[0] ?? Dim.Unknown;
        if (layouts.Known is long n && (n == 1 || n == heads)) return seen;
        return g.Op("Tile", [seen, g.Concat(0, g.Ints(1), g.Ints(heads) / g.DimOf(node.Inputs[5]!, 0), g.Ints(1, 1))]);
    }

    /// <summary>Compressed rows as [layouts, blocks, blocks]. starts: [layouts, blocks + 1]; columns: [layouts, n],
    /// padded at the end.</summary>
    private static Term Layout(GraphBuilder g, Value starts, Value columns)
    {
        Term layouts = g.DimOf(starts, 0), count = g.DimOf(starts, 1) - g.Ints(1);
        Term begins = g.Slice(starts, [0], [-1], [1]), ends = g.Slice(starts, [1], [long.MaxValue], [1]);
        // The row of an entry is the number of rows that end at it or before; padding gets into one row more than there are.
        Term row = g.ReduceSum(g.Cast(g.Unsqueeze(ends, 2) <= g.Positions(g.DimOf(columns, 1)), ElementType.Int64), false, 1);
        Term place = row * count + g.Max(columns, 0);
        Term none = g.FilledOf(0, g.Concat(0, layouts, (count + g.Ints(1)) * count), ElementType.Int32);
        Term flat = g.Op("ScatterElements", [none, place, g.FilledOf(1, g.Op("Shape", [place]), ElementType.Int32)], ("axis", 1));
        Term square = g.Op("Slice", [g.Reshape(flat, g.Concat(0, layouts, g.Ints(-1), count)), g.Ints(0), count, g.Ints(1)]);
        // The kernel takes a row, or a layout, with as many blocks as causality allows for a dense one, whichever
        // blocks they are.
        Term diagonal = g.Positions(count) + 1, half = count * (count + g.Ints(1)) / g.Ints(2);
        Term dense = g.Equal(ends - begins, diagonal) | (g.Slice(starts, [-1], [long.MaxValue], [1]) >= half);
        return g.Cast(square, ElementType.Bool) | g.Unsqueeze(dense, 2);
    }
}
