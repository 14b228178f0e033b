using System.Collections.Immutable;
using System.Text;
using Microsoft.ML.Tokenizers;
using OrtCpr.Data;

namespace OrtCpr.Text;

/// <summary>WordPiece as BERT has it: <c>vocab.txt</c>, a token a line, whose number is its id.</summary>
internal static class WordPieceFile
{
    /// <summary>Tokens of its own that the library finds in texts.</summary>
    public static readonly ImmutableHashSet<string> Known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

    public static TextTokenizer Read(string path, bool? lowerCase)
    {
        TokenizerConfig config = TokenizerConfig.Beside(path);
        string text;
        try
        {
            text = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(DataFile.ReadAll(path)).TrimStart('\uFEFF');
        }
        catch (DecoderFallbackException error)
        {
            throw new DataFileException($"'{path}', offset {error.Index}: the bytes are no UTF-8; expected a token a line.", error);
        }
        var lines = new List<string>();
        using (var reader = new StringReader(text))
        {
            while (reader.ReadLine() is string line) lines.Add(line);
        }
        bool lower = lowerCase ?? config.LowerCase ?? !HasCapitals(lines);
        return Of($"WordPiece '{path}'", path, lines, new BertOptions
        {
            LowerCaseBeforeTokenization = lower,
            RemoveNonSpacingMarks = config.StripAccents ?? lower,
            IndividuallyTokenizeCjk = config.SplitsChinese ?? true,
        }, config.MaxLength, null);
    }

    /// <summary>A tokenizer of tokens in the order of their ids.</summary>
    public static TextTokenizer Of(string name, string path, List<string> tokens, BertOptions options, int? maxLength,
        SpecialTokens? special, IEnumerable<string>? refusedInTexts = null)
    {
        var index = new Dictionary<string, int>(tokens.Count, StringComparer.Ordinal);
        var problems = new List<string>();
        for (int i = 0; i < tokens.Count; i++)
        {
            if (!index.TryAdd(tokens[i], i)) problems.Add($"'{tokens[i]}' is token {index[tokens[i]]} and {i}");
        }
        string[] needed = [options.UnknownToken, options.ClassificationToken, options.SeparatorToken, options.PaddingToken,
            options.MaskingToken];
        string[] missing = [.. needed.Where(t => !index.ContainsKey(t))];
        if (missing.Length > 0) problems.Add($"there is no token {string.Join(", ", missing)}");
        if (problems.Count > 0)
        {
            throw new DataFileException($"'{path}' is no vocabulary of BERT's kind, a token a line: "
                + $"{string.Join("; ", problems.Take(10))}{(problems.Count > 10 ? $"; and {problems.Count - 10} more" : "")}.");
        }
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(string.Join('\n', tokens) + "\n"));
        var tokenizer = BertTokenizer.Create(stream, options);
        int cls = index[options.ClassificationToken], sep = index[options.SeparatorToken];
        return new TextTokenizer(name, new TokenizerParts(text =>
            tokenizer.EncodeToIds(AccentFolding.Of(Spaced(text), options), addSpecialTokens: false))
        {
            Special = special ?? new SpecialTokens
            {
                Before = [cls],
                Between = [sep],
                After = [sep],
                SecondType = 1,
                Padding = index[options.PaddingToken],
            },
            VocabularySize = tokens.Count,
            MaxLength = maxLength,
            RefusedInTexts = [.. refusedInTexts ?? []],
        });
    }

    // BERT's rules take these for spaces; the library takes them away, and two words become one.
    private static string Spaced(string text) => text.AsSpan().IndexOfAny('\t', '\n', '\r') < 0 ? text
        : text.Replace('\t', ' ').Replace('\n', ' ').Replace('\r', ' ');

    // Names of special tokens are in capitals in any vocabulary.
    private static bool HasCapitals(List<string> tokens) =>
        tokens.Any(t => !(t.StartsWith('[') && t.EndsWith(']')) && t.Any(char.IsUpper));
}
