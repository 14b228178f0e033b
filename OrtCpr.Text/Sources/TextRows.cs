using System.Text.Json;
using nietras.SeparatedValues;
using OrtCpr.Data;

namespace OrtCpr.Text;

/// <summary>One example of a file as it stands there.</summary>
/// <param name="Line">Where it begins, or which row it is, from 1.</param>
/// <param name="Text">The text, or the first one of a pair.</param>
/// <param name="Pair">The second one, or null.</param>
/// <param name="Label">The label, or null.</param>
internal sealed record TextRow(int Line, string Text, string? Pair, string? Label)
{
    /// <summary>What the file's rows are counted by.</summary>
    public string Unit { get; init; } = "line";

    /// <summary>Where it stands, for people.</summary>
    public string Where => $"{Unit} {Line}";

    /// <summary>The words of the text, where each has a label.</summary>
    public IReadOnlyList<string>? Words { get; init; }

    /// <summary>Their labels.</summary>
    public IReadOnlyList<string>? WordLabels { get; init; }
}

/// <summary>The rows of a file, one after the other. What is wrong with one goes to the list of problems, and the row is left
/// out.</summary>
internal static class TextRows
{
    // Empty: by white space.
    private static readonly char[] WhiteSpace = [];

    public static IEnumerable<TextRow> OfCsv(string path, TextOptions options, List<string> problems)
    {
        Sep? separator = options.Separator is char c ? new Sep(c) : null;
        using FileStream stream = DataFile.Guard(path, () => File.OpenRead(path));
        using SepReader reader = Sep.Reader(o => o with { Sep = separator, Unescape = true, DisableColCountCheck = true }).From(stream);
        string[] header = [.. reader.Header.ColNames.Select(n => n.Trim().Trim('"').TrimStart('\uFEFF'))];
        int[] columns = Find(path, header, options);
        foreach (SepReader.Row row in reader)
        {
            if (row.ColCount == 1 && row[0].Span.IsWhiteSpace() && header.Length > 1) continue;
            int line = row.LineNumberFrom;
            if (row.ColCount != header.Length)
            {
                problems.Add($"line {line}: {row.ColCount} cells, expected {header.Length} (a text with a separator in it stands in "
                    + "quotes)");
                continue;
            }
            string?[] cells = new string?[columns.Length];
            for (int i = 0; i < columns.Length; i++) cells[i] = columns[i] < 0 ? null : row[columns[i]].ToString();
            yield return Of(line, cells[0]!, cells[1], cells[2], options);
        }
    }

    private static int[] Find(string path, string[] header, TextOptions options)
    {
        string?[] wanted = [options.Text, options.Pair, options.Label];
        string[] missing = [.. wanted.OfType<string>().Where(w => !header.Contains(w)).Distinct().Select(w => $"'{w}'")];
        string[] twice = [.. wanted.OfType<string>().Where(w => header.Count(h => h == w) > 1).Distinct().Select(w => $"'{w}'")];
        if (missing.Length > 0)
        {
            throw new DataFileException($"'{path}', line 1: there is no column {string.Join(", ", missing)}; there are "
                + $"{string.Join(", ", header.Select(h => $"'{h}'"))}.");
        }
        if (twice.Length > 0)
            throw new DataFileException($"'{path}', line 1: several columns are named {string.Join(", ", twice)}. Rename them.");
        return [.. wanted.Select(w => w is null ? -1 : Array.IndexOf(header, w))];
    }

    public static IEnumerable<TextRow> OfJsonLines(string path, TextOptions options, List<string> problems)
    {
        using FileStream stream = DataFile.Guard(path, () => File.OpenRead(path));
        using var reader = new StreamReader(stream);
        int number = 0;
        while (reader.ReadLine() is string line)
        {
            number++;
            if (string.IsNullOrWhiteSpace(line)) continue;
            if (OfJson(number, line, options, problems) is TextRow row) yield return row;
        }
    }

    private static TextRow? OfJson(int line, string text, TextOptions options, List<string> problems)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(text);
            JsonElement root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
            {
                problems.Add($"line {line}: {root.ValueKind} in place of an object with the columns' names");
                return null;
            }
            string[] names = [.. root.EnumerateObject().Select(p => p.Name)];
            string[] missing = [.. new[] { options.Text, options.Pair, options.Label }.OfType<string>().Where(n => !names.Contains(n))];
            if (missing.Length > 0)
            {
                problems.Add($"line {line}: there is no {string.Join(", ", missing.Select(m => $"'{m}'"))}; there are "
                    + $"{string.Join(", ", names.Select(n => $"'{n}'"))}");
                return null;
            }
            if (options.LabelsWords && root.GetProperty(options.Text).ValueKind == JsonValueKind.Array)
            {
                string[] words = List(root.GetProperty(options.Text));
                JsonElement labels = options.Label is null ? default : root.GetProperty(options.Label);
                return new TextRow(line, string.Join(' ', words), null, null)
                {
                    Words = words,
                    WordLabels = labels.ValueKind == JsonValueKind.Array ? List(labels) : [Plain(labels)],
                };
            }
            string[] cells = [.. new[] { options.Text, options.Pair, options.Label }.Select(n => n is null ? ""
                : Plain(root.GetProperty(n)))];
            return Of(line, cells[0], options.Pair is null ? null : cells[1], options.Label is null ? null : cells[2], options);
        }
        catch (JsonException error)
        {
            problems.Add($"line {line}: it is no JSON: {error.Message.ReplaceLineEndings(" ")}");
            return null;
        }
    }

    /// <summary>A row of single texts, taken apart where each word has a label.</summary>
    public static TextRow Of(int line, string text, string? pair, string? label, TextOptions options) =>
        !options.LabelsWords ? new TextRow(line, text, pair, label?.Trim()) : new TextRow(line, text, null, null)
        {
            Words = text.Split(WhiteSpace, StringSplitOptions.RemoveEmptyEntries),
            WordLabels = label?.Split(WhiteSpace, StringSplitOptions.RemoveEmptyEntries),
        };

    private static string[] List(JsonElement list) => [.. list.EnumerateArray().Select(Plain)];

    // Lists and objects stay JSON, so that no label is taken for another.
    private static string Plain(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString()!,
        JsonValueKind.Null or JsonValueKind.Undefined => "",
        _ => value.GetRawText(),
    };
}
