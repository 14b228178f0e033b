using OrtCpr.Benchmarks.Sides;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace OrtCpr.Benchmarks.Peers;

/// <summary>ResNet18 for CIFAR in TorchSharp, batch normalization by the batch's statistics.</summary>
internal sealed class TorchResNet : TorchResidual
{
    private readonly Tensor _images;
    private readonly Tensor _labels;
    private readonly double _labelSmoothing;

    /// <param name="weights">By the names of the initializers of the ONNX model.</param>
    /// <param name="images">[rows, channels, height, width], row by row.</param>
    /// <param name="labels">[rows].</param>
    /// <param name="learningRate">Constant.</param>
    /// <param name="labelSmoothing">Share of the target spread over all classes.</param>
    public TorchResNet(IEnumerable<(string Name, Tensor Value)> weights, float[] images, long[] labels, double learningRate,
        double labelSmoothing) : base(weights, null, "shortcut", false)
    {
        using DisposeScope scope = NewDisposeScope();
        _images = Own(tensor(images, labels.Length, ResNet18.Channels, ResNet18.Side, ResNet18.Side));
        _labels = Own(tensor(labels));
        _labelSmoothing = labelSmoothing;
        Start(learningRate);
    }

    protected override Tensor Loss()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = Norm(Convolve(_images, "conv1"), "bn1").relu_();
        foreach ((string name, _, _, int stride) in ResNet18.Blocks)
            x = Block(x, name, stride);
        Tensor logits = F.linear(x.mean([2, 3]), Weight("linear.weight"), Weight("linear.bias"));
        return F.cross_entropy(logits, _labels, label_smoothing: _labelSmoothing).MoveToOuterDisposeScope();
    }
}
