using System.Collections.Immutable;
using System.Globalization;
using OrtCpr.Tool.Figures;
using Samples;

namespace Grokking;

/// <summary>What a finished run came to: figures in the order of the columns, null for an accuracy that it never had.</summary>
internal sealed record RunSummary(string Name, long Seed, ImmutableArray<double?> Figures)
{
    private static readonly (string Head, string Format)[] Columns =
        [("train >= 0.99", "F0"), ("val >= 0.95", "F0"), ("val >= 0.99", "F0"), ("end", "F0"), ("val acc", "F3"), ("steps/s", "F0")];

    private string[] Cells =>
        [.. Figures.Select((figure, i) => figure?.ToString(Columns[i].Format, CultureInfo.InvariantCulture) ?? "-")];

    public static RunSummary Of(Run run, double stepsPerSecond)
    {
        RunLog log = run.Log;
        double? First(string column, double least) => log.Values(column).Where(v => v.Value >= least)
            .Select(v => (double?)(v.Step / log.StepsPerEpoch)).FirstOrDefault();
        (double step, double accuracy) = log.Values("validation_accuracy")[^1];
        return new(run.Recipe.Name, run.Seed, [First("training_accuracy", 0.99), First("validation_accuracy", 0.95),
            First("validation_accuracy", 0.99), step / log.StepsPerEpoch, accuracy, stepsPerSecond]);
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Name} seed {Seed}: train >= 0.99 at epoch {Cells[0]}, validation >= 0.95 at epoch {Cells[1]}, {Cells[^1]} steps/s");

    /// <summary>All runs beside the reference's, which are the same experiment in PyTorch 2.13 with pytorch-cpr 0.3.1, float32 on a CPU,
    /// evaluated every tenth epoch; its steps a second are those of two threads of an idle 2-core machine.</summary>
    public static string Table(IEnumerable<RunSummary> runs)
    {
        string[][] reference = [.. File.ReadLines(Path.Combine(AppContext.BaseDirectory, "reference", "milestones.csv")).Skip(1)
            .Select(line => line.Split(','))];
        List<string[]> rows = [["", "seed", .. Columns.Select(c => c.Head)]];
        foreach (IGrouping<string, RunSummary> group in runs.GroupBy(r => r.Name))
        {
            rows.AddRange(group.Select(r => (string[])[r.Name, r.Seed.ToString(CultureInfo.InvariantCulture), .. r.Cells]));
            if (group.Count() > 1)
                rows.Add(["  mean ± deviation", $"{group.Count()} seeds", .. Columns.Select((c, i) => Mean([.. group], i, c.Format))]);
            rows.AddRange(reference.Where(cells => cells[0] == group.Key).Select(cells => (string[])["  PyTorch", .. cells[1..]]));
        }
        int[] widths = [.. Enumerable.Range(0, rows[0].Length).Select(c => rows.Max(r => r[c].Length))];
        return string.Concat(rows.Select(row => string.Join("  ", row.Select((cell, c) =>
            c == 0 ? cell.PadRight(widths[c]) : cell.PadLeft(widths[c]))) + Environment.NewLine))
            + "First epoch with each accuracy; our seeds draw other splits and weights than PyTorch's of the same number unless "
            + "--reference_seed is given.";
    }

    // A milestone that one of the runs has not reached has no mean.
    private static string Mean(RunSummary[] runs, int column, string format) => runs.Any(r => r.Figures[column] is null) ? "-"
        : Spread.Of([.. runs.Select(r => r.Figures[column]!.Value)]).ToString(format);
}
