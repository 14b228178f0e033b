using System.Globalization;
using OrtCpr.Benchmarks.Harness;
using OrtCpr.Benchmarks.Sides;
using OrtCpr.Graph;

namespace OrtCpr.Benchmarks;

/// <summary>How the optimizer step grows with the parameters, and graph building with the nodes of the model.</summary>
internal sealed class ScalingBenchmark : IBenchmark
{
    private const double Slope = 1;
    private const double Tolerance = 0.1;

    /// <summary>The shape of GPT2-small, narrowed with its vocabulary, so that the number of tensors stays and the
    /// parameters go with the square of the width: 1.1 to 124.4 M.</summary>
    private static readonly Gpt2Shapes Largest = new(50257, 1024, 768, 12);
    private static readonly int[] Widths = [72, 120, 192, 312, 480, 768];
    private static readonly int[] QuickWidths = [24, 32, 48, 72, 96, 120];

    private static readonly int[] Blocks = [2, 5, 12, 28, 68, 166];
    private static readonly int[] QuickBlocks = [1, 2, 3, 5, 8, 12];

    /// <summary>A step is short against the time slices of other work on the machine, the more so a small
    /// one.</summary>
    private const long ParametersARun = 125_000_000;

    public string Name => "scaling";

    public string Title => "the optimizer step against the number of parameters, graph building against the nodes of the model";

    public void Run(BenchmarkOptions options, Report report)
    {
        report.Columns("run", "size");
        Steps(options, report);
        Building(options, report);
        report.Remark(
            "The size of a step is its parameters: GPT2-small narrowed, 148 tensors each. "
            + "The size of graph building is the nodes of the model as exported: GPT blocks on top of each other. " +
            "The ratios are slopes of the straight line through the medians on log-log axes.");
    }

    private static void Steps(BenchmarkOptions options, Report report)
    {
        List<(string Row, long Size, int Repeats, OurOptimizer Optimizer)> sides = [];
        try
        {
            foreach (int width in options.Quick ? QuickWidths : Widths)
            {
                IReadOnlyList<(string Name, long[] Dimensions)> tensors =
                    (Largest with { Width = width, Vocabulary = (int)((long)Largest.Vocabulary * width / Largest.Width) }).List();
                long size = Gpt2Shapes.Count(tensors);
                sides.Add((string.Create(CultureInfo.InvariantCulture, $"optimizer step, {size / 1e6:F1} M parameters"), size,
                    (int)Math.Clamp(ParametersARun / size, 1, 50),
                    new OurOptimizer(tensors, new OptimizerVariant(Guard: true, PositiveMultipliers: true), options.Threads)));
            }
            IReadOnlyDictionary<string, Timing> times =
                Alternation.Measure([.. sides.Select(s => new Side(s.Row, () => Repeat(s.Optimizer, s.Repeats)))], options.Runs);
            Close(report, "optimizer_step", [.. sides.Select(s => (times[s.Row], s.Size, s.Repeats))]);
        }
        finally
        {
            foreach ((_, _, _, OurOptimizer optimizer) in sides)
                optimizer.Dispose();
        }
    }

    private static void Building(BenchmarkOptions options, Report report)
    {
        (string Row, byte[] Model, int Nodes)[] sides = [.. (options.Quick ? QuickBlocks : Blocks).Select(BlockChain.Make)
            .Select(m => (string.Create(CultureInfo.InvariantCulture, $"graph building, {m.Nodes:N0} nodes"), m.Model, m.Nodes))];
        IReadOnlyDictionary<string, Timing> times =
            Alternation.Measure([.. sides.Select(s => new Side(s.Row, () => TrainingGraphBuilder.Build(s.Model)))], options.Runs);
        Close(report, "graph_building", [.. sides.Select(s => (times[s.Row], (long)s.Nodes, 1))]);
    }

    private static void Close(Report report, string goal, IReadOnlyList<(Timing Timing, long Size, int Work)> rows)
    {
        foreach ((Timing timing, long size, int work) in rows)
            report.Row(timing, work, size.ToString("N0", CultureInfo.InvariantCulture));
        report.Near(goal, LogSlope.Of([.. rows.Select(r => ((double)r.Size, r.Timing.Median / r.Work))]), Slope, Tolerance);
    }

    private static void Repeat(OurOptimizer optimizer, int count)
    {
        for (int i = 0; i < count; i++)
            optimizer.Step();
    }
}
