using System.Globalization;
using OrtCpr.Benchmarks.Harness;
using OrtCpr.Benchmarks.Peers;
using OrtCpr.Benchmarks.Sides;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Benchmarks;

/// <summary>Steps of fine-tuning, all weights and the head alone, against TorchSharp with equal weights; a step of the head
/// alone also against the forward pass that it cannot do without.</summary>
internal sealed class FineTuneBenchmark : IBenchmark
{
    private const string Torch = "TorchSharp AdamW";
    private const string Forward = "forward pass alone, ONNX Runtime";
    private const double Mebibyte = 1 << 20;
    private const double HeadOverForward = 1.1;

    /// <summary>Relative. Float32 sums in another order; a difference in the model is far above it.</summary>
    private const double LossTolerance = 1e-4;

    public string Name => "finetune";

    public string Title => "steps of fine-tuning a classifier of 10 classes: ResNet18 on pictures, an encoder on tokens";

    /// <summary>The jobs: what errors and goals call them, and the job with an optimizer.</summary>
    public static IReadOnlyList<(string Goal, Func<UpdateRule, FineTuneTask> Make)> Jobs(bool quick)
    {
        int rows = quick ? 2 : 8;
        return
        [
            ("resnet_all", rule => new PicturesTask(isHeadOnly: false, rule, rows)),
            ("resnet_head", rule => new PicturesTask(isHeadOnly: true, rule, rows)),
            ("encoder_all", rule => new SentencesTask(isHeadOnly: false, rule)),
            ("encoder_head", rule => new SentencesTask(isHeadOnly: true, rule)),
        ];
    }

    /// <summary>One of them by its name in goals.</summary>
    public static Func<UpdateRule, FineTuneTask> Job(string goal, bool quick) => Jobs(quick).Single(j => j.Goal == goal).Make;

    public void Run(BenchmarkOptions options, Report report)
    {
        string? noTorch = TimedPeer.TryStart(options, report);
        report.Columns("job and side, time of one step", "first loss", "peak MiB");
        string folder = Directory.CreateTempSubdirectory("ortcpr-finetune-").FullName;
        try
        {
            foreach ((string goal, Func<UpdateRule, FineTuneTask> make) in Jobs(options.Quick))
                Measure(goal, make, options, report, folder, noTorch);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
        report.Remark("Weights are drawn, equal on all sides of a job, and so is the loss before any step. With the head alone the body "
            + "is frozen and runs as in inference, on TorchSharp's side too, where no gradients are asked for. λ is above 0 in the "
            + "beginning. \"Peak MiB\" is the largest resident set of three steps in a process of its own, once the garbage of the "
            + "start is collected.");
    }

    private static void Measure(string goal, Func<UpdateRule, FineTuneTask> make, BenchmarkOptions options, Report report, string folder,
        string? noTorch)
    {
        var disposables = new List<IDisposable>();
        try
        {
            FineTuneTask job = make(FineTuneTask.Rules[0].Rule);
            string model = Path.Combine(folder, job.ModelFile);
            File.WriteAllBytes(model, job.Model);
            var sides = new List<(string Row, Func<double> Step)>();
            foreach ((string name, UpdateRule rule) in FineTuneTask.Rules)
            {
                var ours = new OurTraining(model, make(rule), options.Threads);
                disposables.Add(ours);
                sides.Add((name, ours.Step));
            }
            if (noTorch is null)
            {
                TorchTraining peer = job.NewPeer();
                disposables.Add(peer);
                sides.Add((Torch, peer.Step));
            }
            double[] losses = [.. sides.Select(s => s.Step())];
            CheckEqual(job.Title, [.. sides.Select(s => s.Row)], losses);
            if (job.IsHeadOnly)
            {
                var forward = new ForwardPass(model, job, options.Threads);
                disposables.Add(forward);
                sides.Add((Forward, forward.Step));
            }
            int steps = options.Quick ? 1 : job.StepsARun;
            IReadOnlyDictionary<string, Timing> times = Alternation.Measure([.. sides.Select(s => new Side(s.Row, () =>
            {
                for (int i = 0; i < steps; i++) s.Step();
            }))], options.Runs, warmup: 1);
            string what = $"{job.Title}, {(job.IsHeadOnly ? "head alone" : "all weights")}";
            Dictionary<string, double?> peaks = sides.ToDictionary(s => s.Row, s => Peak(goal, s.Row, options with { Models = folder }));
            foreach ((string row, _) in sides)
            {
                double loss = row == Forward ? double.NaN : losses[sides.FindIndex(s => s.Row == row)];
                report.Row(times[row] with { Name = $"{what}: {row}" }, steps, Text(loss, "F4"), Text(peaks[row] / Mebibyte, "F1"));
            }
            string adamCpr = FineTuneTask.Rules[^1].Name;
            if (noTorch is null) report.AtLeast(goal, times[Torch].Median / times[adamCpr].Median, job.Goal);
            else report.NotMeasured(goal, "TorchSharp does not load here");
            if (!job.IsHeadOnly) return;
            report.AtMost($"{goal}_over_forward", times[adamCpr].Median / times[Forward].Median, HeadOverForward);
            if (peaks[adamCpr] is double mine && peaks[Forward] is double least)
                report.AtMost($"{goal}_memory_over_forward", mine / least, HeadOverForward);
            else
                report.NotMeasured($"{goal}_memory_over_forward", "the peak of steps alone cannot be told on this system");
        }
        finally
        {
            disposables.ForEach(d => d.Dispose());
        }
    }

    /// <summary>Bytes that a side takes in a process of its own, or null where the system does not tell.</summary>
    private static double? Peak(string goal, string row, BenchmarkOptions options)
    {
        string side = row switch { Torch => FineTuneChild.Torch, Forward => FineTuneChild.Forward, _ => row };
        return ChildProcess.Run(options.ToArguments(FineTuneChild.NameOf(goal, side))).TryGetValue(MemoryChild.Steps, out double peak)
            ? peak : null;
    }

    private static string Text(double? figure, string format) =>
        figure is double known && double.IsFinite(known) ? known.ToString(format, CultureInfo.InvariantCulture) : "–";

    private static void CheckEqual(string job, string[] sides, double[] losses)
    {
        if (losses.All(l => Math.Abs(l - losses[0]) <= LossTolerance * Math.Abs(losses[0]))) return;
        throw new BenchmarkException($"{job}: equal weights give different losses: " + string.Join(", ", sides.Zip(losses)
            .Select(s => string.Create(CultureInfo.InvariantCulture, $"{s.First} {s.Second:G7}"))) + ".");
    }
}
