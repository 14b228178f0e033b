using OrtCpr.Graph;

namespace OrtCpr.Tests.Gradients;

internal static partial class RuleCases
{
    private static RuleCase[] Fused =>
    [
        Case("com.microsoft.SkipLayerNormalization", [X(2, 3, 4), X(2, 3, 4), X(4), X(4), X(4)], ("epsilon", 1e-3f)) with
            { Outputs = 4, Of = [0, 3] },
        Case("com.microsoft.SkipLayerNormalization", [X(2, 3, 4), X(1, 3, 4), X(4)], ("epsilon", 1e-3f)),
        Case("com.microsoft.SkipSimplifiedLayerNormalization", [X(2, 3, 4), X(3, 4), X(4), X(4)], ("epsilon", 1e-3f)) with
            { Outputs = 4, Of = [0, 3] },
        Case("com.microsoft.EmbedLayerNormalization",
            [Mask([2, 3], 0, 4, 2, 1, 1, 0), Mask([2, 3], 0, 1, 1, 0, 0, 1), X(5, 4), X(6, 4), X(2, 4), X(4), X(4),
                Mask([2, 3], 1, 1, 0, 1, 1, 1)], ("epsilon", 1e-3f)) with { Outputs = 3, Of = [0, 2], StaticOnly = true },
        Case("com.microsoft.EmbedLayerNormalization",
            [Mask([2, 3], 0, 4, 2, 1, 1, 0), null, X(5, 4), X(6, 4), null, X(4), X(4), null, Mask([2, 3], 0, 1, 3, 5, 5, 1)],
            ("epsilon", 1e-3f)) with { Outputs = 2, Of = [0], StaticOnly = true },
        // 3 words of up to 5 characters, windows of 3 and of 1; the second word is shorter than the window.
        .. new[] { 3, 1 }.Select(width =>
            Case(
                "com.microsoft.WordConvEmbedding",
                [Mask([3, 5], 4, 2, 1, 3, 0, 5, 1, 0, 0, 0, 2, 3, 1, 1, 4), X(4, 1, width, 2), X(4), X(6, 2)]) with { FloatOnly = true }),
        Case("com.microsoft.TransposeMatMul", [X(2, 4, 3), X(2, 5, 4)], ("transA", 1), ("transB", 1), ("alpha", 0.5f)),
        Case("com.microsoft.FusedMatMul", [X(3, 2, 4), X(2, 4, 5)], ("transBatchA", 1)),
        Case("com.microsoft.FusedMatMul", [X(4, 2, 3), X(5, 2, 4)], ("transBatchA", 1), ("transA", 1), ("transBatchB", 1), ("transB", 1),
            ("alpha", 2f)),
        Case("com.microsoft.FusedMatMul", [X(2, 3, 4), X(4, 2, 5)], ("transBatchB", 1)),
        // 3 columns of 20 numbers, in 2 blocks of 16.
        Case("com.microsoft.MatMulNBits", [X(2, 4, 20), Bytes(3, 2, 8), Fixed(Between(0.1, 0.3, 3, 2))], ("N", 3), ("K", 20), ("bits", 4),
            ("block_size", 16)) with { FloatOnly = true },
        Case("com.microsoft.MatMulNBits", [X(4, 20), Bytes(3, 2, 8), Fixed(Between(0.1, 0.3, 3, 2)), Bytes(3, 1), null, X(3)], ("N", 3),
            ("K", 20), ("bits", 4), ("block_size", 16)) with { FloatOnly = true, StaticOnly = true },
        Case("com.microsoft.MatMulNBits", [X(4, 32), Bytes(3, 2, 16), Fixed(Between(0.01, 0.03, 3, 2)), Bytes(3, 2)], ("N", 3), ("K", 32),
            ("bits", 8), ("block_size", 16)) with { FloatOnly = true },
        Case("com.microsoft.MatMulBnb4", [X(2, 3, 32), Bytes(64), Fixed(Between(0.5, 1.5, 4))], ("N", 4), ("K", 32), ("block_size", 32),
            ("quant_type", 1)) with { FloatOnly = true },
        Case(
            "com.microsoft.MatMulIntegerToFloat",
            [Bytes(2, 4), Bytes(4, 3), Fixed(Between(0.01, 0.02, 1)), Fixed(Between(0.01, 0.02, 3)), null, null, X(3)]) with
            { FloatOnly = true },
    ];

    private static Feed Bytes(params long[] shape) => Fixed(Between(0, 256, shape)) with { Type = ElementType.UInt8 };
}
