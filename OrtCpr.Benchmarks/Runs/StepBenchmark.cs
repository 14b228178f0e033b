using System.Globalization;
using OrtCpr.Benchmarks.Harness;
using OrtCpr.Benchmarks.Peers;
using OrtCpr.Benchmarks.Sides;

namespace OrtCpr.Benchmarks;

/// <summary>Whole training steps of a task, against the same model in TorchSharp with equal weights.</summary>
internal sealed class StepBenchmark(TrainingTask task) : IBenchmark
{
    private const string Torch = "TorchSharp AdamW";
    private const string Ours = "AdamCPR";
    private const string Recomputed = "AdamCPR, blocks computed again on the way back";

    /// <summary>Relative. Float32 sums in another order; a difference in the model is far above it.</summary>
    private const double LossTolerance = 1e-4;

    public string Name => task.Name;

    public string Title => task.Title;

    public void Run(BenchmarkOptions options, Report report)
    {
        if (!task.TryFind(options, out string model, out string missing))
        {
            report.NotMeasured(null, missing);
            return;
        }
        string? noTorch = TimedPeer.TryStart(options, report);

        using OurTraining ours = new(model, task, options.Threads);
        using OurTraining? recomputed = task.Blocks is null ? null : new(model, task, options.Threads, recompute: true);
        using TorchTraining? peer = noTorch is null ? task.NewPeer(TorchTraining.Copy(ours.Weights)) : null;
        double first = ours.Step();
        if (peer is not null)
            CheckEqual(first, peer.Step());

        int steps = options.Quick ? 1 : task.StepsARun;
        (string Row, ITrainingSide Side)[] sides = [.. new (string, ITrainingSide?)[]
            { (Torch, peer), (Ours, ours), (Recomputed, recomputed) }.Where(s => s.Item2 is not null).Select(s => (s.Item1, s.Item2!))];
        recomputed?.Step();
        Dictionary<string, double> last = [];
        IReadOnlyDictionary<string, Timing> times =
            Alternation.Measure([.. sides.Select(s => new Side(s.Row, () => last[s.Row] = Repeat(s.Side, steps)))], options.Runs,
                warmup: 1);
        report.Columns("side, time of one step", "last loss");
        foreach ((string row, _) in sides)
            report.Row(times[row], steps, last[row].ToString("F4", CultureInfo.InvariantCulture));
        string loss = peer is null ? "The loss before any step is"
            : "The weights are equal at the start and the loss before any step is on both sides";
        report.Remark(string.Create(
            CultureInfo.InvariantCulture, $"{steps} steps a run, all on one batch. {loss} {first:F4}. λ is above 0 in the beginning."));
        if (peer is null)
            report.NotMeasured(null, "TorchSharp does not load here");
        else
            report.AtLeast(null, times[Torch].Median / times[Ours].Median, task.Goal);
    }

    private static double Repeat(ITrainingSide side, int steps)
    {
        double loss = 0;
        for (int i = 0; i < steps; i++)
            loss = side.Step();
        return loss;
    }

    private static void CheckEqual(double ours, double peers)
    {
        if (!(Math.Abs(ours - peers) <= LossTolerance * Math.Abs(peers)))
        {
            throw new BenchmarkException(
                string.Create(CultureInfo.InvariantCulture, $"Equal weights give different losses: {Torch} {peers:G7}, {Ours} {ours:G7}."));
        }
    }
}
