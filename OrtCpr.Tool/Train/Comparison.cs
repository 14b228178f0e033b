using System.Globalization;
using OrtCpr.Tool.Figures;

namespace OrtCpr.Tool.Train;

// Several optimizers, each over several seeds: mean and deviation of what they came to.
internal static class Comparison
{
    public static void Write(IReadOnlyList<RunLog> runs)
    {
        string[] figures = [.. runs.SelectMany(r => r.Columns)
            .Where(c => c == "loss" || c.StartsWith("validation_", StringComparison.Ordinal)).Distinct()];
        int width = Math.Max("optimizer".Length, runs.Max(r => r.Name.Length));
        Console.WriteLine($"{"optimizer".PadRight(width)}  seeds  {string.Join("  ", figures.Select(f => f.PadRight(24)))}");
        foreach (IGrouping<string, RunLog> group in runs.GroupBy(r => r.Name))
        {
            string[] cells = [.. figures.Select(f =>
            {
                double[] last = [.. group.Select(r => r.Values(f)).Where(v => v.Count > 0).Select(v => v[^1].Value)];
                if (last.Length == 0) return "-";
                double mean = last.Average(), deviation = last.Length < 2 ? 0
                    : Math.Sqrt(last.Sum(v => (v - mean) * (v - mean)) / (last.Length - 1));
                return string.Create(CultureInfo.InvariantCulture, $"{mean:G5} ± {deviation:G2}");
            })];
            string row = string.Join("  ", cells.Select(c => c.PadRight(24)));
            Console.WriteLine($"{group.Key.PadRight(width)}  {group.Count(),5}  {row}".TrimEnd());
        }
    }
}
