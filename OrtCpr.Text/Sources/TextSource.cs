using System.Collections.Frozen;
using System.Runtime.InteropServices;
using OrtCpr.Data;
using OrtCpr.Graph;

namespace OrtCpr.Text;

/// <summary>Texts of a file as tokens, with or without labels. Columns, Int64 [<see cref="TextOptions.MaxLength"/>] and padded
/// behind the text: <c>input_ids</c>, <c>attention_mask</c> (1, and 0 for padding) and <c>token_type_ids</c> (1 for the second
/// text of a pair with BERT); <c>label</c> Int64 for a class and Float [1] for a number, or with a label a word
/// <c>labels</c>, Int64 [<see cref="TextOptions.MaxLength"/>], filled up with −100.</summary>
/// <remarks>Texts become tokens once, when the file is opened, on all cores; held in memory are the tokens, 4 bytes each.
/// Loaders cut batches to their longest example where the model leaves the length open.</remarks>
public sealed class TextSource : DataSource
{
    private const long IgnoredLabel = -100;

    /// <summary>What a column has at a place of an example: token, its type.</summary>
    internal static readonly FrozenDictionary<string, Func<int, bool, long>> Fills =
        new Dictionary<string, Func<int, bool, long>>(StringComparer.Ordinal)
        {
            ["input_ids"] = (token, _) => token,
            ["attention_mask"] = (_, _) => 1,
            ["token_type_ids"] = (_, isSecond) => isSecond ? 1 : 0,
        }.ToFrozenDictionary(StringComparer.Ordinal);

    private readonly TokenStore _tokens;
    private readonly TextLabels? _labels;
    private readonly TextOptions _options;
    private readonly int _length;

    private TextSource(TokenStore tokens, TextLabels? labels, TextOptions options, int length)
    {
        (_tokens, _labels, _options, _length, Count) = (tokens, labels, options, length, tokens.Count);
        var columns = new List<DataColumn>();
        foreach (string name in options.Columns) columns.Add(new DataColumn(name, ElementType.Int64, [length]) { PaddedAxis = 0 });
        if (tokens.HasLabels)
            columns.Add(new DataColumn("labels", ElementType.Int64, [length], true) { PaddedAxis = 0, ClassNames = labels!.Names });
        else if (labels?.Classes is not null)
            columns.Add(new DataColumn("label", ElementType.Int64, [], true) { ClassNames = labels.Names });
        else if (labels?.Numbers is not null)
            columns.Add(new DataColumn("label", ElementType.Float, [1], true));
        Columns = columns;
    }

    /// <inheritdoc/>
    public override long Count { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<DataColumn> Columns { get; }

    /// <summary>How many examples were cut because they were too long.</summary>
    public long CutExamples => _tokens.Cut;

    /// <summary>Tokens of the longest example, special ones included.</summary>
    public int Longest => _tokens.Longest;

    /// <summary>Texts of a CSV file with a header line (RFC 4180).</summary>
    /// <param name="path">The file.</param>
    /// <param name="options">Columns and tokenizer.</param>
    /// <exception cref="FileAccessException">The file can't be read.</exception>
    /// <exception cref="OptionException">An option makes no sense.</exception>
    /// <exception cref="DataFileException">A column is missing, a text is empty, a label is missing or unknown, there is one class
    /// only, a text is too long where that is refused, or the tokenizer does not fit the model. At most ten places are
    /// named.</exception>
    public static TextSource FromCsv(string path, TextOptions options) => Read(path, options, TextRows.OfCsv);

    /// <summary>Texts of a file with a JSON object a line.</summary>
    /// <param name="path">The file.</param>
    /// <param name="options">Names of the objects' members and tokenizer.</param>
    /// <exception cref="FileAccessException">The file can't be read.</exception>
    /// <exception cref="OptionException">An option makes no sense.</exception>
    /// <exception cref="DataFileException">As of <see cref="FromCsv"/>; a line that is no JSON is named.</exception>
    public static TextSource FromJsonLines(string path, TextOptions options) => Read(path, options, TextRows.OfJsonLines);

    /// <summary>Texts of the rows that a function reads of a file.</summary>
    internal static TextSource Read(string path, TextOptions options, Func<string, TextOptions, List<string>, IEnumerable<TextRow>> rows)
    {
        ArgumentNullException.ThrowIfNull(path);
        ArgumentNullException.ThrowIfNull(options);
        int length = Check(options);
        try
        {
            return DataFile.Guard(path, () =>
            {
                (TokenStore tokens, TextLabels? labels) = new TextReading(path, options, length).Run(rows);
                return new TextSource(tokens, labels, options, length);
            });
        }
        catch (Exception error) when (error is InvalidDataException or ArgumentException or NotSupportedException)
        {
            throw new DataFileException($"'{path}' is no table of texts: {error.Message.ReplaceLineEndings(" ")}", error);
        }
    }

    private static int Check(TextOptions options)
    {
        ArgumentNullException.ThrowIfNull(options.Tokenizer);
        int length = options.MaxLength ?? options.Tokenizer.MaxLength ?? 512;
        int least = options.Tokenizer.Special.Count(options.Pair is not null) + (options.Pair is null ? 1 : 2);
        var problems = new List<string>();
        if (length < least)
        {
            problems.Add($"{nameof(TextOptions.MaxLength)} is {length}; expected at least {least}, special tokens "
            + "included");
        }
        string[] unknown = [.. options.Columns.Where(c => !Fills.ContainsKey(c))];
        if (unknown.Length > 0)
        {
            problems.Add($"{nameof(TextOptions.Columns)} has {string.Join(", ", unknown.Select(u => $"'{u}'"))}; expected some of "
                + $"{string.Join(", ", Fills.Keys.Order(StringComparer.Ordinal))}");
        }
        if (options.LabelsWords && (options.Pair is not null || options.Label is null))
        {
            problems.Add($"{nameof(TextOptions.LabelsWords)} goes with a {nameof(TextOptions.Label)} and without a "
                + $"{nameof(TextOptions.Pair)}");
        }
        string[] twice = [.. options.Classes.GroupBy(c => c).Where(g => g.Count() > 1).Select(g => $"'{g.Key}'")];
        if (twice.Length > 0) problems.Add($"{nameof(TextOptions.Classes)} has {string.Join(", ", twice)} more than once");
        OptionException.ThrowIfAny("The options of a source of texts make no sense", problems);
        if (options.VocabularySize is int rows && options.Tokenizer.VocabularySize > rows)
            throw TextModel.TooManyTokens(options.Tokenizer, rows, "the model");
        return length;
    }

    /// <inheritdoc/>
    public override int LengthOf(long row) => _tokens.LengthOf(row);

    /// <inheritdoc/>
    public override void Read(int column, long row, Span<byte> target)
    {
        if (column >= _options.Columns.Length && !_tokens.HasLabels)
        {
            if (_labels!.Classes is not null) BitConverter.TryWriteBytes(target, _labels.Classes[row]);
            else BitConverter.TryWriteBytes(target, _labels.Numbers![row]);
            return;
        }
        Span<long> values = MemoryMarshal.Cast<byte, long>(target)[.._length];
        if (column >= _options.Columns.Length)
        {
            ReadOnlySpan<int> labels = _tokens.LabelsOf(row);
            for (int i = 0; i < labels.Length; i++) values[i] = labels[i] < 0 ? IgnoredLabel : _labels!.Classes![labels[i]];
            values[labels.Length..].Fill(IgnoredLabel);
            return;
        }
        ReadOnlySpan<int> tokens = _tokens.Of(row);
        Func<int, bool, long> fill = Fills[_options.Columns[column]];
        int first = _options.Tokenizer.Special.SecondType == 0 ? tokens.Length : _tokens.FirstLengthOf(row);
        for (int i = 0; i < tokens.Length; i++) values[i] = fill(tokens[i], i >= first);
        values[tokens.Length..].Fill(_options.Columns[column] == "input_ids" ? _options.Tokenizer.Special.Padding : 0);
    }
}
