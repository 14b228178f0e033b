namespace OrtCpr.Tests.Gradients;

internal static partial class RuleCases
{
    private static RuleCase[] Matrices =>
    [
        Case("MatMul", [X(2, 3, 4), X(4, 5)]),
        Case("MatMul", [X(3), X(2, 3, 4)]),
        Case("MatMul", [X(2, 1, 3, 4), X(5, 4, 2)]),
        Case("com.microsoft.FusedMatMul", [X(2, 4, 3), X(2, 5, 4)], ("transA", 1), ("transB", 1), ("alpha", 0.5f)),
        Case("Einsum", [X(2, 3), X(3, 4)], ("equation", "ij,jk->ik")),
        Case("Einsum", [X(2, 3, 4), X(3, 4)], ("equation", "...ij,ij")),
        Case("Einsum", [X(3, 2, 4), X(1, 4, 5), X(5)], ("equation", "...ij,...jk,k->...i")),
        Case("Einsum", X(3, 3), ("equation", "ii->i")),
        Case("Einsum", X(2, 3, 3), ("equation", "bii -> b")),
        Case("Einsum", X(2, 3, 4), ("equation", "abc->b")),
        Case("Einsum", [X(2, 3, 3), X(3, 2)], ("equation", "Zii,iZ->Z")),
        Case("Einsum", [X(3, 2), X(2)], ("equation", "ba,a")),
        Case("Einsum", [X(2, 3), X(4)], ("equation", "ij,k->ki")),
        Case("Einsum", X(3, 2), ("equation", "ba")),
        Case("Gemm", [X(4, 3), X(5, 4), X(5)], ("transA", 1), ("transB", 1), ("alpha", 0.5f), ("beta", 2f)),
    ];

    private static RuleCase[] Convolutions =>
    [
        Case("Conv", [X(2, 4, 7), X(6, 2, 3), X(6)], ("group", 2), ("strides", new long[] { 2 }), ("pads", new long[] { 1, 0 })),
        Case("Conv", [X(1, 2, 6, 5), X(3, 2, 3, 2)], ("dilations", new long[] { 2, 1 }), ("pads", new long[] { 1, 1, 2, 0 })),
        Case("Conv", [X(1, 2, 5, 6), X(3, 2, 3, 2), X(3)], ("auto_pad", "SAME_LOWER"), ("kernel_shape", new long[] { 3, 2 })),
        Case("Conv", [X(1, 2, 3, 4, 5), X(2, 2, 2, 2, 3)], ("strides", new long[] { 1, 2, 2 })),
    ];

    private static RuleCase[] TransposedConvolutions =>
    [
        Case("Conv", [X(1, 2, 7), X(3, 2, 2)], ("auto_pad", "SAME_UPPER"), ("strides", new long[] { 3 })),
        Case("Conv", [X(1, 2, 5, 8), X(4, 1, 3, 2), X(4)], ("auto_pad", "SAME_LOWER"), ("strides", new long[] { 2, 3 }), ("group", 2)),
        Case("Conv", [X(1, 2, 5), X(3, 2, 3)], ("auto_pad", "VALID")),
        Case("ConvTranspose", [X(2, 3, 4), X(3, 2, 3), X(2)], ("strides", new long[] { 2 }), ("pads", new long[] { 1, 0 }),
            ("output_padding", new long[] { 1 })),
        Case("ConvTranspose", [X(2, 4, 3, 4), X(4, 3, 3, 2)], ("group", 2), ("dilations", new long[] { 2, 1 }),
            ("strides", new long[] { 1, 3 })),
        Case("ConvTranspose", [X(1, 2, 4, 3), X(2, 3, 3, 3), X(3)], ("auto_pad", "SAME_UPPER"), ("strides", new long[] { 2, 2 })),
        Case("ConvTranspose", [X(1, 2, 4, 3), X(2, 3, 3, 2)], ("auto_pad", "SAME_LOWER"), ("strides", new long[] { 2, 1 })),
        Case("ConvTranspose", [X(1, 2, 3, 3), X(2, 1, 3, 3)], ("output_shape", new long[] { 6, 5 }), ("strides", new long[] { 2, 2 })),
        Case("ConvTranspose", [X(1, 2, 2, 3, 2), X(2, 2, 2, 2, 3)], ("strides", new long[] { 2, 1, 2 }),
            ("pads", new long[] { 0, 1, 1, 1, 0, 0 })),
        Case("com.microsoft.ConvTransposeWithDynamicPads", [X(1, 2, 4, 3), X(2, 3, 3, 3), Ints(1, 0, 0, 1), X(3)],
            ("strides", new long[] { 2, 2 })),
        Case("com.microsoft.FusedConv", [X(1, 2, 5), X(3, 2, 2), X(3)], ("activation", "LeakyRelu"), ("activation_params", new[] { 0.2f })),
        Case("com.microsoft.FusedConv", [X(1, 2, 5), X(3, 2, 2), X(3), X(1, 3, 4)], ("activation", "Relu")),
        Case("com.microsoft.FusedConv", [X(1, 2, 5), X(3, 2, 2), X(3)], ("activation", "HardSigmoid"),
            ("activation_params", new[] { 0.3f, 0.4f })),
        Case("com.microsoft.FusedConv", [X(1, 2, 5), X(3, 2, 2)], ("activation", "Clip"), ("activation_params", new[] { -0.7f, 0.9f })),
        Case("com.microsoft.FusedGemm", [X(2, 3), X(4, 3), X(4)], ("transB", 1), ("activation", "Tanh"), ("alpha", 0.6f)),
        Case("com.microsoft.FusedGemm", [X(2, 3), X(3, 4), X(4)], ("activation", "LeakyRelu"), ("activation_alpha", 0.2f)),
    ];

    private static RuleCase[] Pools =>
    [
        Case("MaxPool", Between(-5, 5, 1, 2, 6, 5), ("kernel_shape", new long[] { 3, 2 }), ("strides", new long[] { 2, 1 }),
            ("pads", new long[] { 1, 0, 1, 1 })),
        Case("AveragePool", X(1, 2, 6, 5), ("kernel_shape", new long[] { 3, 2 }), ("strides", new long[] { 2, 1 }),
            ("pads", new long[] { 1, 0, 1, 1 })),
        Case("AveragePool", X(1, 2, 7), ("kernel_shape", new long[] { 3 }), ("strides", new long[] { 2 }), ("ceil_mode", 1),
            ("count_include_pad", 1)),
        Case("GlobalAveragePool", X(2, 3, 4, 5)),
        Case("GlobalMaxPool", X(2, 3, 4, 5)),
        Case("GlobalLpPool", X(2, 3, 4), ("p", 3)),
        Case("GlobalLpPool", X(2, 3, 4)),
        Case("MaxPool", Between(-5, 5, 1, 2, 7, 5), ("kernel_shape", new long[] { 2, 3 }), ("dilations", new long[] { 2, 1 }),
            ("ceil_mode", 1), ("strides", new long[] { 2, 2 })),
        Case("MaxPool", Between(-5, 5, 1, 2, 4, 5), ("kernel_shape", new long[] { 2, 2 }), ("storage_order", 1)) with { Outputs = 2 },
        Case("MaxPool", Between(-5, 5, 2, 2, 6), ("kernel_shape", new long[] { 3 }), ("auto_pad", "SAME_UPPER"),
            ("strides", new long[] { 2 })),
        Case("MaxPool", Between(-5, 5, 1, 1, 3, 4, 5), ("kernel_shape", new long[] { 2, 2, 2 })),
        Case("AveragePool", X(1, 2, 8), ("kernel_shape", new long[] { 3 }), ("strides", new long[] { 2 }), ("ceil_mode", 1),
            ("pads", new long[] { 1, 0 })),
        Case("AveragePool", X(1, 2, 8), ("kernel_shape", new long[] { 3 }), ("strides", new long[] { 2 }), ("ceil_mode", 1),
            ("count_include_pad", 1), ("pads", new long[] { 1, 0 })) with { Opset = 19 },
        Case("AveragePool", X(1, 2, 8), ("kernel_shape", new long[] { 3 }), ("strides", new long[] { 2 }), ("ceil_mode", 1),
            ("count_include_pad", 1), ("pads", new long[] { 1, 0 })),
        Case("AveragePool", X(1, 2, 7, 8), ("kernel_shape", new long[] { 2, 3 }), ("dilations", new long[] { 2, 1 }),
            ("pads", new long[] { 1, 0, 0, 2 })) with { Opset = 19 },
        Case("AveragePool", X(1, 2, 6), ("kernel_shape", new long[] { 3 }), ("auto_pad", "SAME_LOWER"), ("strides", new long[] { 2 })),
        Case("AveragePool", X(1, 1, 4, 5, 3), ("kernel_shape", new long[] { 2, 3, 2 }), ("count_include_pad", 1),
            ("pads", new long[] { 0, 1, 0, 1, 1, 0 })),
        Case("LpPool", X(1, 2, 6, 5), ("kernel_shape", new long[] { 3, 2 }), ("strides", new long[] { 2, 1 }),
            ("pads", new long[] { 1, 0, 1, 1 })),
        Case("LpPool", X(1, 2, 7), ("kernel_shape", new long[] { 3 }), ("p", 3), ("ceil_mode", 1), ("strides", new long[] { 2 }),
            ("dilations", new long[] { 1 })),
        Case("LpPool", X(1, 2, 7), ("kernel_shape", new long[] { 2 }), ("p", 1), ("auto_pad", "SAME_UPPER")),
        Case("MaxUnpool", [X(1, 1, 2, 2), Ints([1, 1, 2, 2], [1, 3, 9, 15])], ("kernel_shape", new long[] { 2, 2 }),
            ("strides", new long[] { 2, 2 })),
        Case("MaxUnpool", [X(1, 1, 2, 2), Ints([1, 1, 2, 2], [1, 3, 9, 15]), Ints(1, 1, 5, 5)], ("kernel_shape", new long[] { 2, 2 }),
            ("strides", new long[] { 2, 2 })),
    ];

    private static RuleCase[] Normalizations =>
    [
        Case("LayerNormalization", [X(2, 3, 4), X(4), X(4)], ("epsilon", 1e-3f)) with { Opset = 17, Outputs = 3, FloatOnly = true },
        Case("LayerNormalization", [X(2, 3, 4), X(3, 4)], ("axis", 1)) with { Opset = 17 },
        Case("BatchNormalization", [X(2, 3), X(3), X(3), X(3), Between(0.5, 2, 3)]),
        Case("InstanceNormalization", [X(2, 3, 4, 2), X(3), X(3)], ("epsilon", 1e-3f)),
        Case("InstanceNormalization", [X(2, 3, 5), X(3), X(3)]),
        Case("GroupNormalization", [X(2, 6, 3), X(3), X(3)], ("num_groups", 3)),
        Case("GroupNormalization", [X(2, 6, 2, 3), X(6), X(6)], ("num_groups", 2), ("epsilon", 1e-3f)) with
            { Opset = 21, FloatOnly = true },
        Case("RMSNormalization", [X(2, 3, 4), X(3, 4)], ("axis", 1), ("epsilon", 1e-3f)) with { Opset = 23 },
        Case("RMSNormalization", [X(2, 4), X(4)]) with { Opset = 23 },
        Case("SimplifiedLayerNormalization", [X(2, 3, 4), X(4)], ("epsilon", 1e-3f)) with { Outputs = 2, FloatOnly = true },
        Case("MeanVarianceNormalization", X(2, 3, 4, 2)),
        Case("MeanVarianceNormalization", X(2, 3, 4, 2), ("axes", new long[] { 1, -1 })),
        Case("LpNormalization", X(2, 3, 4), ("axis", 1)),
        Case("LpNormalization", X(2, 3, 4), ("p", 1)),
        Case("LRN", X(2, 5, 3, 2), ("size", 3), ("alpha", 0.5f), ("bias", 1.5f)),
        Case("BatchNormalization", [X(2, 3, 4), X(3), X(3), Fixed(X(3)), Fixed(Between(0.5, 2, 3))]),
    ];
}
