using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace OrtCpr.Benchmarks.Peers;

/// <summary>The blocks that ResNets of CIFAR's and of ImageNet's form share, in TorchSharp.</summary>
/// <param name="weights">By the names of the initializers of the ONNX model.</param>
/// <param name="trains">Whether a weight is trained; null for all.</param>
/// <param name="shortcut">What the path around a block is called.</param>
/// <param name="isInference">Whether batch normalization takes its running statistics; else those of the batch.</param>
internal abstract class TorchResidual(IEnumerable<(string Name, Tensor Value)> weights, Func<string, bool>? trains, string shortcut,
    bool isInference) : TorchTraining(weights, trains)
{
    private readonly Dictionary<string, (Tensor Mean, Tensor Variance)> _statistics = new(StringComparer.Ordinal);

    /// <summary>A scope of its own: what the backward pass does not need goes before the next block.</summary>
    protected Tensor Block(Tensor x, string name, int stride)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor skip = stride == 1 ? x
            : Norm(F.conv2d(x, Weight($"{name}.{shortcut}.0.weight"), strides: [stride, stride]), $"{name}.{shortcut}.1");
        Tensor y = Norm(Convolve(x, $"{name}.conv1", stride), $"{name}.bn1").relu_();
        return Norm(Convolve(y, $"{name}.conv2"), $"{name}.bn2").add_(skip).relu_().MoveToOuterDisposeScope();
    }

    protected Tensor Convolve(Tensor x, string name, long stride = 1) =>
        F.conv2d(x, Weight($"{name}.weight"), strides: [stride, stride], padding: [1, 1]);

    protected Tensor Norm(Tensor x, string name)
    {
        Tensor gain = Weight($"{name}.weight");
        if (!_statistics.TryGetValue(name, out (Tensor Mean, Tensor Variance) running))
            _statistics[name] = running = (Own(zeros(gain.shape)), Own(ones(gain.shape)));
        return F.batch_norm(x, running.Mean, running.Variance, gain, Weight($"{name}.bias"), training: !isInference);
    }
}
