using System.Collections.Immutable;
using OrtCpr.Graph.Optimizers;
using Samples;

namespace Texts;

// What the command line asks for.
internal sealed record Settings
{
    [Option("train an encoder on pairs of sentences of one topic, in place of a classifier")] public bool Pairs { get; init; }
    [Option("a table of your own (.csv); default: the sentences of four topics that are here")] public string? Data { get; init; }
    [Option("column with the texts")] public string Text { get; init; } = "text";
    [Option("column with the topics")] public string Label { get; init; } = "topic";
    [Option("folder with model.onnx and vocab.txt of another encoder; default: MiniLM")] public string? Model { get; init; }
    [Option("of heads and shuffles; each trains a head by both optimizers, and the first one goes on")]
    public ImmutableArray<long> Seeds { get; init; } = [1, 2, 3];
    [Option("epochs in which the head is trained", Least = 1)] public int HeadEpochs { get; init; } = 12;
    [Option("epochs in which everything is trained; of pairs as well", Least = 1)] public int AllEpochs { get; init; } = 3;
    [Option("sentences a batch; of pairs it is two of each topic", Least = 1)] public int BatchSize { get; init; } = 12;
    [Option("learning rate of the head", Least = 0)] public double HeadLr { get; init; } = 3e-3;
    [Option("learning rate of everything", Least = 0)] public double AllLr { get; init; } = 3e-5;
    [Option("0 for one a physical core", Least = 0)] public int Threads { get; init; }
    [Option("folder for all files")] public string Out { get; init; } = "texts";

    public string PathOf(string name) => Path.Combine(Out, name);

    // Reads a command line and does what it asks for; gives the exit code.
    public static int Run(string[] words, Func<Settings, CancellationToken, int> run) => RecordOptions.Run<Settings>(
        "Trains MiniLM on topics of sentences, two thirds of a table, and tests it on the rest.", words,
        (settings, cancellation) =>
        {
            Directory.CreateDirectory(settings.Out);
            return run(settings, cancellation);
        },
        (settings, _, problems) =>
        {
            if (settings.Seeds.IsEmpty) problems.Add("--seeds is empty; expected at least one number");
            if (settings.Seeds.Distinct().Count() < settings.Seeds.Length) problems.Add("--seeds names a seed twice");
        });

    // Both by their defaults; bounds are set after a quarter of the steps.
    public static UpdateRule Rule(string optimizer, double learningRate, long steps) => optimizer == "AdamW"
        ? UpdateRule.AdamW(learningRate)
        : UpdateRule.AdamCpr(learningRate, constraint: new ConstrainNorm { Bound = Bound.AfterSteps(Math.Max(1, steps / 4)) });
}
