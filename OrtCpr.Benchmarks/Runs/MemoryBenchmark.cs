using System.Globalization;
using OrtCpr.Benchmarks.Harness;
using OrtCpr.Benchmarks.Peers;
using OrtCpr.Benchmarks.Sides;

namespace OrtCpr.Benchmarks;

/// <summary>The largest resident set of the training tasks, each side in a process of its own.</summary>
internal sealed class MemoryBenchmark : IBenchmark
{
    private const double BytesAParameter = 16.5;
    private const double Mebibyte = 1 << 20;

    /// <summary>The sides do not disturb each other and figures hardly vary.</summary>
    private const int MostRuns = 3;

    public string Name => "memory";

    public string Title => "largest resident set of training, each side in a process of its own";

    public void Run(BenchmarkOptions options, Report report)
    {
        report.Table("job and side", "peak MiB", "runtime alone", "above runtime and model file", "peak of steps", "state",
            "activations and the rest");
        string? noTorch = TorchLoader.TryStart(options.Threads);
        foreach (TrainingTask task in TrainingTask.All)
            Measure(task, options, report, noTorch);
        report.Remark(
            "\"Runtime alone\" is a process that has loaded its runtime and done nothing; the model file counts with its weights. "
            + "\"Peak of steps\" is what three steps reach once the garbage of the start is collected; " +
            "activations and the rest are that less the runtime alone and the state: "
            + "parameters, gradients, moments and whatever else stays from step to step.");
    }

    private static void Measure(TrainingTask task, BenchmarkOptions options, Report report, string? noTorch)
    {
        string[] goals = ["state", "peak", "activations"];
        if (!task.TryFind(options, out string model, out string missing))
        {
            foreach (string goal in goals)
                report.NotMeasured(Goal(task, goal), missing);
            return;
        }
        long parameters = Gpt2Shapes.Count(task.Parameters);
        double file = new FileInfo(model).Length + sizeof(float) * parameters;
        Resident ours = Child(task, ours: true, file, options);
        Row(report, $"{task.Name}, AdamCPR", ours);
        if (task.Blocks is not null)
            Row(report, $"{task.Name}, AdamCPR, blocks computed again", Child(task, ours: true, file, options, recompute: true));
        report.AtMost(Goal(task, goals[0]), ours.State / parameters, BytesAParameter);
        if (noTorch is not null)
        {
            foreach (string goal in goals[1..])
                report.NotMeasured(Goal(task, goal), "TorchSharp does not load here");
            return;
        }
        Resident peer = Child(task, ours: false, file, options);
        Row(report, $"{task.Name}, TorchSharp AdamW", peer);
        report.AtMost(Goal(task, goals[1]), ours.Above / peer.Above, 1);
        if (ours.Activations is double mine && peer.Activations is double theirs)
            report.AtMost(Goal(task, goals[2]), mine / theirs, 1);
        else
            report.NotMeasured(Goal(task, goals[2]), "the peak of steps alone cannot be told on this system");
    }

    private static Resident Child(TrainingTask task, bool ours, double file, BenchmarkOptions options, bool recompute = false)
    {
        string[] arguments = [.. options.ToArguments(MemoryChild.NameOf(task, ours, recompute))];
        IReadOnlyDictionary<string, double>[] runs = [.. Enumerable.Range(0, options.Quick ? 1 : Math.Min(options.Runs, MostRuns))
            .Select(_ => ChildProcess.Run(arguments))];
        double? steps = runs.All(r => r.ContainsKey(MemoryChild.Steps)) ? Median(MemoryChild.Steps) : null;
        // The steps after the start's garbage may come out a little above the first ones.
        return new Resident(Math.Max(Median(MemoryChild.Peak), steps ?? 0), Median(MemoryChild.Baseline), file, steps,
            Median(MemoryChild.State));

        double Median(string figure) => new Timing(figure, [.. runs.Select(r => r[figure]).Order()]).Median;
    }

    private static void Row(Report report, string name, Resident side) =>
        report.Cells(name, Text(side.Peak), Text(side.Baseline), Text(side.Above), Text(side.Steps), Text(side.State),
            Text(side.Activations));

    private static string Text(double? bytes) =>
        bytes is double known ? (known / Mebibyte).ToString("F1", CultureInfo.InvariantCulture) : "–";

    private static string Goal(TrainingTask task, string goal) => $"{task.Name}_{goal}";

    private sealed record Resident(double Peak, double Baseline, double File, double? Steps, double State)
    {
        public double Above => Peak - Baseline - File;

        public double? Activations => Steps - Baseline - State;
    }
}
