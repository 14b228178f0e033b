using System.Globalization;
using OrtCpr.Benchmarks.Harness;
using OrtCpr.Benchmarks.Sides;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Benchmarks;

/// <summary>What the constraint costs: the optimizer run of AdamCPR less that of AdamW, as a part of a whole training
/// step of a small GPT2.</summary>
internal sealed class OverheadBenchmark : IBenchmark
{
    private static readonly (int Batch, double Bound)[] Goals = [(8, 0.01), (1, 0.03)];

    public string Name => "overhead";

    public string Title => "the constraint's part of a training step, GPT2 of 5.4 M parameters, sequence 128, λ > 0 on every matrix";

    public void Run(BenchmarkOptions options, Report report)
    {
        bool there = new GptTask().TryFind(options, out string model, out string missing);
        report.Columns("run");
        foreach ((int batch, double bound) in Goals)
        {
            if (there)
                Measure(options, report, model, batch, bound);
            else
                report.NotMeasured(Goal(batch), missing);
        }
    }

    private static void Measure(BenchmarkOptions options, Report report, string model, int batch, double bound)
    {
        using OurTraining plain = new(model, new GptTask(batch, UpdateRule.AdamW(GptTask.LearningRate, weightDecay: 0.1)), options.Threads);
        using OurTraining constrained =
            new(model, new GptTask(batch, OurSides.AdamCpr(positiveMultipliers: true, GptTask.LearningRate)), options.Threads);
        plain.Step();
        constrained.Step();

        // The difference is far smaller than a step, so an optimizer run is measured as the mean of many.
        int repeats = options.Quick ? 2 : 50;
        string suffix = string.Create(CultureInfo.InvariantCulture, $", batch {batch}");
        Side adamW = new($"AdamW, optimizer{suffix}", () => Repeat(plain, repeats));
        Side adamCpr = new($"AdamCPR, optimizer{suffix}", () => Repeat(constrained, repeats));
        Side step = new($"AdamCPR, whole step{suffix}", () => constrained.Step());
        IReadOnlyDictionary<string, Timing> times = Alternation.Measure([adamW, adamCpr, step], options.Runs);
        constrained.CheckMultipliers();
        report.Row(times[adamW.Name], repeats);
        report.Row(times[adamCpr.Name], repeats);
        report.Row(times[step.Name]);
        report.AtMost(Goal(batch), (times[adamCpr.Name].Median - times[adamW.Name].Median) / repeats / times[step.Name].Median, bound);
    }

    private static void Repeat(OurTraining side, int count)
    {
        for (int i = 0; i < count; i++)
            side.OptimizerRun();
    }

    private static string Goal(int batch) => string.Create(CultureInfo.InvariantCulture, $"batch{batch}");
}
