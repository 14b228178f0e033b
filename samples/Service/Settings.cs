using Samples;

namespace Service;

// What the command line asks for.
internal sealed record Settings
{
    [Option("where the service listens; 0 for any free port", Least = 0, Most = 65535)] public int Port { get; init; } = 5080;
    [Option("address to listen at")] public string Host { get; init; } = "127.0.0.1";
    [Option("a classifier with one input [batch, …] of float32; default: a perceptron of 10 inputs and 5 classes, untrained")]
    public string? Model { get; init; }
    [Option("folder of the checkpoint and the examples")] public string Out { get; init; } = "service";
    [Option("examples a step", Least = 1, Most = 4096)] public int BatchSize { get; init; } = 32;
    [Option("steps from one model that is served to the next", Least = 1, Most = 1_000_000)] public int RoundSteps { get; init; } = 100;
    [Option("examples that are kept; the oldest go first", Least = 10, Most = 10_000_000)] public int Keep { get; init; } = 10_000;
    [Option("learning rate", Least = 0)] public double Lr { get; init; } = 1e-3;
    [Option("threads of a training step", Least = 1, Most = 1024)] public int TrainingThreads { get; init; } = 1;
    [Option("of the training thread: low lets requests have the processor first", Choices = "low normal")]
    public string TrainingPriority { get; init; } = "low";
    [Option("measures instead: seconds of requests without training, then as many with it; 0 for serving", Least = 0, Most = 86_400)]
    public int Load { get; init; }
    [Option("with --load: requests a second", Least = 1, Most = 100_000)] public int Rate { get; init; } = 200;

    public string ModelPath => Model ?? Path.Combine(AppContext.BaseDirectory, "mlp.onnx");

    public string CheckpointPath => Path.Combine(Out, "checkpoint.safetensors");

    public string ExamplesPath => Path.Combine(Out, "examples.bin");

    // Reads a command line; gives the exit code.
    public static int Run(string[] words, Action<Settings> take) => RecordOptions.Run<Settings>(
        "Serves predictions of a model and trains it at the same time on the examples that it is sent.", words,
        (settings, _) =>
        {
            take(settings);
            return 0;
        },
        (settings, given, problems) =>
        {
            if (settings.Load == 0 && given.Contains("--rate")) problems.Add("--rate is for measuring; give --load too");
            if (settings.Load > 0 && settings.Model is not null)
                problems.Add("--load sends examples for the model of the sample; leave --model out");
        });
}
