using System.Collections.Immutable;
using Samples;

namespace Gpt2;

// What is trained, for how long, on what.
internal sealed record Settings
{
    [Option("a GPT2 of any size: input_ids [batch, sequence] → logits")]
    public string Model { get; init; } = Path.Combine(AppContext.BaseDirectory, "gpt2_5m.onnx");
    [Option("folder with train.bin and val.bin, uint16 tokens as nanoGPT writes them; by default generated text")]
    public string? DataDir { get; init; }
    [Option("adamw, adamcpr or both", Choices = "adamw adamcpr both")] public string Optimizers { get; init; } = "both";
    [Option("of AdamW")] public ImmutableArray<double> WeightDecay { get; init; } = [0.001, 0.01, 0.1];
    [Option("runs of each, with their own orders and first weights", Least = 1)] public int Seeds { get; init; } = 3;
    [Option("of a whole run", Least = 30)] public long Steps { get; init; } = 400;
    [Option("windows a step", Least = 1)] public int BatchSize { get; init; } = 4;
    [Option("tokens a window", Least = 1)] public int SequenceLength { get; init; } = 64;
    [Option("highest learning rate")] public double Lr { get; init; } = 1e-3;
    [Option("0 for a fortieth of the run, as in the paper")] public long WarmupSteps { get; init; }
    [Option("0 for one a physical core")] public int Threads { get; init; }
    [Option("cpu, cuda, cuda:N or webgpu:PATH")] public string Device { get; init; } = "cpu";
    [Option("folder for all runs")] public string Out { get; init; } = "gpt2";
    [Option("leave out runs that are finished, go on with one that is not")] public bool Resume { get; init; }
    [Option("the paper's length: 200000 steps of 32 × 1024 tokens, warm-up 5000")] public bool Full { get; init; }

    // Reads a command line and does what it asks for.
    public static int Run(string[] words, Func<Settings, CancellationToken, int> run) => RecordOptions.Run<Settings>(
        "GPT2 with AdamW, three decays, against AdamCPR with the inflection point, at equal steps and at two thirds of them.", words,
        (settings, cancellation) => run(settings.Sized(), cancellation));

    private Settings Sized() => Full ? this with { Steps = 200_000, BatchSize = 32, SequenceLength = 1024, WarmupSteps = 5000 }
        : this with { WarmupSteps = WarmupSteps > 0 ? WarmupSteps : Math.Max(1, Steps / 40) };
}
