using System.Globalization;
using Samples;

namespace Gpt2;

// Perplexities of finished runs, in a file, and the verdict.
internal sealed class ResultTable
{
    public const string Cpr = "adamcpr", ShortCpr = "adamcpr-two-thirds";

    private const string Head = "optimizer,seed,steps,perplexity";
    private readonly string _path;
    private readonly List<(string Name, int Seed, long Steps, double Perplexity)> _rows = [];

    public ResultTable(string path, bool resume)
    {
        _path = path;
        if (resume && File.Exists(path))
        {
            foreach (string[] cells in File.ReadLines(path).Skip(1).Select(l => l.Split(',')).Where(c => c.Length == 4))
            {
                _rows.Add((cells[0], int.Parse(cells[1], CultureInfo.InvariantCulture), long.Parse(cells[2], CultureInfo.InvariantCulture),
                    double.Parse(cells[3], CultureInfo.InvariantCulture)));
            }
        }
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        Save();
    }

    public bool Has(string name, int seed) => _rows.Any(r => r.Name == name && r.Seed == seed);

    public void Add(string name, int seed, long steps, double perplexity)
    {
        _rows.Add((name, seed, steps, perplexity));
        Save();
    }

    public void Write(TextWriter output)
    {
        output.WriteLine("| optimizer | steps | seeds | validation perplexity |\n|---|---:|---:|---:|");
        foreach (IGrouping<string, (string Name, int Seed, long Steps, double Perplexity)> group in _rows.GroupBy(r => r.Name))
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"| {group.Key} | {group.First().Steps} | {group.Count()} | {Of(group.Key).ToString("F2")} |"));
        }
        string[] rivals = [.. _rows.Select(r => r.Name).Distinct().Where(n => n.StartsWith("adamw", StringComparison.Ordinal))];
        if (rivals.Length == 0) return;
        string best = rivals.MinBy(r => Of(r).Mean)!;
        foreach ((string name, string what) in new[] { (Cpr, "at equal steps"), (ShortCpr, "at two thirds of the steps") })
        {
            if (_rows.Any(r => r.Name == name))
            {
                output.WriteLine($"AdamCPR {what}: {Verdict(Of(name), Of(best))} than the best AdamW ({best}).");
            }
        }
    }

    // A difference counts when it is more than both deviations together.
    private static string Verdict(Spread ours, Spread theirs)
    {
        double difference = theirs.Mean - ours.Mean, noise = ours.Deviation + theirs.Deviation;
        string size = string.Create(CultureInfo.InvariantCulture, $"{Math.Abs(difference):F2} perplexity");
        return Math.Abs(difference) <= noise ? $"no clear difference ({size}, within the deviations), neither better nor worse"
            : difference > 0 ? $"{size} better" : $"{size} WORSE";
    }

    private Spread Of(string name) => Spread.Of([.. _rows.Where(r => r.Name == name).Select(r => r.Perplexity)]);

    private void Save() =>
        File.WriteAllLines(_path,
        _rows.Select(r => string.Create(CultureInfo.InvariantCulture, $"{r.Name},{r.Seed},{r.Steps},{r.Perplexity:R}")).Prepend(Head));
}
