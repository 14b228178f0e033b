using Samples;

namespace Images;

internal sealed record Settings
{
    [Option("folder of your own, with a folder of pictures for each class; default: shapes are drawn")] public string? Data { get; init; }
    [Option("another model that takes pictures as ImageNet's models do; default: ML.NET's ResNet18")] public string? Model { get; init; }
    [Option("folder for everything that is written")] public string Output { get; init; } = "images";
    [Option("training pictures of each class that are drawn", Least = 2)] public int Each { get; init; } = 40;
    [Option("test pictures of each class that are drawn", Least = 1)] public int TestEach { get; init; } = 30;
    [Option("side of the drawn pictures, in pixels", Least = 16, Most = 4096)] public int Side { get; init; } = 224;
    [Option("pictures a batch", Least = 1)] public int BatchSize { get; init; } = 20;
    [Option("epochs of the head alone", Least = 1)] public int HeadEpochs { get; init; } = 30;
    [Option("its learning rate", Least = 0)] public double HeadLr { get; init; } = 3e-3;
    [Option("weight decay of the AdamW that AdamCPR is compared with", Least = 0)] public double WeightDecay { get; init; } = 0.01;
    [Option("runs of the head with each optimizer", Least = 1)] public int Seeds { get; init; } = 3;
    [Option("epochs of the whole model; 0 for none", Least = 0)] public int Epochs { get; init; } = 2;
    [Option("its learning rate", Least = 0)] public double Lr { get; init; } = 1e-5;
    [Option("0 for one a physical core", Least = 0)] public int Threads { get; init; }
}
