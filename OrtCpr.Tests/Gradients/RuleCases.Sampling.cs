namespace OrtCpr.Tests.Gradients;

internal static partial class RuleCases
{
    private static RuleCase[] Losses =>
    [
        Case("NegativeLogLikelihoodLoss", [X(3, 4), Ints(0, 3, 1)]),
        Case("NegativeLogLikelihoodLoss", [X(2, 4, 3), Ints([2, 3], [0, 3, 1, 2, 2, 0]), Fixed(Between(0.5, 2, 4))], ("reduction", "none")),
        Case("NegativeLogLikelihoodLoss", [X(3, 4), Ints(0, -7, 1), Fixed(Between(0.5, 2, 4))], ("ignore_index", -7)),
        Case("SoftmaxCrossEntropyLoss", [X(3, 4), Ints(0, 3, 1)], ("reduction", "sum")),
        Case("SoftmaxCrossEntropyLoss", [X(2, 4, 3), Ints([2, 3], [0, 3, 1, 2, 9, 0]), Fixed(Between(0.5, 2, 4))], ("ignore_index", 9)) with
            { Outputs = 2 },
        Case("SoftmaxCrossEntropyLoss", [X(2, 4, 2, 2), Ints([2, 2, 2], [0, 3, 1, 2, 2, 0, 1, 1])], ("reduction", "none")) with
            { Of = [0] },
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
        .. new[] { "floor", "ceil", "round_prefer_ceil" }.Select(m =>
            Case("Resize", [X(1, 2, 5, 4), null, null, Ints(1, 2, 3, 7)], ("mode", "nearest"), ("nearest_mode", m))),
        Case("Resize", [X(1, 2, 5, 4), Fixed(Exactly([8], 0, 0, 0.2, -0.1, 1, 1, 0.9, 1.3)), null, Ints(1, 2, 6, 5)],
            ("mode", "linear"), ("coordinate_transformation_mode", "tf_crop_and_resize"), ("extrapolation_value", 2f)),
        Case("Resize", [X(1, 2, 6, 5), null, Fixed(Exactly([2], 0.5, 0.7))], ("mode", "linear"), ("antialias", 1),
            ("axes", new long[] { 2, 3 })),
        Case("Resize", [X(1, 2, 6, 5), null, Fixed(Exactly([2], 0.5, 0.7))], ("mode", "cubic"), ("antialias", 1),
            ("axes", new long[] { 3, 2 })),
        Case("Resize", [X(1, 1, 6, 5), null, null, Ints(3, 4)], ("mode", "cubic"), ("antialias", 1), ("exclude_outside", 1),
            ("axes", new long[] { -2, -1 })),
        Case("Resize", [X(1, 2, 3, 4), null, Fixed(Exactly([4], 1, 1, 2, 3))], ("mode", "nearest"),
            ("coordinate_transformation_mode", "asymmetric"), ("nearest_mode", "floor")),
        Case("Resize", [X(1, 2, 3, 4), null, Fixed(Exactly([2], 3, 2))], ("mode", "nearest"), ("axes", new long[] { 2, -1 })),
        Case("Resize", [X(2, 5), null, null, Ints(4, 3)], ("mode", "linear")),
        Case("Resize", [X(1, 2, 3, 2, 4), null, Fixed(Exactly([5], 1, 1, 2, 1.5, 2))], ("mode", "linear")),
        Case("Resize", [X(1, 2, 4, 6), null, null, Ints(3, 4)], ("mode", "linear"), ("axes", new long[] { 2, 3 }),
            ("keep_aspect_ratio_policy", "not_larger")),
        Case("Resize", [X(1, 2, 4, 6), null, null, Ints(3, 7)], ("mode", "linear"), ("axes", new long[] { 2, 3 }),
            ("keep_aspect_ratio_policy", "not_smaller")),
        Case("Resize", [X(1, 2, 5, 4), Fixed(Exactly([4], 1, 1, 2.4, 0.6))], ("mode", "nearest")) with { Opset = 10 },
        Case("Upsample", [X(1, 2, 3, 4), Fixed(Exactly([4], 1, 1, 2, 3))], ("mode", "nearest")) with { Opset = 9 },
        Case("Upsample", [X(1, 2, 3, 4), Fixed(Exactly([4], 1, 1, 2, 3))], ("mode", "linear")) with { Opset = 9 },
        .. new[] { "zeros", "border", "reflection" }.SelectMany(p => new[] { 0, 1 }.SelectMany(a => Grids(p, a))),
        Case("com.microsoft.GridSample", [X(1, 2, 4, 5), Between(-1.3, 1.3, 1, 3, 2, 2)], ("mode", "bilinear"),
            ("padding_mode", "reflection")),
        Case("GridSample", [X(1, 2, 3, 4, 3), Between(-1.2, 1.2, 1, 2, 2, 2, 3)]) with { Opset = 20 },
        Case("GridSample", [X(1, 2, 3, 4, 3), Fed(Between(-1.2, 1.2, 1, 2, 2, 2, 3))], ("mode", "nearest"), ("align_corners", 1)) with
            { Opset = 20 },
    ];

    private static RuleCase[] Spectra =>
    [
        Case("DFT", X(2, 5, 1)) with { Opset = 17 },
        Case("DFT", X(2, 4, 3, 2), ("axis", 2), ("inverse", 1)) with { Opset = 17 },
        Case("DFT", [X(2, 6, 1), Int(4)], ("onesided", 1)) with { Opset = 18 },
        Case("DFT", [X(2, 5, 2), Int(7), Int(-2)]) with { Opset = 20 },
        Case("DFT", [X(6, 2, 1), null, Int(0)], ("onesided", 1)) with { Opset = 20 },
        Case("STFT", [X(2, 12, 1), Int(3), X(4)]),
        Case("STFT", [X(1, 9, 1), Int(2), X(5), Int(5)], ("onesided", 0)) with { Opset = 20 },
        Case("STFT", [X(1, 9, 1), Int(2), null, Int(4)]),
    ];

    private static RuleCase[] Regions =>
    [
        Case("RoiAlign", [X(2, 2, 5, 6), Fixed(Exactly([2, 4], 0.5, 1, 3.5, 4, -1.4, 0, 5.7, 2.2)), Ints(1, 0)], ("output_height", 2),
            ("output_width", 3), ("sampling_ratio", 2)),
        Case("RoiAlign", [X(2, 2, 5, 6), Fixed(Exactly([2, 4], 1, 2, 8, 9, 0, 0, 10, 3)), Ints(1, 0)], ("output_height", 2),
            ("output_width", 2), ("spatial_scale", 0.6f), ("coordinate_transformation_mode", "output_half_pixel")),
        Case("RoiAlign", [X(2, 2, 5, 6), Fixed(Exactly([2, 4], 0.5, 1, 3.5, 4, -1.4, 0, 5.7, 2.2)), Ints(1, 0)], ("output_height", 2),
            ("output_width", 3), ("mode", "max")),
        Case("MaxRoiPool", [X(2, 2, 5, 6), Fixed(Exactly([2, 5], 1, 0, 1, 4, 4, 0, 2, 0, 9, 2))], ("pooled_shape", new long[] { 2, 2 }),
            ("spatial_scale", 0.7f)),
        Case(
            "com.microsoft.CropAndResize",
            [X(2, 2, 5, 6), Fixed(Exactly([2, 4], 0.1, 0.2, 0.8, 0.9, -0.2, 0, 0.7, 1.1)), Ints(1, 0) with
                { Type = OrtCpr.Graph.ElementType.Int32 }, Ints(3, 4) with { Type = OrtCpr.Graph.ElementType.Int32 }]),
        Case("com.microsoft.CropAndResize",
            [X(1, 2, 5, 6), Fixed(Exactly([1, 4], 0.1, 0.2, 0.8, 0.93)), Ints(0) with
                { Type = OrtCpr.Graph.ElementType.Int32 }, Ints(3, 2) with { Type = OrtCpr.Graph.ElementType.Int32 }], ("mode", "nearest")),
        Case("DeformConv",
            [X(1, 4, 4, 5), X(2, 2, 2, 2), Exactly([1, 16, 3, 4], [.. Enumerable.Range(0, 192).Select(i => (((i * 37) % 11) - 5.3) / 7)]),
                X(2), Between(0.2, 1, 1, 8, 3, 4)], ("group", 2), ("offset_group", 2), ("kernel_shape", new long[] { 2, 2 })) with
                    { Opset = 19 },
        Case("DeformConv",
            [X(2, 2, 5, 5), X(3, 2, 3, 2), Exactly([2, 12, 3, 3], [.. Enumerable.Range(0, 216).Select(i => (((i * 37) % 11) - 5.3) / 7)])],
            ("strides", new long[] { 2, 2 }), ("pads", new long[] { 1, 0, 1, 1 }), ("kernel_shape", new long[] { 3, 2 })) with
            { Opset = 19 },
        Case("com.microsoft.MaxpoolWithMask",
            [Between(-5, 5, 1, 1, 4, 4), Ints([1, 1, 4, 4], [1, 0, 1, 1, 1, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1, 0]) with
                { Type = OrtCpr.Graph.ElementType.Int32 }], ("kernel_shape", new long[] { 2, 2 }), ("strides", new long[] { 2, 2 })),
        Case("com.microsoft.UnfoldTensor", X(2, 7, 3), ("dim", 1), ("size", 3), ("step", 2)),
        Case("com.microsoft.NGramRepeatBlock", [Ints([1, 4], [0, 1, 2, 0]), X(1, 4)], ("ngram_size", 2)),
    ];

    private static IEnumerable<RuleCase> Resizes(string coordinates)
    {
        Feed x = X(1, 2, 5, 4), scales = Fixed(Exactly([4], 1, 1, 2.4, 0.6));
        yield return Case("Resize", [x, null, scales], ("mode", "nearest"), ("coordinate_transformation_mode", coordinates));
        yield return Case("Resize", [x, null, Fed(scales)], ("mode", "linear"), ("coordinate_transformation_mode", coordinates));
        yield return Case("Resize", [x, null, null, Ints(1, 2, 7, 3)], ("mode", "cubic"), ("coordinate_transformation_mode", coordinates),
            ("cubic_coeff_a", -0.5f));
        yield return Case("Resize", [x, null, scales], ("mode", "cubic"), ("coordinate_transformation_mode", coordinates),
            ("exclude_outside", 1));
    }

    /// <summary>Positions away from the pixels' centres and edges, where the slope jumps; for the nearest pixel the
    /// grid has none.</summary>
    private static IEnumerable<RuleCase> Grids(string padding, int corners)
    {
        double[] places = [0.1, -0.9, 0.15, 1.1, 0.3, -1.35, 0.45, 0.57, -0.62, 0.7, -0.87, 1.07];
        Feed grid = Exactly([2, 3, 2, 2], [.. places, .. places.Select(p => -p)]);
        foreach (string mode in new[] { "bilinear", "nearest", "bicubic" })
        {
            yield return Case("GridSample", [X(2, 2, 4, 5), mode == "nearest" ? Fed(grid) : grid], ("mode", mode),
                ("padding_mode", padding), ("align_corners", corners)) with
            { Opset = 16 };
        }
    }
}
