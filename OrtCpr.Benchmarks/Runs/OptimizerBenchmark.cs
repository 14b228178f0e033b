using System.Globalization;
using OrtCpr.Benchmarks.Harness;
using OrtCpr.Benchmarks.Peers;
using OrtCpr.Benchmarks.Sides;

namespace OrtCpr.Benchmarks;

/// <summary>One optimizer step over a GPT2's parameters, against TorchSharp's AdamW and against copying the bytes that
/// a step has to move.</summary>
internal sealed class OptimizerBenchmark : IBenchmark
{
    /// <summary>Read θ, g, m, v and write θ, m, v. The guard's norm reads g once more; λ > 0 needs R(θ), which is a
    /// pass over θ and a second one over the result.</summary>
    private const int StepBytes = 28;
    private const int GuardBytes = 32;
    private const int MultiplierBytes = 36;

    /// <summary>A step is short against the time slices of other work on the machine.</summary>
    private const int StepsARun = 5;

    private const string Torch = "TorchSharp AdamW";

    private static readonly (string Goal, string Row, OptimizerVariant Variant, int Floor)[] Variants =
    [
        ("copy", "AdamCPR, λ = 0", new(Guard: false, PositiveMultipliers: false), StepBytes),
        ("copy_guard", "AdamCPR, λ = 0, guard", new(Guard: true, PositiveMultipliers: false), GuardBytes),
        ("copy_lambda", "AdamCPR, λ > 0", new(Guard: false, PositiveMultipliers: true), MultiplierBytes),
        ("copy_lambda_guard", "AdamCPR, λ > 0, guard", new(Guard: true, PositiveMultipliers: true), MultiplierBytes + GuardBytes
            - StepBytes),
    ];

    public string Name => "optimizer";

    public string Title => "one optimizer step over 66.9 M parameters in 76 tensors (a GPT2 of 6 blocks, width 672)";

    public void Run(BenchmarkOptions options, Report report)
    {
        IReadOnlyList<(string Name, long[] Dimensions)> tensors =
            (options.Quick ? Gpt2Shapes.Optimizer with { Width = Gpt2Shapes.Optimizer.Width / 12 } : Gpt2Shapes.Optimizer).List();
        long count = Gpt2Shapes.Count(tensors);
        string? noTorch = TimedPeer.TryStart(options, report);

        using CopyFloor floor = new(count, Variants.Max(v => v.Floor), options.Threads);
        List<IStepper> steppers = [];
        try
        {
            List<Side> sides = [.. Variants.Select(v => v.Floor).Distinct()
                .Select(bytes => new Side(FloorRow(bytes), () => floor.Copy(bytes)))];
            sides.Add(new Side("C library's copy, 28 B a parameter", () => floor.LibraryCopy(StepBytes)));
            sides.Add(new Side("step without arithmetic, 28 B a parameter", floor.InPlace));
            if (noTorch is null)
                Add(Torch, new TorchAdamW([.. tensors.Select(t => t.Dimensions)]));
            foreach ((_, string row, OptimizerVariant variant, _) in Variants)
                Add(row, new OurOptimizer(tensors, variant, options.Threads));

            IReadOnlyDictionary<string, Timing> times =
                Alternation.Measure([.. sides.Select(s => s with { Run = () => Repeat(s.Run) })], options.Runs, warmup: 1);
            report.Columns("side, time of one step", "GB/s");
            foreach (Side side in sides)
                report.Row(times[side.Name], StepsARun, Rate(side.Name, times[side.Name].Median / StepsARun, count));
            report.Remark(
                string.Create(CultureInfo.InvariantCulture,
                    $"{tensors.Count} tensors, {count:N0} parameters, {StepsARun} steps a run. "
                    + $"GB/s counts the bytes that the step has to move, not those it does. "
                    + $"The copies of the goals write past the caches, the fastest plain copy; "
                    + $"a step that writes in place what it has read can be faster still."));
            Close(report, times, noTorch);

            void Add(string row, IStepper stepper)
            {
                steppers.Add(stepper);
                sides.Add(new Side(row, stepper.Step));
            }
        }
        finally
        {
            foreach (IStepper stepper in steppers)
                stepper.Dispose();
        }
    }

    private static void Close(Report report, IReadOnlyDictionary<string, Timing> times, string? noTorch)
    {
        if (noTorch is null)
            report.AtLeast("torchsharp", times[Torch].Median / times[Variants[0].Row].Median, 8);
        else
            report.NotMeasured("torchsharp", "TorchSharp does not load here");
        foreach ((string goal, string row, _, int bytes) in Variants)
            report.AtMost(goal, times[row].Median / times[FloorRow(bytes)].Median, 1.15);
    }

    private static void Repeat(Action step)
    {
        for (int i = 0; i < StepsARun; i++)
            step();
    }

    private static string FloorRow(int bytes) => string.Create(CultureInfo.InvariantCulture, $"copy, {bytes} B a parameter");

    private static string Rate(string row, double seconds, long count)
    {
        int[] floors = [.. Variants.Where(v => v.Row == row || FloorRow(v.Floor) == row).Select(v => v.Floor)];
        return (floors.FirstOrDefault(StepBytes) * count / seconds / 1e9).ToString("F1", CultureInfo.InvariantCulture);
    }
}
