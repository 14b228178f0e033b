using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.InteropServices;
using nietras.SeparatedValues;
using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>Which columns of a CSV file are read, and as what.</summary>
public sealed record CsvOptions
{
    /// <summary>Name of the column with the label; null for none. Default null.</summary>
    public string? Label { get; init; }

    /// <summary>True for a label that is a class (Int64), false for a number (Float [1]); null: a class where no label
    /// has a fraction, or where any is a text. Default null.</summary>
    public bool? IsClass { get; init; }

    /// <summary>Columns of the features, in order; empty for all others. Default empty.</summary>
    public ImmutableArray<string> Features { get; init; } = [];

    /// <summary>Feature columns with texts, which become 0, 1 … in the order of their first appearance. Default none.</summary>
    public ImmutableArray<string> Categorical { get; init; } = [];

    /// <summary>The label's texts in the order of their classes; empty for the order of first appearance. Default empty.</summary>
    public ImmutableArray<string> Classes { get; init; } = [];

    /// <summary>Character between two cells; null to take it from the first line. Default null.</summary>
    public char? Separator { get; init; }
}

/// <summary>A CSV file with a header line (RFC 4180): columns <c>features</c> Float [number of features] and, where
/// there is one, <c>label</c>.</summary>
internal sealed class CsvSource : DataSource
{
    private readonly float[] _features;
    private readonly long[]? _classes;
    private readonly float[]? _targets;
    private readonly int _width;

    private CsvSource(int count, float[] features, int width, long[]? classes, float[]? targets, ImmutableArray<string> names,
        ImmutableArray<string> classNames)
    {
        (Count, _features, _width, _classes, _targets) = (count, features, width, classes, targets);
        var columns = new List<DataColumn> { new("features", ElementType.Float, [width]) { ElementNames = names } };
        if (classes is not null) columns.Add(new("label", ElementType.Int64, [], true) { ClassNames = classNames });
        if (targets is not null) columns.Add(new("label", ElementType.Float, [1], true));
        Columns = columns;
    }

    /// <inheritdoc/>
    public override long Count { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<DataColumn> Columns { get; }

    public static CsvSource OfFile(string path, CsvOptions options)
    {
        ArgumentNullException.ThrowIfNull(path);
        return DataFile.Guard(path, () =>
        {
            using FileStream stream = File.OpenRead(path);
            return Read(stream, path, options);
        });
    }

    public static CsvSource Read(Stream stream, string path, CsvOptions options)
    {
        try
        {
            return new CsvReading(path, options).Run(stream);
        }
        catch (Exception error) when (error is InvalidDataException or ArgumentException or NotSupportedException)
        {
            throw new DataFileException($"'{path}' is no table: {error.Message.ReplaceLineEndings(" ")}", error);
        }
    }

    /// <inheritdoc/>
    public override void Read(int column, long row, Span<byte> target)
    {
        if (column == 0) MemoryMarshal.AsBytes(_features.AsSpan(checked((int)(row * _width)), _width)).CopyTo(target);
        else if (_classes is not null) BitConverter.TryWriteBytes(target, _classes[row]);
        else BitConverter.TryWriteBytes(target, _targets![row]);
    }

    /// <summary>One pass over a file.</summary>
    private sealed class CsvReading(string path, CsvOptions options)
    {
        private const int MostProblems = 10;
        private readonly List<string> _problems = [];
        private readonly List<float> _features = [];
        private readonly List<string> _labels = [];
        private readonly Dictionary<string, Dictionary<string, int>> _categories =
            options.Categorical.ToDictionary(c => c, _ => new Dictionary<string, int>(StringComparer.Ordinal), StringComparer.Ordinal);

        public CsvSource Run(Stream stream)
        {
            Sep? separator = options.Separator is char c ? new Sep(c) : null;
            using SepReader reader = Sep.Reader(o => o with { Sep = separator, Unescape = true, DisableColCountCheck = true }).From(stream);
            string[] header = [.. reader.Header.ColNames.Select(n => n.Trim().Trim('"').TrimStart('\uFEFF'))];
            int[] columns = Find(header, out int label);
            int count = 0;
            foreach (SepReader.Row row in reader)
            {
                if (_problems.Count >= MostProblems) break;
                if (row.ColCount == 1 && row[0].Span.IsWhiteSpace() && header.Length > 1) continue;
                count++;
                if (row.ColCount != header.Length)
                {
                    _problems.Add($"line {row.LineNumberFrom}: {row.ColCount} cells, expected {header.Length}");
                    continue;
                }
                foreach (int column in columns) _features.Add(Number(row[column].Span, header[column], row.LineNumberFrom));
                if (label < 0) continue;
                ReadOnlySpan<char> text = row[label].Span.Trim();
                if (text.IsEmpty) _problems.Add($"line {row.LineNumberFrom}, column '{header[label]}': the label is missing");
                _labels.Add(text.ToString());
            }
            if (count == 0) _problems.Add("there is no line after the header");
            (long[]? classes, float[]? targets, ImmutableArray<string> names) = label < 0 || _problems.Count > 0 ? (null, null, [])
                : Labels();
            if (_problems.Count > 0)
            {
                throw new DataFileException(
                    $"'{path}': {string.Join("; ", _problems.Take(MostProblems))}{(_problems.Count > MostProblems ? "; and more" : "")}. "
                    + "Mend the lines, or choose other columns.");
            }
            return new CsvSource(count, [.. _features], columns.Length, classes, targets, [.. columns.Select(i => header[i])], names);
        }

        private int[] Find(string[] header, out int label)
        {
            string[] wanted = [.. options.Features, .. options.Categorical, .. options.Label is null ? [] : new[] { options.Label }];
            string[] missing = [.. wanted.Distinct().Where(w => !header.Contains(w)).Select(w => $"'{w}'")];
            string[] twice = [.. wanted.Distinct().Where(w => header.Count(h => h == w) > 1).Select(w => $"'{w}'")];
            if (missing.Length > 0)
            {
                throw new DataFileException(
                    $"'{path}', line 1: there is no column {string.Join(", ", missing)}; "
                    + $"there are {string.Join(", ", header.Select(h => $"'{h}'"))}.");
            }
            if (twice.Length > 0)
                throw new DataFileException($"'{path}', line 1: several columns are named {string.Join(", ", twice)}. Rename them.");
            label = options.Label is null ? -1 : Array.IndexOf(header, options.Label);
            int[] columns = options.Features.Length > 0 ? [.. options.Features.Select(f => Array.IndexOf(header, f))]
                : [.. Enumerable.Range(0, header.Length).Where(i => header[i] != options.Label)];
            if (columns.Length == 0) throw new DataFileException($"'{path}', line 1: no column is left for features.");
            return columns;
        }

        private float Number(ReadOnlySpan<char> cell, string column, int line)
        {
            cell = cell.Trim();
            if (_categories.TryGetValue(column, out Dictionary<string, int>? known))
            {
                string text = cell.ToString();
                if (text.Length == 0) _problems.Add($"line {line}, column '{column}': the cell is empty");
                if (!known.TryGetValue(text, out int number)) known[text] = number = known.Count;
                return number;
            }
            if (float.TryParse(cell, NumberStyles.Float, CultureInfo.InvariantCulture, out float value) && float.IsFinite(value))
                return value;
            string found = cell.IsEmpty ? "nothing"
                : $"'{(cell.Length > 30 ? cell[..30] : cell)}' (list the column as {nameof(CsvOptions.Categorical)} if it holds texts)";
            _problems.Add($"line {line}, column '{column}': expected a number, found {found}");
            return 0;
        }

        private (long[]? Classes, float[]? Targets, ImmutableArray<string> Names) Labels()
        {
            double[] numbers = [
                .. _labels.Select(t =>
                    double.TryParse(t, NumberStyles.Float, CultureInfo.InvariantCulture, out double v) ? v : double.NaN)];
            bool areNumbers = !numbers.Any(double.IsNaN);
            bool areWhole = areNumbers && numbers.All(v => v == Math.Floor(v) && v is >= 0 and < 1L << 31);
            if (options.IsClass == false || (options.IsClass is null && areNumbers && !areWhole))
            {
                if (areNumbers) return (null, [.. numbers.Select(v => (float)v)], []);
                int at = Array.FindIndex(numbers, double.IsNaN);
                _problems.Add($"column '{options.Label}': expected numbers, found '{_labels[at]}' in row {at + 1}");
                return (null, null, []);
            }
            // Whole numbers are classes as they stand.
            if (areWhole && options.Classes.Length == 0) return ([.. numbers.Select(v => (long)v)], null, []);
            List<string> names = [.. options.Classes];
            var index = names.Select((n, i) => (n, i)).ToDictionary(n => n.n, n => n.i, StringComparer.Ordinal);
            long[] classes = new long[_labels.Count];
            for (int i = 0; i < classes.Length; i++)
            {
                if (!index.TryGetValue(_labels[i], out int number))
                {
                    if (options.Classes.Length > 0)
                    {
                        _problems.Add(
                            $"column '{options.Label}': '{_labels[i]}' in row {i + 1} is none of the classes "
                            + $"{string.Join(", ", options.Classes)}");
                        break;
                    }
                    index[_labels[i]] = number = names.Count;
                    names.Add(_labels[i]);
                }
                classes[i] = number;
            }
            return (classes, null, [.. names]);
        }
    }
}
