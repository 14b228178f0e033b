using OrtCpr.Graph;

namespace OrtCpr.Tests.Gradients;

internal static partial class RuleCases
{
    /// <summary>Heads of width 4; 3 queries, 5 keys, 2 sequences.</summary>
    private static RuleCase[] Attentions =>
    [
        Onnx([X(2, 2, 3, 4), X(2, 2, 5, 4), X(2, 2, 5, 3)]),
        Onnx([X(2, 3, 8), X(2, 5, 8), X(2, 5, 6)], ("q_num_heads", 2), ("kv_num_heads", 2), ("scale", 0.3f)),
        Onnx([X(2, 4, 3, 4), X(2, 2, 5, 4), X(2, 2, 5, 4), X(3, 5)], ("softcap", 1.5f)),
        Onnx([X(2, 3, 16), X(2, 3, 8), X(2, 3, 8)], ("q_num_heads", 4), ("kv_num_heads", 2), ("is_causal", 1)),
        Onnx([X(2, 2, 3, 4), X(2, 2, 3, 4), X(2, 2, 3, 4), X(2, 1, 3, 5), X(2, 2, 2, 4), X(2, 2, 2, 4)]) with { Outputs = 3 },
        Onnx([X(2, 2, 3, 4), X(2, 2, 3, 4), X(2, 2, 3, 4), null, X(2, 2, 2, 4), X(2, 2, 2, 4)], ("is_causal", 1)) with { Outputs = 3 },
        Onnx([X(2, 2, 3, 4), X(2, 2, 5, 4), X(2, 2, 5, 4), Bools([3, 5], 1, 0, 1, 1, 0, 0, 1, 1, 0, 1, 1, 1, 0, 0, 1)]),
        .. new[] { 0, 1, 2, 3 }.Select(mode =>
            Onnx([X(2, 2, 3, 4), X(2, 2, 5, 4), X(2, 2, 5, 4), X(2, 1, 3, 5)], ("qk_matmul_output_mode", mode)) with
            { Outputs = 4, Of = [0, 3] }),
        .. new[] { 0, 1, 2, 3 }.Select(mode =>
            Onnx([X(2, 2, 3, 4), X(2, 2, 5, 4), X(2, 2, 5, 4), X(2, 1, 3, 5)], ("qk_matmul_output_mode", mode), ("softcap", 1.5f)) with
            { Outputs = 4, Of = [0, 3] }),
        Onnx([X(2, 2, 3, 4), X(2, 2, 5, 4), X(2, 2, 5, 4), X(3, 4)]) with { Opset = 24 },
        Onnx([X(2, 2, 3, 4), X(2, 2, 5, 4), X(2, 2, 5, 4), null, null, null, Fed(Ints(5, 3))]) with { Opset = 24 },

        Case("com.microsoft.MultiHeadAttention", [X(2, 3, 8), X(2, 5, 8), X(2, 5, 6)], ("num_heads", 2), ("scale", 0.4f)),
        Case("com.microsoft.MultiHeadAttention", [X(2, 3, 8), X(2, 5, 8), X(2, 5, 8), X(24), null, X(2, 2, 3, 5)], ("num_heads", 2)),
        Case("com.microsoft.MultiHeadAttention", [X(2, 3, 8), X(2, 3, 8), X(2, 3, 8), null, Mask([2, 3], 1, 1, 0, 1, 1, 1)],
            ("num_heads", 2), ("unidirectional", 1)),
        Case("com.microsoft.MultiHeadAttention", [X(2, 3, 8), X(2, 2, 5, 4), X(2, 2, 5, 4)], ("num_heads", 2)),
        Case("com.microsoft.MultiHeadAttention", [X(2, 3, 8), X(2, 3, 8), X(2, 3, 8), null, null, null, X(2, 2, 2, 4), X(2, 2, 2, 4)],
            ("num_heads", 2)) with { Outputs = 3 },

        Case("com.microsoft.DecoderMaskedMultiHeadAttention", [X(2, 1, 8), X(2, 2, 5, 4), X(2, 2, 5, 4)], ("num_heads", 2)),
        Case("com.microsoft.MRotaryEmbedding",
            [X(2, 2, 3, 12), Fed(Ints([3, 2, 3], [0, 1, 2, 5, 1, 1, 3, 2, 1, 0, 0, 4, 5, 4, 3, 2, 1, 0])), X(6, 6), X(6, 6)],
            ("mrope_section", new long[] { 3, 2, 1 })),
        Case("com.microsoft.MRotaryEmbedding",
            [X(2, 3, 24), Fed(Ints([3, 2, 3], [0, 1, 2, 5, 1, 1, 3, 2, 1, 0, 0, 4, 5, 4, 3, 2, 1, 0])), X(6, 6), X(6, 6)],
            ("mrope_section", new long[] { 2, 2, 2 }), ("mrope_layout", 1), ("num_heads", 2), ("interleaved", 1)),

        Case("com.microsoft.Attention", [X(2, 3, 5), X(5, 24), X(24)], ("num_heads", 2)),
        Case("com.microsoft.Attention", [X(2, 3, 5), X(5, 24), X(24), Mask([2, 3], 1, 1, 0, 1, 1, 1)], ("num_heads", 2),
            ("unidirectional", 1)),
        Case("com.microsoft.Attention", [X(2, 3, 5), X(5, 24), X(24), Mask([2], 2, 3)], ("num_heads", 2), ("scale", 0.4f)),
        Case("com.microsoft.Attention",
            [X(2, 3, 5), X(5, 22), X(22), Mask([2, 3, 3], 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1, 0, 1), null, X(2, 2, 3, 3)],
            ("num_heads", 2), ("qkv_hidden_sizes", new long[] { 8, 8, 6 })),
        Case("com.microsoft.Attention", [X(2, 3, 5), X(5, 24), X(24), null, X(2, 2, 2, 2, 4)], ("num_heads", 2), ("unidirectional", 1)) with
            { Outputs = 2 },

        Group([X(2, 3, 32), X(2, 3, 16), X(2, 3, 16)], []),
        Group([X(2, 3, 64), null, null], [], ("scale", 0.4f), ("softcap", 1.5f)),
        Group([X(2, 3, 32), X(2, 3, 16), X(2, 3, 16)], [], ("local_window_size", 2)),
        Group([X(2, 3, 128), null, null], [Fed(X(6, 8)), Fed(X(6, 8))], ("do_rotary", 1)),
        Group([X(2, 3, 128), null, null], [Fed(X(6, 8)), Fed(X(6, 8))], ("do_rotary", 1), ("rotary_interleaved", 1)),
        // Tables for half of each head.
        Group([X(2, 3, 256), null, null], [Fed(X(6, 8)), Fed(X(6, 8))], ("do_rotary", 1)),

        Case("RotaryEmbedding", [X(2, 2, 3, 4), X(6, 2), X(6, 2), Fed(Ints([2, 3], [0, 1, 2, 5, 1, 1]))]) with { Opset = 23 },
        Case("RotaryEmbedding", [X(2, 3, 12), X(2, 3, 2), X(2, 3, 2)], ("num_heads", 2), ("rotary_embedding_dim", 4)) with { Opset = 23 },
        Case("RotaryEmbedding", [X(2, 2, 3, 6), X(6, 2), X(6, 2), Fed(Ints([2, 3], [0, 1, 2, 5, 1, 1]))], ("interleaved", 1),
            ("rotary_embedding_dim", 4)) with { Opset = 23 },
        Case("com.microsoft.RotaryEmbedding", [X(2, 3, 8), Fed(Ints([2, 3], [0, 1, 2, 5, 1, 1])), X(6, 2), X(6, 2)]),
        Case("com.microsoft.RotaryEmbedding", [X(2, 2, 3, 4), Fed(Ints(2)), X(6, 2), X(6, 2)], ("interleaved", 1)),
    ];

    private static RuleCase Onnx(Feed?[] inputs, params (string Name, object Value)[] attributes) =>
        Case("Attention", inputs, attributes) with { Opset = 23 };

    /// <summary>4 heads over 2, no past: query, key, value, past_key, past_value, seqlens_k, total_sequence_length,
    /// cos_cache, sin_cache.</summary>
    private static RuleCase Group(Feed?[] operands, Feed?[] tables, params (string Name, object Value)[] attributes) =>
        Case("com.microsoft.GroupQueryAttention",
            [.. operands, null, null, Mask([2], 2, 2), Mask([], 3) with { Constant = true }, .. tables],
            [("num_heads", 4), ("kv_num_heads", 2), .. attributes]) with
        { Outputs = 3, Of = [0] };

    private static Feed Mask(long[] shape, params long[] values) => Fed(Ints(shape, values)) with { Type = ElementType.Int32 };
}
