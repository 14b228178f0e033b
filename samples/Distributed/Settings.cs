using Samples;

namespace Distributed;

internal sealed record Settings
{
    [Option("optimizer steps", Least = 2)] public long Steps { get; init; } = 60;
    [Option("windows of each process in a step", Least = 1)] public int BatchSize { get; init; } = 4;
    [Option("tokens a window", Least = 2)] public int SequenceLength { get; init; } = 64;
    [Option("learning rate of AdamCPR")] public double Lr { get; init; } = 1e-3;
    [Option("threads of each process; 0 for its share of the cores", Least = 0)] public int Threads { get; init; } = 1;
    [Option("cpu, cuda or cuda:N; cuda takes a GPU for each process of a machine")] public string Device { get; init; } = "cpu";
    [Option("each process keeps the optimizer's state of its share of the parameters only")] public bool ShardState { get; init; }
    [Option("steps between exchanges, by an outer optimizer; 0 for gradients in each step", Least = 0)]
    public long OuterInterval { get; init; }
    [Option("with --outer-interval: half the bytes, as bfloat16")] public bool HalfExchange { get; init; }
    [Option("step after which the bounds are set", Least = 1)] public long Warm { get; init; } = 10;
    [Option("seed of data and shuffles")] public int Seed { get; init; } = 1;
    [Option("checks every operation between the processes, and measures sums of 1 MB to 256 MB")] public bool Exchange { get; init; }
}
