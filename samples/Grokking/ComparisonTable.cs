using System.Globalization;
using System.Text;

namespace Grokking;

/// <summary>All runs beside the reference's, for the end of an experiment of several.</summary>
internal static class ComparisonTable
{
    private static readonly string[] Head = ["", "seed", "train >= 0.99", "val >= 0.95", "val >= 0.99", "end", "val acc", "steps/s"];

    public static string Of(IEnumerable<RunSummary> runs)
    {
        List<string[]> rows = [Head];
        foreach (IGrouping<string, RunSummary> group in runs.GroupBy(r => r.Optimizer))
        {
            rows.AddRange(group.Select(r => Cells(r, r.Optimizer)));
            if (group.Count() > 1) rows.Add(Means([.. group]));
            rows.AddRange(Reference.Where(r => r.Optimizer == group.Key).Select(r => Cells(r, "  PyTorch")));
        }
        int[] widths = [.. Enumerable.Range(0, Head.Length).Select(c => rows.Max(r => r[c].Length))];
        var text = new StringBuilder();
        foreach (string[] row in rows)
        {
            text.AppendLine(string.Join("  ", row.Select((cell, c) => c == 0 ? cell.PadRight(widths[c]) : cell.PadLeft(widths[c]))));
        }
        return text.Append("First epoch with each accuracy; our seeds draw other splits and weights than PyTorch's of the same number "
            + "unless --reference_seed is given.").ToString();
    }

    // Over the seeds; a milestone that one of them has not reached has no mean.
    private static string[] Means(RunSummary[] runs) =>
    [
        "  mean ± deviation",
        $"{runs.Length} seeds",
        Mean(runs, r => r.Milestones.Train99),
        Mean(runs, r => r.Milestones.Validation95),
        Mean(runs, r => r.Milestones.Validation99),
        Mean(runs, r => r.Milestones.LastEpoch),
        Mean(runs, r => r.Milestones.ValidationAccuracy, "F3"),
        Mean(runs, r => r.StepsPerSecond),
    ];

    private static string Mean(RunSummary[] runs, Func<RunSummary, double?> figure, string format = "F0")
    {
        double?[] values = [.. runs.Select(figure)];
        if (values.Any(v => v is null)) return "-";
        double mean = values.Average()!.Value,
            deviation = Math.Sqrt(values.Sum(v => (v!.Value - mean) * (v.Value - mean)) / (values.Length - 1));
        return $"{mean.ToString(format, CultureInfo.InvariantCulture)} ± {deviation.ToString(format, CultureInfo.InvariantCulture)}";
    }

    private static string[] Cells(RunSummary r, string name) =>
    [
        name,
        r.Seed.ToString(CultureInfo.InvariantCulture),
        Milestones.Text(r.Milestones.Train99),
        Milestones.Text(r.Milestones.Validation95),
        Milestones.Text(r.Milestones.Validation99),
        Milestones.Text(r.Milestones.LastEpoch),
        r.Milestones.ValidationAccuracy.ToString("F3", CultureInfo.InvariantCulture),
        r.StepsPerSecond.ToString("F0", CultureInfo.InvariantCulture),
    ];

    // First epochs of the reference: the same experiment in PyTorch 2.13 with pytorch-cpr 0.3.1, float32 on a CPU, evaluated every tenth
    // epoch.
    private static readonly RunSummary[] Reference =
    [
        Row("adamw", 1, 70, null, null, 1000, 0.016), Row("adamw", 2, 70, null, null, 1000, 0.099),
        Row("adamw-0.3", 1, 80, null, null, 1000, 0.031), Row("adamw-0.3", 2, 80, null, null, 1000, 0.109),
        Row("adamw-1.0", 1, 110, null, null, 1000, 0.284), Row("adamw-1.0", 2, 120, 890, 920, 930, 0.998),
        Row("adam-rescale", 1, null, null, null, 1000, 0.766), Row("adam-rescale", 2, null, 980, null, 1000, 0.890),
        Row("adamcpr-l2", 1, 250, 260, 290, 320, 1.000), Row("adamcpr-l2", 2, 230, 250, 260, 270, 0.998),
        Row("adamcpr-std", 1, null, null, null, 1000, 0.479), Row("adamcpr-std", 2, 390, 370, null, 1000, 0.880),
    ];

    // Steps a second of the reference on two threads of an idle 2-core machine: 1000 took 16.1 s.
    private static RunSummary Row(string name, long seed, int? train99, int? validation95, int? validation99, int end, double accuracy) =>
        new(name, seed, new Milestones(train99, validation95, validation99, end, accuracy, end < 1000), 1000 / 16.1);
}
