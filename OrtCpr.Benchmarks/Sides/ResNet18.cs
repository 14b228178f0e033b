namespace OrtCpr.Benchmarks.Sides;

/// <summary>The parameters of <c>resnet18_cifar100.onnx</c>: a 3×3 stem without pooling, four stages of two basic blocks.</summary>
internal static class ResNet18
{
    public const int Classes = 100;
    public const int Channels = 3;
    public const int Side = 32;

    private const int StemWidth = 64;
    private const int Stages = 4;

    /// <summary>Two blocks a stage; from the second stage on the first block halves the image and doubles the channels,
    /// with a convolution in its shortcut.</summary>
    public static IReadOnlyList<(string Name, int Inputs, int Outputs, int Stride)> Blocks { get; } =
    [
        .. Enumerable.Range(0, Stages).SelectMany(stage =>
        {
            int width = StemWidth << stage;
            return new[]
            {
                ($"layer{stage + 1}.0", stage == 0 ? width : width / 2, width, stage == 0 ? 1 : 2),
                ($"layer{stage + 1}.1", width, width, 1),
            };
        }),
    ];

    /// <summary>Names and shapes in the order of the model, without running statistics.</summary>
    public static IReadOnlyList<(string Name, long[] Dimensions)> List()
    {
        long width = Blocks[^1].Outputs;
        return
        [
            ("conv1.weight", [StemWidth, Channels, 3, 3]),
            .. Norm("bn1", StemWidth),
            .. Blocks.SelectMany(Block),
            ("linear.weight", [Classes, width]),
            ("linear.bias", [Classes]),
        ];
    }

    private static IEnumerable<(string Name, long[] Dimensions)> Block((string Name, int Inputs, int Outputs, int Stride) block) =>
        [
            ($"{block.Name}.conv1.weight", [block.Outputs, block.Inputs, 3, 3]),
            .. Norm($"{block.Name}.bn1", block.Outputs),
            ($"{block.Name}.conv2.weight", [block.Outputs, block.Outputs, 3, 3]),
            .. Norm($"{block.Name}.bn2", block.Outputs),
            .. block.Stride == 1 ? [] : Shortcut(block),
        ];

    private static IEnumerable<(string Name, long[] Dimensions)> Shortcut((string Name, int Inputs, int Outputs, int Stride) block) =>
        Norm($"{block.Name}.shortcut.1", block.Outputs).Prepend(($"{block.Name}.shortcut.0.weight", [block.Outputs, block.Inputs, 1, 1]));

    private static IEnumerable<(string Name, long[] Dimensions)> Norm(string name, long width) =>
        [($"{name}.weight", [width]), ($"{name}.bias", [width])];
}
