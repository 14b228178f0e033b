using System.Globalization;

namespace OrtCpr.Tool.Figures;

// What a run has logged: metrics.csv and constraints.csv of its folder. The file is compiled into samples that draw as well.
internal sealed record RunLog(string Name, IReadOnlyList<string> Columns, IReadOnlyList<double[]> Rows,
    IReadOnlyList<(string Matrix, double[] Steps, double[] Lambda, double[] Kappa, double[] Measure)> Constraints)
{
    private const int StepColumn = 0, EpochColumn = 1;

    // At the last row of an epoch that is exact; rows inside of one have fewer steps behind them.
    public double StepsPerEpoch => Rows.Select(r => r[StepColumn] / (r[EpochColumn] + 1)).DefaultIfEmpty(1).Max();

    public static RunLog Read(string folder, string file = "metrics.csv")
    {
        string path = Path.Combine(folder, file);
        if (!File.Exists(path)) throw new FigureException($"'{folder}' has no {file}. Name the --out folder of a run.");
        string[] lines = ReadLines(path);
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
        foreach (string line in ReadLines(path).Skip(1))
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

    // Of a run that goes on, too: the file may be open for writing.
    private static string[] ReadLines(string path)
    {
        using var reader = new StreamReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
    }

    private static double[] Column(List<double[]> rows, int index) => [.. rows.Select(r => r[index])];

    private static double Number(string cell) => double.TryParse(cell, NumberStyles.Float, CultureInfo.InvariantCulture, out double value)
        ? value : double.NaN;
}
