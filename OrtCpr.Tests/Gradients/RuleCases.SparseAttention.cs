namespace OrtCpr.Tests.Gradients;

internal static partial class RuleCases
{
    /// <summary>Blocks of 2 positions. Lower triangles of 3 × 3 blocks: (0) (1) (0, 2) or (0) (0, 1) (1), and the whole
    /// one.</summary>
    internal static (long[] Rows, long[] Columns) Local => ([0, 1, 2, 4], [0, 1, 0, 2]);

    internal static (long[] Rows, long[] Columns) Strided => ([0, 1, 3, 4], [0, 0, 1, 1]);

    private static (long[] Rows, long[] Columns) Whole => ([0, 1, 3, 6], [0, 0, 1, 0, 1, 2]);

    private static RuleCase[] SparseAttentions =>
    [
        // Prompts, of which the cache that comes in is kept behind the last position.
        Sparse(5, 6, [Local], [X(2, 5, 32), X(2, 5, 16), X(2, 5, 16)]),
        Sparse(6, 7, [Local, Strided], [X(2, 6, 32), X(2, 6, 16), X(2, 6, 16)], ("scale", 0.3f)),
        Sparse(4, 6, [Strided, Whole, Local, Local], [X(2, 4, 64), null, null]),
        Sparse(5, 5, [Whole], [X(2, 5, 32), X(2, 5, 16), X(2, 5, 16)]),
        // One position more, then two.
        Sparse(6, 6, [Local, Strided], [X(2, 1, 32), X(2, 1, 16), X(2, 1, 16)]),
        Sparse(5, 6, [Strided], [X(2, 2, 64), null, null]),
        // A query in the third row of blocks, which has none, sees everything before it.
        Sparse(5, 6, [([0, 1, 2, 2], [0, 0, -1])], [X(2, 1, 32), X(2, 1, 16), X(2, 1, 16)]),
        // As many blocks in a row as causality allows make it a dense one, whichever they are; so does their number in a layout.
        Sparse(5, 6, [([0, 1, 3, 4], [0, 1, 2, 0]), ([0, 1, 2, 6], [0, 1, 0, 1, 2, 0])], [X(2, 5, 32), X(2, 5, 16), X(2, 5, 16)]),
        // Tables for the whole head and for half of it.
        Sparse(4, 6, [Local], [X(2, 4, 64), X(2, 4, 32), X(2, 4, 32), X(6, 8), X(6, 8)], ("do_rotary", 1)),
        Sparse(6, 6, [Local], [X(2, 1, 128), X(2, 1, 64), X(2, 1, 64), X(6, 8), X(6, 8)], ("do_rotary", 1), ("rotary_interleaved", 1)),
        Sparse(5, 6, [Strided], [X(2, 2, 128), null, null, X(6, 8), X(6, 8)], ("do_rotary", 1)),
    ];

    /// <summary>4 heads over 2, 2 sequences of one length: with two lengths in a batch the kernel weighs values by
    /// other sequences' probabilities (SparseAttentionTests). Operands: query, key, value (or one tensor of all), and
    /// tables.</summary>
    internal static RuleCase Sparse(long total, long capacity, (long[] Rows, long[] Columns)[] layouts, Feed?[] operands,
        params (string Name, object Value)[] attributes)
    {
        long width = operands[1] is Feed key ? key.Shape[2] / 2 : operands[0]!.Shape[2] / 8;
        int columns = layouts.Max(l => l.Columns.Length);
        Feed rows = Mask([layouts.Length, 4], [.. layouts.SelectMany(l => l.Rows)]);
        Feed blocks =
            Mask([layouts.Length, columns],
                [.. layouts.SelectMany(l => l.Columns.Concat(Enumerable.Repeat(-1L, columns - l.Columns.Length)))]);
        Feed?[] inputs = [.. operands.Take(3), X(2, 2, capacity, width), X(2, 2, capacity, width), rows, blocks, Mask([1], total),
            Mask([2], total, total), .. operands.Skip(3)];
        return Case("com.microsoft.SparseAttention", inputs,
            [("num_heads", 4), ("kv_num_heads", 2), ("sparse_block_size", 2), .. attributes]) with
        { Outputs = 3, Shared = [(3, 1), (4, 2)] };
    }
}
