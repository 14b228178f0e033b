using System.Collections.Immutable;
using System.Globalization;
using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>What is asked of a label column.</summary>
/// <param name="Column">Its name.</param>
/// <param name="IsClass">True for classes, false for numbers, null to decide by the values.</param>
/// <param name="Classes">Names of the classes in order; empty for those of the table.</param>
internal sealed record LabelChoice(string Column, bool? IsClass, ImmutableArray<string> Classes);

/// <summary>The labels of a table: a class or a number for each row.</summary>
/// <param name="Classes">Classes, or null.</param>
/// <param name="Targets">Numbers, or null.</param>
/// <param name="Names">What classes are called; empty where they are numbers of the table.</param>
internal sealed record LabelValues(long[]? Classes, float[]? Targets, ImmutableArray<string> Names)
{
    /// <summary>Whole numbers from here on are no classes.</summary>
    private const double MostClasses = 1L << 31;

    /// <summary>The column that a source has of them.</summary>
    public DataColumn Column => Classes is not null ? new("label", ElementType.Int64, [], true) { ClassNames = Names }
        : new("label", ElementType.Float, [1], true);

    /// <summary>The label of a row, as <see cref="Column"/> has it.</summary>
    public void Read(long row, Span<byte> target)
    {
        if (Classes is not null) BitConverter.TryWriteBytes(target, Classes[row]);
        else BitConverter.TryWriteBytes(target, Targets![row]);
    }

    /// <summary>Labels that are texts, some or all of which may be numbers.</summary>
    /// <returns>Null where there are problems.</returns>
    public static LabelValues? OfTexts(IReadOnlyList<string> texts, LabelChoice choice, List<string> problems)
    {
        double[] numbers = [.. texts.Select(t =>
            double.TryParse(t, NumberStyles.Float, CultureInfo.InvariantCulture, out double v) && double.IsFinite(v) ? v : double.NaN)];
        return Of(numbers, row => texts[row], choice, problems);
    }

    /// <summary>Labels that are numbers.</summary>
    /// <returns>Null where there are problems.</returns>
    public static LabelValues? OfNumbers(double[] numbers, LabelChoice choice, List<string> problems) =>
        Of(numbers, row => numbers[row].ToString(CultureInfo.InvariantCulture), choice, problems);

    // numbers: not a number where a label is a text.
    private static LabelValues? Of(double[] numbers, Func<int, string> text, LabelChoice choice, List<string> problems)
    {
        bool areNumbers = !numbers.Any(double.IsNaN);
        bool areWhole = areNumbers && numbers.All(v => v == Math.Floor(v) && v is >= 0 and < MostClasses);
        if (choice.IsClass == false || (choice.IsClass is null && areNumbers && !areWhole))
        {
            if (areNumbers) return new(null, [.. numbers.Select(v => (float)v)], []);
            int at = Array.FindIndex(numbers, double.IsNaN);
            problems.Add($"column '{choice.Column}': expected numbers, found '{text(at)}' in row {at + 1}");
            return null;
        }
        // Whole numbers are classes as they stand.
        if (areWhole && choice.Classes.Length == 0) return new([.. numbers.Select(v => (long)v)], null, []);
        CategoryNumbers index = new(choice.Classes);
        long[] classes = new long[numbers.Length];
        for (int i = 0; i < classes.Length; i++)
        {
            classes[i] = index.Of(text(i));
            if (classes[i] >= 0) continue;
            problems.Add($"column '{choice.Column}': '{text(i)}' in row {i + 1} is none of the classes "
                + $"{string.Join(", ", choice.Classes)}");
            return null;
        }
        return new(classes, null, index.Texts);
    }
}
