using System.Globalization;
using OrtCpr.Benchmarks.Harness;
using OrtCpr.Benchmarks.Peers;
using OrtCpr.Benchmarks.Sides;

namespace OrtCpr.Benchmarks;

/// <summary>Training steps of the grokking transformer, against the same model in TorchSharp.</summary>
internal sealed class GrokkingBenchmark : IBenchmark
{
    private const string Torch = "TorchSharp AdamW";
    private const string TorchByHand = "TorchSharp AdamW, last position by hand";
    private const string Ours = "AdamCPR";

    /// <summary>Float32 sums in another order; a difference in the model is far above it.</summary>
    private const double LossTolerance = 1e-4;

    public string Name => "grokking";

    public string Title => "training steps of the grokking transformer, batch 512";

    public void Run(BenchmarkOptions options, Report report)
    {
        string split = Path.Combine(options.Data, "grokking", "split.safetensors");
        string model = Path.Combine(options.Models, "grokking.onnx");
        bool given = File.Exists(split);
        IReadOnlyDictionary<string, (float[] Data, long[] Dimensions)> weights = given ? GrokkingTask.ReadWeights(split)
            : GrokkingTask.DrawWeights();
        IReadOnlyList<TokenBatch> batches = GrokkingTask.Batches();
        string? noTorch = TimedPeer.TryStart(options, report);
        string? noOurs = File.Exists(model) ? null : "grokking.onnx is not there; name its folder with --models";

        List<(string Row, ITrainer Trainer)> trainers = [];
        try
        {
            if (noTorch is null)
            {
                trainers.Add((Torch, new TorchGrokking(weights, batches)));
                trainers.Add((TorchByHand, new TorchGrokking(weights, batches, lastPositionOnly: true)));
            }
            if (noOurs is null)
                trainers.Add((Ours, new OurGrokking(model, weights, batches, options.Threads)));
            if (trainers.Count == 0)
                throw new BenchmarkException($"There is nothing to measure: {noTorch}; {noOurs}.");
            double loss = EqualLoss(trainers, batches[0]);

            int steps = options.Quick ? 5 : 100;
            IReadOnlyDictionary<string, Timing> times =
                Alternation.Measure([.. trainers.Select(t => new Side(t.Row, () => t.Trainer.TrainSteps(steps)))], options.Runs, warmup: 1);
            report.Columns("side, time of one step", "s per 1000 steps", "last loss");
            foreach ((string row, ITrainer trainer) in trainers)
            {
                string rate = (times[row].Median / steps * 1000).ToString("F2", CultureInfo.InvariantCulture);
                report.Row(times[row], steps, rate, trainer.Loss(batches[0]).ToString("F4", CultureInfo.InvariantCulture));
            }
            report.Remark(string.Create(CultureInfo.InvariantCulture,
                $"{steps} steps a run. Weights: {(given ? "split.safetensors, seed 1" : "drawn, seed 1")}; "
                + $"the loss of the first batch before any step is {loss:F4} on every side. "
                + $"\"By hand\" is a model rewritten for its loss, which the goals do not ask about."));
            foreach ((string? goal, double bound) in new (string?, double)[] { (null, 3), ("first_milestone", 1.5) })
            {
                if (noTorch is null && noOurs is null)
                    report.AtLeast(goal, times[Torch].Median / times[Ours].Median, bound);
                else
                    report.NotMeasured(goal, noOurs ?? "TorchSharp does not load here");
            }
        }
        finally
        {
            foreach ((_, ITrainer trainer) in trainers)
                trainer.Dispose();
        }
    }

    private static double EqualLoss(IReadOnlyList<(string Row, ITrainer Trainer)> trainers, TokenBatch batch)
    {
        (string Row, double Loss)[] losses = [.. trainers.Select(t => (t.Row, t.Trainer.Loss(batch)))];
        if (losses.Any(l => !(Math.Abs(l.Loss - losses[0].Loss) <= LossTolerance)))
        {
            throw new BenchmarkException(
                "Equal weights give different losses: "
                + $"{string.Join(", ", losses.Select(l => string.Create(CultureInfo.InvariantCulture, $"{l.Row} {l.Loss:G7}")))}.");
        }
        return losses[0].Loss;
    }
}
