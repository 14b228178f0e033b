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

    /// <summary>What stands for an empty cell of a feature that is no category; null (default) to refuse such a file.</summary>
    public float? MissingValue { get; init; }

    /// <summary>Character between two cells; null to take it from the first line. Default null.</summary>
    public char? Separator { get; init; }
}

/// <summary>A CSV file with a header line (RFC 4180): columns <c>features</c> Float [number of features] and, where
/// there is one, <c>label</c>.</summary>
internal sealed class CsvSource : DataSource
{
    private readonly float[] _features;
    private readonly LabelValues? _labels;
    private readonly int _width;

    private CsvSource(int count, float[] features, int width, LabelValues? labels, ImmutableArray<string> names)
    {
        (Count, _features, _width, _labels) = (count, features, width, labels);
        DataColumn all = new("features", ElementType.Float, [width]) { ElementNames = names };
        Columns = labels is null ? [all] : [all, labels.Column];
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
        else _labels!.Read(row, target);
    }

    /// <summary>One pass over a file.</summary>
    private sealed class CsvReading(string path, CsvOptions options)
    {
        private const int MostProblems = 10;
        private readonly List<string> _problems = [];
        private readonly List<float> _features = [];
        private readonly List<string> _labels = [];
        private readonly Dictionary<string, CategoryNumbers> _categories =
            options.Categorical.ToDictionary(c => c, _ => new CategoryNumbers([]), StringComparer.Ordinal);

        public CsvSource Run(Stream stream)
        {
            Sep? separator = options.Separator is char c ? new Sep(c) : null;
            using SepReader reader = Sep.Reader(o => o with { Sep = separator, Unescape = true, DisableColCountCheck = true }).From(stream);
            string[] header = [.. reader.Header.ColNames.Select(n => n.Trim().Trim('"').TrimStart('\uFEFF'))];
            (int[] columns, int label) =
                ColumnChoice.Find($"'{path}', line 1", header, options.Features, options.Categorical, options.Label);
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
            LabelValues? labels = label < 0 || _problems.Count > 0 ? null
                : LabelValues.OfTexts(_labels, new LabelChoice(options.Label!, options.IsClass, options.Classes), _problems);
            if (_problems.Count > 0)
            {
                throw new DataFileException(
                    $"'{path}': {string.Join("; ", _problems.Take(MostProblems))}{(_problems.Count > MostProblems ? "; and more" : "")}. "
                    + "Mend the lines, or choose other columns.");
            }
            return new CsvSource(count, [.. _features], columns.Length, labels, [.. columns.Select(i => header[i])]);
        }

        private float Number(ReadOnlySpan<char> cell, string column, int line)
        {
            cell = cell.Trim();
            if (_categories.TryGetValue(column, out CategoryNumbers? known))
            {
                string text = cell.ToString();
                if (text.Length == 0) _problems.Add($"line {line}, column '{column}': the cell is empty");
                return known.Of(text);
            }
            if (cell.IsEmpty && options.MissingValue is float replacement) return replacement;
            if (float.TryParse(cell, NumberStyles.Float, CultureInfo.InvariantCulture, out float value) && float.IsFinite(value))
                return value;
            string found = cell.IsEmpty ? "nothing"
                : $"'{(cell.Length > 30 ? cell[..30] : cell)}' (list the column as {nameof(CsvOptions.Categorical)} if it holds texts)";
            _problems.Add($"line {line}, column '{column}': expected a number, found {found}");
            return 0;
        }
    }
}
