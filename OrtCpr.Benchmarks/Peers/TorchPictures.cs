using OrtCpr.Benchmarks.Sides;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace OrtCpr.Benchmarks.Peers;

/// <summary>torchvision's ResNet18 in TorchSharp.</summary>
internal sealed class TorchPictures : TorchResidual
{
    private readonly Tensor _images;
    private readonly Tensor _labels;

    /// <param name="weights">By the names of the initializers of the ONNX model.</param>
    /// <param name="trains">Whether a weight is trained.</param>
    /// <param name="images">[rows, channels, height, width], row by row.</param>
    /// <param name="labels">[rows].</param>
    /// <param name="isInference">Whether batch normalization takes its running statistics; else those of the batch.</param>
    /// <param name="learningRate">Constant.</param>
    public TorchPictures(IEnumerable<(string Name, Tensor Value)> weights, Func<string, bool> trains, float[] images, long[] labels,
        bool isInference, double learningRate) : base(weights, trains, "downsample", isInference)
    {
        using DisposeScope scope = NewDisposeScope();
        _images = Own(tensor(images, labels.Length, 3, PicturesTask.Side, PicturesTask.Side));
        _labels = Own(tensor(labels));
        Start(learningRate);
    }

    protected override Tensor Loss()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = Norm(F.conv2d(_images, Weight("conv1.weight"), strides: [2, 2], padding: [3, 3]), "bn1").relu_();
        x = F.max_pool2d(x, 3, 2, 1);
        foreach ((string name, _, _, int stride) in PicturesTask.Stages)
            x = Block(x, name, stride);
        Tensor logits = F.linear(x.mean([2, 3]), Weight($"{FineTuneTask.Head}weight"), Weight($"{FineTuneTask.Head}bias"));
        return F.cross_entropy(logits, _labels).MoveToOuterDisposeScope();
    }
}
