using OrtCpr.Benchmarks.Peers;
using OrtCpr.Graph;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Passes;
using TorchSharp;

namespace OrtCpr.Benchmarks.Sides;

/// <summary>Training of ResNet18 for CIFAR-100 on random images, batch normalization by the batch's statistics, label smoothing.</summary>
internal sealed class ResNetTask : TrainingTask
{
    private const int Rows = 32;
    private const double LearningRate = 1e-3;
    private const double LabelSmoothing = 0.1;
    private const int Seed = 4;

    private readonly float[] _images;
    private readonly long[] _labels;

    public ResNetTask()
    {
        var random = new Random(Seed);
        _images = [.. Enumerable.Range(0, Rows * ResNet18.Channels * ResNet18.Side * ResNet18.Side)
            .Select(_ => random.NextSingle() * 4 - 2)];
        _labels = [.. Enumerable.Range(0, Rows).Select(_ => (long)random.Next(ResNet18.Classes))];
    }

    public override string Name => "resnet";

    public override string Title =>
        "training steps of ResNet18 for CIFAR-100, batch 32, batch normalization in training mode, label smoothing 0.1";

    public override string ModelFile => "resnet18_cifar100.onnx";

    public override double Goal => 1.2;

    public override int StepsARun => 2;

    public override IReadOnlyList<(string Name, long[] Dimensions)> Parameters => ResNet18.List();

    public override TrainingOptions Options => new()
    {
        Loss = new CrossEntropyLoss { LabelSmoothing = LabelSmoothing },
        Optimizer = new OptimizerOptions { Groups = [OurSides.ActiveAdamCpr(LearningRate)] },
        BatchNormalization = BatchNormalizationMode.Training,
        UnbiasedRunningVariance = true,
    };

    public override Batch NewBatch() => new Batch()
        .Add("image", _images, Rows, ResNet18.Channels, ResNet18.Side, ResNet18.Side)
        .Add("labels", _labels, Rows);

    public override TorchTraining NewPeer(IEnumerable<(string Name, torch.Tensor Value)> weights) =>
        new TorchResNet(weights, _images, _labels, LearningRate, LabelSmoothing);
}
