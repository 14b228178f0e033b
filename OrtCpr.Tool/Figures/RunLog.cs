using System.Globalization;

namespace OrtCpr.Tool.Figures;

// What a run has logged: metrics.csv and constraints.csv of its folder.
internal sealed record RunLog(string Name, IReadOnlyList<string> Columns, IReadOnlyList<double[]> Rows,
    IReadOnlyList<(string Matrix, double[] Steps, double[] Lambda, double[] Kappa, double[] Measure)> Constraints)
{
    private const int StepColumn = 0;

    public static RunLog Read(string folder)
    {
        string path = Path.Combine(folder, "metrics.csv");
        if (!File.Exists(path)) throw new ToolException($"'{folder}' has no metrics.csv. Name the --out folder of a run.");
        string[] lines = File.ReadAllLines(path);
        string[] columns = lines.Length == 0 ? [] : lines[0].Split(',');
        // A run that was killed may have left half a line.
        double[][] rows = [.. lines.Skip(1).Select(l => l.Split(',')).Where(c => c.Length == columns.Length)
            .Select(c => c.Select(Number).ToArray())];
        return new RunLog(Path.GetFileName(Path.GetFullPath(folder)), columns, rows,
            ReadConstraints(Path.Combine(folder, "constraints.csv")));
    }

    // The rows that have a figure, by step.
    public IReadOnlyList<(double Step, double Value)> Values(string column)
    {
        int at = Columns.ToList().IndexOf(column);
        return at < 0 ? [] : [.. Rows.Where(r => double.IsFinite(r[at])).Select(r => (r[StepColumn], r[at]))];
    }

    private static IReadOnlyList<(string, double[], double[], double[], double[])> ReadConstraints(string path)
    {
        if (!File.Exists(path)) return [];
        var rows = new Dictionary<string, List<double[]>>(StringComparer.Ordinal);
        foreach (string line in File.ReadLines(path).Skip(1))
        {
            // The name may hold commas and is quoted then: numbers are at both ends.
            string[] cells = line.Split(',');
            if (cells.Length < 5) continue;
            string name = string.Join(',', cells[1..^3]).Trim('"');
            if (!rows.TryGetValue(name, out List<double[]>? list)) rows[name] = list = [];
            list.Add([Number(cells[0]), Number(cells[^3]), Number(cells[^2]), Number(cells[^1])]);
        }
        return [.. rows.Select(m => (m.Key, Column(m.Value, 0), Column(m.Value, 1), Column(m.Value, 2), Column(m.Value, 3)))];
    }

    private static double[] Column(List<double[]> rows, int index) => [.. rows.Select(r => r[index])];

    private static double Number(string cell) => double.TryParse(cell, NumberStyles.Float, CultureInfo.InvariantCulture, out double value)
        ? value : double.NaN;
}
