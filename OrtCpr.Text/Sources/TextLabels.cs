using System.Collections.Immutable;
using System.Globalization;

namespace OrtCpr.Text;

/// <summary>What the texts of a label column come to.</summary>
/// <param name="Classes">A class for each, or null.</param>
/// <param name="Numbers">A number for each, or null.</param>
/// <param name="Names">What classes are called; empty where they are numbers of the file.</param>
internal sealed record TextLabels(long[]? Classes, float[]? Numbers, ImmutableArray<string> Names)
{
    private const double MostClasses = 1L << 31;

    /// <summary>Reads labels.</summary>
    /// <param name="labels">As they stand in the file, and where they stand.</param>
    /// <param name="options">Kind and names of classes.</param>
    /// <param name="problems">What is wrong.</param>
    public static TextLabels? Of(IReadOnlyList<(string Text, string Where)> labels, TextOptions options, List<string> problems)
    {
        double[] numbers = [.. labels.Select(l =>
            double.TryParse(l.Text, NumberStyles.Float, CultureInfo.InvariantCulture, out double v) && double.IsFinite(v) ? v
                : double.NaN)];
        bool areNumbers = !numbers.Any(double.IsNaN);
        bool areWhole = areNumbers && numbers.All(v => v == Math.Floor(v) && v is >= 0 and < MostClasses);
        if (!options.LabelsWords && options.Classes.Length == 0
            && (options.IsClass == false || (options.IsClass is null && areNumbers && !areWhole)))
        {
            if (areNumbers) return new TextLabels(null, [.. numbers.Select(v => (float)v)], []);
            foreach ((string text, string where) in labels.Where((_, i) => double.IsNaN(numbers[i])))
                problems.Add($"{where}, column '{options.Label}': expected a number, found '{text}'");
            return null;
        }
        string[] texts = [.. labels.Select(l => l.Text).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        if (texts.Length == 1 && options.Classes.Length == 0 && !options.AllowOneClass)
        {
            problems.Add($"column '{options.Label}' has one class only, '{texts[0]}': there is nothing to tell apart");
            return null;
        }
        // Whole numbers are classes as they stand.
        if (areWhole && (options.Classes.Length == 0
            || (numbers.All(v => v < options.Classes.Length) && !options.Classes.Any(texts.Contains))))
        {
            return new TextLabels([.. numbers.Select(v => (long)v)], null, options.Classes);
        }
        ImmutableArray<string> names = options.Classes.Length > 0 ? options.Classes : [.. texts];
        var index = names.Select((n, i) => (n, i)).ToDictionary(n => n.n, n => (long)n.i, StringComparer.Ordinal);
        string[] unknown = [.. texts.Where(t => !index.ContainsKey(t))];
        foreach (string text in unknown)
        {
            problems.Add($"{labels.First(l => l.Text == text).Where}, column '{options.Label}': '{text}' is none of the classes "
                + $"{string.Join(", ", names.Take(20).Select(n => $"'{n}'"))}{(names.Length > 20 ? " …" : "")}");
        }
        return unknown.Length > 0 ? null : new TextLabels([.. labels.Select(l => index[l.Text])], null, names);
    }
}
