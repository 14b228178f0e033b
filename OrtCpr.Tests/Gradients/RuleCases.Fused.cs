namespace OrtCpr.Tests.Gradients;

internal static partial class RuleCases
{
    private static RuleCase[] Fused =>
    [
        Case("com.microsoft.SkipLayerNormalization", [X(2, 3, 4), X(2, 3, 4), X(4), X(4), X(4)], ("epsilon", 1e-3f)) with { Outputs = 4, Of = [0, 3] },
        Case("com.microsoft.SkipLayerNormalization", [X(2, 3, 4), X(1, 3, 4), X(4)], ("epsilon", 1e-3f)),
        Case("com.microsoft.SkipSimplifiedLayerNormalization", [X(2, 3, 4), X(3, 4), X(4), X(4)], ("epsilon", 1e-3f)) with { Outputs = 4, Of = [0, 3] },
        Case("com.microsoft.EmbedLayerNormalization", [Mask([2, 3], 0, 4, 2, 1, 1, 0), Mask([2, 3], 0, 1, 1, 0, 0, 1), X(5, 4), X(6, 4), X(2, 4), X(4), X(4), Mask([2, 3], 1, 1, 0, 1, 1, 1)], ("epsilon", 1e-3f)) with { Outputs = 3, Of = [0, 2], StaticOnly = true },
        Case("com.microsoft.EmbedLayerNormalization", [Mask([2, 3], 0, 4, 2, 1, 1, 0), null, X(5, 4), X(6, 4), null, X(4), X(4), null, Mask([2, 3], 0, 1, 3, 5, 5, 1)], ("epsilon", 1e-3f)) with { Outputs = 2, Of = [0], StaticOnly = true },
        Case("com.microsoft.GatedAdd", [X(2, 3, 4), X(2, 3, 4), X(2, 3, 1)]),
    ];
}
