using System.Globalization;
using System.Text;

namespace Grokking;

// All runs beside the reference's, for the end of --compare.
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
            rows.AddRange(ReferenceRuns.All.Where(r => r.Optimizer == group.Key).Select(r => Cells(r, "  PyTorch")));
        }
        int[] widths = [.. Enumerable.Range(0, Head.Length).Select(c => rows.Max(r => r[c].Length))];
        var text = new StringBuilder();
        foreach (string[] row in rows) text.AppendLine(string.Join("  ", row.Select((cell, c) => c == 0 ? cell.PadRight(widths[c]) : cell.PadLeft(widths[c]))));
        return text.Append("First epoch with each accuracy; our seeds draw other splits and weights than PyTorch's of the same number unless --reference_seed is given.").ToString();
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
        double mean = values.Average()!.Value, deviation = Math.Sqrt(values.Sum(v => (v!.Value - mean) * (v.Value - mean)) / (values.Length - 1));
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
}
