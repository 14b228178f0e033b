namespace OrtCpr.Tests.Gradients;

internal static partial class RuleCases
{
    private static RuleCase[] Matrices =>
    [
        Case("MatMul", [X(2, 3, 4), X(4, 5)]),
        Case("MatMul", [X(3), X(2, 3, 4)]),
        Case("MatMul", [X(2, 1, 3, 4), X(5, 4, 2)]),
        Case("com.microsoft.FusedMatMul", [X(2, 4, 3), X(2, 5, 4)], ("transA", 1), ("transB", 1), ("alpha", 0.5f)),
        Case("Gemm", [X(4, 3), X(5, 4), X(5)], ("transA", 1), ("transB", 1), ("alpha", 0.5f), ("beta", 2f)),
    ];

    private static RuleCase[] Convolutions =>
    [
        Case("Conv", [X(2, 4, 7), X(6, 2, 3), X(6)], ("group", 2), ("strides", new long[] { 2 }), ("pads", new long[] { 1, 0 })),
        Case("Conv", [X(1, 2, 6, 5), X(3, 2, 3, 2)], ("dilations", new long[] { 2, 1 }), ("pads", new long[] { 1, 1, 2, 0 })),
        Case("Conv", [X(1, 2, 5, 6), X(3, 2, 3, 2), X(3)], ("auto_pad", "SAME_LOWER"), ("kernel_shape", new long[] { 3, 2 })),
        Case("Conv", [X(1, 2, 3, 4, 5), X(2, 2, 2, 2, 3)], ("strides", new long[] { 1, 2, 2 })),
    ];

    private static RuleCase[] Pools =>
    [
        Case("MaxPool", Between(-5, 5, 1, 2, 6, 5), ("kernel_shape", new long[] { 3, 2 }), ("strides", new long[] { 2, 1 }), ("pads", new long[] { 1, 0, 1, 1 })),
        Case("AveragePool", X(1, 2, 6, 5), ("kernel_shape", new long[] { 3, 2 }), ("strides", new long[] { 2, 1 }), ("pads", new long[] { 1, 0, 1, 1 })),
        Case("AveragePool", X(1, 2, 7), ("kernel_shape", new long[] { 3 }), ("strides", new long[] { 2 }), ("ceil_mode", 1), ("count_include_pad", 1)),
        Case("GlobalAveragePool", X(2, 3, 4, 5)),
    ];

    private static RuleCase[] Normalizations =>
    [
        Case("LayerNormalization", [X(2, 3, 4), X(4), X(4)], ("epsilon", 1e-3f)) with { Opset = 17, Outputs = 3 },
        Case("LayerNormalization", [X(2, 3, 4), X(3, 4)], ("axis", 1)) with { Opset = 17 },
        Case("BatchNormalization", [X(2, 3, 4), X(3), X(3), Fixed(X(3)), Fixed(Between(0.5, 2, 3))]),
    ];
}
