namespace OrtCpr.Tests.Gradients;

internal static partial class RuleCases
{
    private static RuleCase[] Losses =>
    [
        Case("NegativeLogLikelihoodLoss", [X(3, 4), Ints(0, 3, 1)]),
        Case("NegativeLogLikelihoodLoss", [X(2, 4, 3), Ints([2, 3], [0, 3, 1, 2, 2, 0]), Fixed(Between(0.5, 2, 4))], ("reduction", "none")),
        Case("NegativeLogLikelihoodLoss", [X(3, 4), Ints(0, -7, 1), Fixed(Between(0.5, 2, 4))], ("ignore_index", -7)),
        Case("SoftmaxCrossEntropyLoss", [X(3, 4), Ints(0, 3, 1)], ("reduction", "sum")),
        Case("SoftmaxCrossEntropyLoss", [X(2, 4, 3), Ints([2, 3], [0, 3, 1, 2, 9, 0]), Fixed(Between(0.5, 2, 4))], ("ignore_index", 9)) with { Outputs = 2 },
        Case("SoftmaxCrossEntropyLoss", [X(2, 4, 2, 2), Ints([2, 2, 2], [0, 3, 1, 2, 2, 0, 1, 1])], ("reduction", "none")) with { Of = [0] },
        Case("SoftmaxCrossEntropyLoss", [X(3, 4), Ints(0, 3, 1)]) with { Outputs = 2, Of = [1] },
    ];

    private static RuleCase[] LinearAlgebra =>
    [
        Case("Det", X(2, 3, 3)),
        Case("Det", Exactly([3, 3], 1, 2, 3, 2, 4, 6, 0, 1, 1)),
        Case("Det", X(2, 1, 1)),
        Case("com.microsoft.Inverse", Exactly([2, 2, 2], 2, 0.5, -0.3, 1, 1, 0.2, 0.4, -2)),
        Case("com.microsoft.CDist", [X(3, 4), X(2, 4)], ("metric", "euclidean")),
        Case("com.microsoft.CDist", [X(3, 4), X(2, 4)], ("metric", "sqeuclidean")),
        Case("AffineGrid", [X(2, 2, 3), Ints(2, 3, 4, 5)]) with { Opset = 20 },
        Case("AffineGrid", [X(2, 3, 4), Ints(2, 1, 2, 3, 4)], ("align_corners", 1)) with { Opset = 20 },
    ];

    private static RuleCase[] Sampling =>
    [
        .. new[] { "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric" }.SelectMany(Resizes),
        .. new[] { "floor", "ceil", "round_prefer_ceil" }.Select(m => Case("Resize", [X(1, 2, 5, 4), null, null, Ints(1, 2, 3, 7)], ("mode", "nearest"), ("nearest_mode", m))),
        Case("Resize", [X(1, 2, 5, 4), Fixed(Exactly([8], 0, 0, 0.2, -0.1, 1, 1, 0.9, 1.3)), null, Ints(1, 2, 6, 5)],
            ("mode", "linear"), ("coordinate_transformation_mode", "tf_crop_and_resize"), ("extrapolation_value", 2f)),
        Case("Resize", [X(1, 2, 6, 5), null, Fixed(Exactly([2], 0.5, 0.7))], ("mode", "linear"), ("antialias", 1), ("axes", new long[] { 2, 3 })),
        Case("Resize", [X(1, 2, 6, 5), null, Fixed(Exactly([2], 0.5, 0.7))], ("mode", "cubic"), ("antialias", 1), ("axes", new long[] { 3, 2 })),
        Case("Resize", [X(1, 1, 6, 5), null, null, Ints(3, 4)], ("mode", "cubic"), ("antialias", 1), ("exclude_outside", 1), ("axes", new long[] { -2, -1 })),
        Case("Resize", [X(2, 5), null, null, Ints(4, 3)], ("mode", "linear")),
        Case("Resize", [X(1, 2, 3, 2, 4), null, Fixed(Exactly([5], 1, 1, 2, 1.5, 2))], ("mode", "linear")),
        Case("Resize", [X(1, 2, 4, 6), null, null, Ints(3, 4)], ("mode", "linear"), ("axes", new long[] { 2, 3 }), ("keep_aspect_ratio_policy", "not_larger")),
        Case("Resize", [X(1, 2, 4, 6), null, null, Ints(3, 7)], ("mode", "linear"), ("axes", new long[] { 2, 3 }), ("keep_aspect_ratio_policy", "not_smaller")),
        Case("Resize", [X(1, 2, 5, 4), Fixed(Exactly([4], 1, 1, 2.4, 0.6))], ("mode", "nearest")) with { Opset = 10 },
        Case("Upsample", [X(1, 2, 3, 4), Fixed(Exactly([4], 1, 1, 2, 3))], ("mode", "linear")) with { Opset = 9 },
        .. new[] { "zeros", "border", "reflection" }.SelectMany(p => new[] { 0, 1 }.SelectMany(a => Grids(p, a))),
        Case("com.microsoft.GridSample", [X(1, 2, 4, 5), Between(-1.3, 1.3, 1, 3, 2, 2)], ("mode", "bilinear"), ("padding_mode", "reflection")),
        Case("GridSample", [X(1, 2, 3, 4, 3), Between(-1.2, 1.2, 1, 2, 2, 2, 3)]) with { Opset = 20 },
        Case("GridSample", [X(1, 2, 3, 4, 3), Between(-1.2, 1.2, 1, 2, 2, 2, 3)], ("mode", "nearest"), ("align_corners", 1)) with { Opset = 20 },
    ];

    private static IEnumerable<RuleCase> Resizes(string coordinates)
    {
        Feed x = X(1, 2, 5, 4), scales = Fixed(Exactly([4], 1, 1, 2.4, 0.6));
        yield return Case("Resize", [x, null, scales], ("mode", "nearest"), ("coordinate_transformation_mode", coordinates));
        yield return Case("Resize", [x, null, Fed(scales)], ("mode", "linear"), ("coordinate_transformation_mode", coordinates));
        yield return Case("Resize", [x, null, null, Ints(1, 2, 7, 3)], ("mode", "cubic"), ("coordinate_transformation_mode", coordinates), ("cubic_coeff_a", -0.5f));
        yield return Case("Resize", [x, null, scales], ("mode", "cubic"), ("coordinate_transformation_mode", coordinates), ("exclude_outside", 1));
    }

    private static IEnumerable<RuleCase> Grids(string padding, int corners)
    {
        foreach (string mode in new[] { "bilinear", "nearest", "bicubic" })
            yield return Case("GridSample", [X(2, 2, 4, 5), Between(-1.4, 1.4, 2, 3, 2, 2)], ("mode", mode), ("padding_mode", padding), ("align_corners", corners)) with { Opset = 16 };
    }
}
