using System.Collections.Immutable;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using nietras.SeparatedValues;
using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>WAV files as examples: columns <c>audio</c> Float [samples] or [channels, samples] and, where there are classes,
/// <c>label</c> Int64. What files say of themselves is read at once, their samples when they are used.</summary>
internal sealed class WavSource : DataSource
{
    private const int MostProblems = 10;

    private readonly (string Path, WavFormat Format)[] _files;
    private readonly long[]? _classes;
    private readonly WavOptions _options;
    private readonly int _channels, _samples;

    private WavSource((string Path, WavFormat Format)[] files, long[]? classes, ImmutableArray<string> names, WavOptions options)
    {
        (_files, _classes, _options, Count) = (files, classes, options, files.Length);
        _channels = options.KeepChannels ? files[0].Format.Channels : 1;
        long longest = files.Max(f => Resampler.LengthOf(f.Format.Frames, f.Format.SampleRate, options.SampleRate));
        _samples = checked((int)(options.Samples ?? longest));
        long[] dims = options.KeepChannels || options.ChannelAxis ? [_channels, _samples] : [_samples];
        var columns = new List<DataColumn>
        {
            new("audio", ElementType.Float, dims) { PaddedAxis = options.Samples is null ? dims.Length - 1 : null },
        };
        if (classes is not null) columns.Add(new("label", ElementType.Int64, [], true) { ClassNames = names });
        Columns = columns;
    }

    /// <inheritdoc/>
    public override long Count { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<DataColumn> Columns { get; }

    /// <summary>A folder whose subfolders are classes, or that has WAV files itself; or a CSV file.</summary>
    public static WavSource Of(string path, WavOptions options)
    {
        ArgumentNullException.ThrowIfNull(path);
        var problems = new List<string>();
        if (options.SampleRate < 1) problems.Add($"{nameof(WavOptions.SampleRate)} is {options.SampleRate}; expected at least 1");
        if (options.Samples < 1) problems.Add($"{nameof(WavOptions.Samples)} is {options.Samples}; expected at least 1");
        OptionException.ThrowIfAny("The options of WAV files make no sense", problems);
        List<(string Path, string? Class, string Where)> files = DataFile.Guard(path, () => Directory.Exists(path)
            ? OfFolder(path, problems)
            : OfCsv(path, options, problems));
        if (files.Count == 0 && problems.Count == 0) problems.Add("there is no WAV file");
        var read = new List<(string Path, WavFormat Format)>();
        foreach ((string file, _, string where) in files)
        {
            if (problems.Count > MostProblems) break;
            if (Read(file, where, options, problems) is WavFormat format) read.Add((file, format));
        }
        if (problems.Count == 0 && options.KeepChannels && read.Select(f => f.Format.Channels).Distinct().Count() > 1)
        {
            problems.Add("numbers of channels differ: " + string.Join(", ", read.GroupBy(f => f.Format.Channels)
                .Select(g => $"{g.Key} in {Path.GetFileName(g.First().Path)} and {g.Count() - 1} more")));
        }
        ImmutableArray<string> names = options.Classes.Length > 0 ? options.Classes
            : [.. files.Select(f => f.Class).OfType<string>().Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        bool hasClasses = files.Any(f => f.Class is not null);
        if (problems.Count == 0 && hasClasses) CheckClasses(files, names, options, problems);
        if (problems.Count > 0)
        {
            throw new DataFileException($"'{path}': {string.Join("; ", problems.Take(MostProblems))}"
                + $"{(problems.Count > MostProblems ? "; and more" : "")}.");
        }
        return new WavSource([.. read], hasClasses ? [.. files.Select(f => (long)names.IndexOf(f.Class!))] : null, names, options);
    }

    private static void CheckClasses(List<(string Path, string? Class, string Where)> files, ImmutableArray<string> names,
        WavOptions options,
        List<string> problems)
    {
        foreach ((_, string? name, string where) in files.Where(f => !names.Contains(f.Class!)).DistinctBy(f => f.Class))
            problems.Add($"{where}: '{name}' is none of the classes {string.Join(", ", names.Take(20).Select(n => $"'{n}'"))}");
        if (names.Length == 1 && options.Classes.Length == 0 && !options.AllowOneClass)
            problems.Add($"there is one class only, '{names[0]}': there is nothing to tell apart");
    }

    private static List<(string, string?, string)> OfFolder(string path, List<string> problems)
    {
        // Folders without such files are none of a class.
        (string Folder, string[] Files)[] classes = [.. Directory.GetDirectories(path).Order(StringComparer.Ordinal)
            .Select(folder => (folder, Wavs(folder, SearchOption.AllDirectories))).Where(f => f.Item2.Length > 0)];
        string[] loose = Wavs(path, SearchOption.TopDirectoryOnly);
        if (classes.Length > 0 && loose.Length > 0)
        {
            problems.Add($"{loose.Length} WAV files lie beside the folders of classes, such as {Path.GetFileName(loose[0])}; move them "
            + "into a folder of their class, or away");
        }
        return classes.Length == 0 ? [.. loose.Select(f => (f, (string?)null, Path.GetFileName(f)))]
            : [.. classes.SelectMany(c => c.Files.Select(f => (f, (string?)Path.GetFileName(c.Folder), Path.GetRelativePath(path, f))))];
    }

    /// <summary>The WAV files of a folder in ordinal order, on every system the same.</summary>
    public static string[] Wavs(string folder, SearchOption depth) => [.. Directory.EnumerateFiles(folder, "*", depth)
        .Where(f => f.EndsWith(".wav", StringComparison.OrdinalIgnoreCase)).Order(StringComparer.Ordinal)];

    private static List<(string, string?, string)> OfCsv(string path, WavOptions options, List<string> problems)
    {
        var files = new List<(string, string?, string)>();
        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        try
        {
            using FileStream stream = File.OpenRead(path);
            using SepReader reader = Sep.Reader(o => o with { Unescape = true, DisableColCountCheck = true }).From(stream);
            string[] header = [.. reader.Header.ColNames.Select(n => n.Trim().Trim('"').TrimStart('\uFEFF'))];
            string[] missing = [.. new[] { options.PathColumn, options.Label }.OfType<string>().Where(c => !header.Contains(c))
                .Select(c => $"'{c}'")];
            if (missing.Length > 0)
            {
                throw new DataFileException($"'{path}', line 1: there is no column {string.Join(", ", missing)}; there are "
                    + $"{string.Join(", ", header.Select(h => $"'{h}'"))}.");
            }
            int at = Array.IndexOf(header, options.PathColumn), label = options.Label is null ? -1 : Array.IndexOf(header, options.Label);
            foreach (SepReader.Row row in reader)
            {
                string where = $"line {row.LineNumberFrom}";
                if (row.ColCount != header.Length)
                {
                    problems.Add($"{where}: {row.ColCount} cells, expected {header.Length}");
                    continue;
                }
                string file = row[at].ToString().Trim();
                string? name = label < 0 ? null : row[label].ToString().Trim();
                if (file.Length == 0) problems.Add($"{where}, column '{options.PathColumn}': the path is missing");
                else if (name is "") problems.Add($"{where}, column '{options.Label}': the label is missing");
                else files.Add((Path.Combine(folder, file), name, where));
            }
        }
        catch (Exception error) when (error is InvalidDataException or ArgumentException or NotSupportedException)
        {
            throw new DataFileException($"'{path}' is no table: {error.Message.ReplaceLineEndings(" ")}", error);
        }
        return files;
    }

    private static WavFormat? Read(string file, string where, WavOptions options, List<string> problems)
    {
        try
        {
            WavFormat format = WavFile.ReadFormat(file);
            if (options.RefuseOtherRates && format.SampleRate != options.SampleRate)
            {
                problems.Add($"{where}: '{file}' has {format.SampleRate} Hz; expected {options.SampleRate}. Convert it, or allow it to be "
                    + "resampled");
            }
            return format;
        }
        catch (OrtCprException error) when (error is DataFileException or FileAccessException)
        {
            problems.Add($"{where}: {error.Message.TrimEnd('.')}");
            return null;
        }
    }

    /// <inheritdoc/>
    public override int LengthOf(long row) =>
        (int)Math.Min(_samples, Resampler.LengthOf(_files[row].Format.Frames, _files[row].Format.SampleRate, _options.SampleRate));

    /// <inheritdoc/>
    public override void Read(int column, long row, Span<byte> target)
    {
        if (column == 1)
        {
            BitConverter.TryWriteBytes(target, _classes![row]);
            return;
        }
        (string path, WavFormat expected) = _files[row];
        WavFile file = WavFile.Read(path);
        if (file.Format != expected) throw new DataFileException($"'{path}' has changed since it was opened. Open the data again.");
        Span<float> samples = MemoryMarshal.Cast<byte, float>(target);
        ReadOnlySpan<float> all = file.Samples.Span;
        if (!_options.KeepChannels && file.Channels > 1)
        {
            float[] mean = new float[file.Length];
            for (int c = 0; c < file.Channels; c++) TensorPrimitives.Add(mean, all.Slice(c * file.Length, file.Length), mean);
            TensorPrimitives.Divide(mean, file.Channels, mean);
            all = mean;
        }
        for (int c = 0; c < _channels; c++)
            Fit(all.Slice(c * file.Length, file.Length), file.SampleRate, samples.Slice(c * _samples, _samples), LengthOf(row));
    }

    private void Fit(ReadOnlySpan<float> channel, int rate, Span<float> target, int length)
    {
        if (rate == _options.SampleRate) channel[..length].CopyTo(target);
        else Resampler.Of(rate, _options.SampleRate).Run(channel, target[..length]);
        target[length..].Clear();
    }
}
