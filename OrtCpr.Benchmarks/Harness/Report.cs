using System.Globalization;
using System.Text;

namespace OrtCpr.Benchmarks.Harness;

/// <summary>What a benchmark found: a table, remarks and one line a goal.</summary>
internal sealed class Report(string name, string title)
{
    private const int ProseColumns = 120;

    private readonly List<string[]> _rows = [];
    private readonly List<string> _remarks = [];
    private readonly List<string> _goals = [];
    private string[] _columns = ["", "median ms", "fastest", "slowest"];

    public bool HasRows => _rows.Count > 0;

    /// <summary>Heads of the columns after the first three figures of every row.</summary>
    public void Columns(string first, params string[] more) => _columns = [first, "median ms", "fastest", "slowest", .. more];

    /// <summary>Adds a row of times, each divided by <paramref name="work"/> (steps in a run).</summary>
    public void Row(Timing timing, double work = 1, params string[] more) =>
        _rows.Add([timing.Name, Milliseconds(timing.Median / work), Milliseconds(timing.Fastest / work),
            Milliseconds(timing.Slowest / work), .. more]);

    /// <summary>Heads of a table whose figures are no times of runs.</summary>
    public void Table(params string[] columns) => _columns = columns;

    /// <summary>A row of such a table.</summary>
    public void Cells(params string[] cells) => _rows.Add(cells);

    public void Remark(string text) => _remarks.Add(text);

    /// <summary>A goal that wants a high ratio.</summary>
    public void AtLeast(string? goal, double ratio, double bound) => Close(goal, ratio, bound, ratio >= bound);

    /// <summary>A goal that wants a low ratio.</summary>
    public void AtMost(string? goal, double ratio, double bound) => Close(goal, ratio, bound, ratio <= bound);

    /// <summary>A goal that wants a ratio near a value.</summary>
    public void Near(string goal, double ratio, double value, double tolerance) =>
        Close(goal, ratio, value, Math.Abs(ratio - value) <= tolerance, string.Create(CultureInfo.InvariantCulture, $" ± {tolerance:G4}"));

    /// <summary>A goal without a figure, and why.</summary>
    public void NotMeasured(string? goal, string reason) => _goals.Add($"{Label(goal)}: not measured ({reason})");

    public string ToText()
    {
        int[] widths = [.. _columns.Select((c, i) => _rows.Select(r => r[i].Length).Append(c.Length).Max())];
        StringBuilder text = new();
        if (HasRows)
        {
            foreach (string[] row in _rows.Prepend(_columns))
            {
                text.AppendLine(string.Join("  ", row.Select((cell, i) => i == 0 ? cell.PadRight(widths[i]) : cell.PadLeft(widths[i])))
                    .TrimEnd());
            }
        }
        foreach (string remark in _remarks)
            text.AppendLine(remark);
        foreach (string goal in _goals)
            text.AppendLine(goal);
        return text.ToString().TrimEnd();
    }

    public string ToMarkdown(BenchmarkOptions options)
    {
        StringBuilder text = new();
        text.AppendLine($"{char.ToUpperInvariant(title[0])}{title[1..]}.").AppendLine();
        text.AppendLine(Wrapped(string.Create(CultureInfo.InvariantCulture,
            $"{DateTime.UtcNow:yyyy-MM-dd}, {Machine.Describe(options.Threads)}"))).AppendLine();
        text.AppendLine($"`{options.CommandFor(name)}`").AppendLine();
        text.AppendLine($"| {string.Join(" | ", _columns)} |");
        text.AppendLine($"|---|{string.Concat(Enumerable.Repeat("---:|", _columns.Length - 1))}");
        foreach (string[] row in _rows)
            text.AppendLine($"| {string.Join(" | ", row)} |");
        text.AppendLine();
        foreach (string remark in _remarks)
            text.AppendLine(Wrapped(remark)).AppendLine();
        foreach (string goal in _goals)
            text.AppendLine($"- {goal}");
        return text.ToString().Replace("\r\n", "\n", StringComparison.Ordinal).TrimEnd();
    }

    /// <summary>A paragraph in lines of at most 120 columns.</summary>
    private static string Wrapped(string paragraph)
    {
        var text = new StringBuilder();
        int column = 0;
        foreach (string word in paragraph.Split(' '))
        {
            bool breaks = column > 0 && column + 1 + word.Length > ProseColumns;
            if (column > 0) text.Append(breaks ? '\n' : ' ');
            text.Append(word);
            column = (column == 0 || breaks ? 0 : column + 1) + word.Length;
        }
        return text.ToString();
    }

    private void Close(string? goal, double ratio, double bound, bool met, string tolerance = "") =>
        _goals.Add(string.Create(CultureInfo.InvariantCulture,
            $"{Label(goal)}: ratio {ratio:G4}, goal {bound:G4}{tolerance}, {(met ? "met" : "missed")}"));

    private string Label(string? goal) => goal is null ? name : $"{name}.{goal}";

    private static string Milliseconds(double seconds) =>
        (seconds * 1e3).ToString(seconds < 0.01 ? "F3" : seconds < 0.1 ? "F2" : "F1", CultureInfo.InvariantCulture);
}
