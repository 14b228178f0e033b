using System.Collections.Immutable;
using System.Globalization;
using nietras.SeparatedValues;
using OrtCpr.Data;
using OrtCpr.Graph;

namespace OrtCpr.Vision;

/// <summary>Tables of pictures with their labels.</summary>
public static class ImageTable
{
    /// <summary>Opens a CSV file with a header line (RFC 4180) that has the path of a picture and its label in each line.</summary>
    /// <remarks>Texts become classes in order of their names (by code units), or in the order of <see cref="ImageOptions.Classes"/>; whole
    /// numbers from 0 on are classes as they stand; other numbers are numbers to predict, Float [1].
    /// <see cref="ImageOptions.Labels"/> says which where that is not what is meant.</remarks>
    /// <param name="csv">The file.</param>
    /// <param name="pathColumn">Column with the paths, relative to the folder of the file, or absolute.</param>
    /// <param name="labelColumn">Column with the labels; null for pictures without.</param>
    /// <param name="options">What becomes of the pictures; null for <see cref="ImageOptions.ImageNet"/>.</param>
    /// <exception cref="OptionException">An option is out of range.</exception>
    /// <exception cref="FileAccessException">The file can't be read.</exception>
    /// <exception cref="DataFileException">A column is missing, a line has another number of cells, a cell is empty, a picture does not
    /// exist or can't be read, a label is none of the classes, or there is one class only; at most twenty places are named, with their
    /// lines.</exception>
    public static ImageSource Open(string csv, string pathColumn, string? labelColumn, ImageOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(csv);
        ArgumentNullException.ThrowIfNull(pathColumn);
        options ??= ImageOptions.ImageNet;
        options.Check();
        try
        {
            using FileStream stream = File.OpenRead(csv);
            return new Reading(csv, options).Run(stream, pathColumn, labelColumn).Scan(options);
        }
        catch (Exception error) when (FileAccessException.IsFileError(error))
        {
            throw FileAccessException.CannotRead(csv, error);
        }
        catch (Exception error) when (error is InvalidDataException or ArgumentException or NotSupportedException)
        {
            throw new DataFileException($"'{csv}' is no table: {error.Message.ReplaceLineEndings(" ")}", error);
        }
    }

    /// <summary>One pass over a file.</summary>
    private sealed class Reading(string csv, ImageOptions options)
    {
        private const int MostListed = 20;
        private readonly List<string> _problems = [];
        private readonly List<string> _paths = [];
        private readonly List<string> _labels = [];
        private readonly List<int> _lines = [];

        public ImageEntries Run(Stream stream, string pathColumn, string? labelColumn)
        {
            string folder = Path.GetDirectoryName(Path.GetFullPath(csv))!;
            using SepReader reader = Sep.Reader(o => o with { Unescape = true, DisableColCountCheck = true }).From(stream);
            string[] header = [.. reader.Header.ColNames.Select(n => n.Trim().Trim('"').TrimStart('\uFEFF'))];
            int path = Find(header, pathColumn), label = labelColumn is null ? -1 : Find(header, labelColumn);
            foreach (SepReader.Row row in reader)
            {
                if (row.ColCount == 1 && row[0].Span.IsWhiteSpace() && header.Length > 1) continue;
                string line = $"line {row.LineNumberFrom}";
                if (row.ColCount != header.Length)
                {
                    _problems.Add($"{line}: {row.ColCount} cells, expected {header.Length}");
                    continue;
                }
                string name = row[path].Span.Trim().ToString(), text = label < 0 ? "" : row[label].Span.Trim().ToString();
                if (label >= 0 && text.Length == 0) _problems.Add($"{line}: the label is missing");
                if (name.Length == 0)
                {
                    _problems.Add($"{line}: the path is missing");
                    continue;
                }
                string full = Path.Combine(folder, name.Replace('\\', '/'));
                if (!File.Exists(full) && options.Damaged == DamagedImages.Refuse)
                    _problems.Add($"{line}: there is no file '{full}'");
                _paths.Add(full);
                _labels.Add(text);
                _lines.Add(row.LineNumberFrom);
            }
            if (_paths.Count == 0 && _problems.Count == 0) _problems.Add("there is no line after the header");
            (long[]? classes, float[]? numbers, ImmutableArray<string> names) = label < 0 || _problems.Count > 0 ? (null, null, [])
                : Labels(labelColumn!);
            if (_problems.Count > 0)
            {
                throw new DataFileException($"'{csv}': {string.Join("; ", _problems.Take(MostListed))}"
                    + $"{(_problems.Count > MostListed ? $"; and {_problems.Count - MostListed} more" : "")}. Mend the lines; paths are "
                    + "relative to the folder of the table.");
            }
            return new ImageEntries($"'{csv}'", [.. _paths], [.. _lines.Select(l => $"line {l}")], classes, numbers, names, 0);
        }

        private int Find(string[] header, string column)
        {
            int[] places = [.. Enumerable.Range(0, header.Length).Where(i => header[i] == column)];
            return places.Length == 1 ? places[0] : throw new DataFileException(places.Length == 0
                ? $"'{csv}', line 1: there is no column '{column}'; there are {string.Join(", ", header.Select(h => $"'{h}'"))}."
                : $"'{csv}', line 1: {places.Length} columns are named '{column}'. Rename them.");
        }

        private (long[]? Classes, float[]? Numbers, ImmutableArray<string> Names) Labels(string column)
        {
            double[] numbers = [.. _labels.Select(t =>
                double.TryParse(t, NumberStyles.Float, CultureInfo.InvariantCulture, out double v) && double.IsFinite(v) ? v : double.NaN)];
            bool areNumbers = !numbers.Any(double.IsNaN);
            bool areWhole = areNumbers && numbers.All(v => v == Math.Floor(v) && v is >= 0 and < 1 << 24);
            if (options.Labels == ImageLabels.Numbers || (options.Labels == ImageLabels.Auto && areNumbers && !areWhole))
            {
                for (int i = 0; i < numbers.Length; i++)
                    if (double.IsNaN(numbers[i])) _problems.Add($"line {_lines[i]}: '{_labels[i]}' in column '{column}' is no number");
                return (null, [.. numbers.Select(v => (float)v)], []);
            }
            string[] found = [.. _labels.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
            if (found.Length < 2)
            {
                _problems.Add($"column '{column}' has one class only, '{found[0]}'; expected at least two");
                return (null, null, []);
            }
            // Whole numbers are classes as they stand, unless they are the names of classes.
            if (areWhole && !options.Classes.Intersect(found).Any())
            {
                long[] classes = [.. numbers.Select(v => (long)v)];
                for (int i = 0; i < classes.Length && options.Classes.Length > 0; i++)
                {
                    if (classes[i] >= options.Classes.Length)
                        _problems.Add($"line {_lines[i]}: class {classes[i]}; expected 0 to {options.Classes.Length - 1}");
                }
                return (classes, null, options.Classes);
            }
            ImmutableArray<string> names = options.Classes.Length > 0 ? options.Classes : [.. found];
            long[] indices = [.. _labels.Select(l => (long)names.IndexOf(l))];
            for (int i = 0; i < indices.Length; i++)
            {
                if (indices[i] >= 0) continue;
                string known = string.Join(", ", names.Select(n => $"'{n}'"));
                _problems.Add($"line {_lines[i]}: '{_labels[i]}' is none of the classes {known}");
            }
            return (indices, null, names);
        }
    }
}
