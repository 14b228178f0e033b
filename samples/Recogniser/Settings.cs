using Samples;

namespace Recogniser;

internal sealed record Settings
{
    [Option("the recognition model, pictures [batch, 3, 48, width] to characters [batch, times, classes]")]
    public string Model { get; init; } = "package/assets/ch_PP-OCRv4_rec_infer.onnx";
    [Option("its characters, one a line, for the classes from 1 on; the class behind them is the space")]
    public string Keys { get; init; } = "package/assets/ppocr_keys_v1.txt";
    [Option("folder for everything that is written")] public string Output { get; init; } = "recogniser";
    [Option("training steps", Least = 1)] public int Steps { get; init; } = 30;
    [Option("lines a step; each is drawn once", Least = 1)] public int BatchSize { get; init; } = 16;
    [Option("lines of the test", Least = 1)] public int TestLines { get; init; } = 100;
    [Option("learning rate", Least = 0)] public double Lr { get; init; } = 5e-4;
    [Option("seed of the training lines", Least = 1)] public int Seed { get; init; } = 1;
    [Option("0 for one a physical core", Least = 0)] public int Threads { get; init; }
}
