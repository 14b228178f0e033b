using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.ML.Tokenizers;
using OrtCpr.Data;

namespace OrtCpr.Text;

/// <summary>Byte-level BPE as GPT2 and RoBERTa have it: <c>vocab.json</c>, ids by token, and <c>merges.txt</c>, a pair a
/// line.</summary>
internal static partial class BytePairFiles
{
    public static TextTokenizer Read(string vocabularyPath, string mergesPath)
    {
        string[] missing = [.. new[] { vocabularyPath, mergesPath }.Where(f => !File.Exists(f)).Select(f => $"'{f}'")];
        if (missing.Length > 0)
        {
            throw new DataFileException($"{string.Join(" and ", missing)} {(missing.Length > 1 ? "are" : "is")} missing; a BPE tokenizer "
            + "is vocab.json and merges.txt in one folder.");
        }
        TokenizerConfig config = TokenizerConfig.Beside(vocabularyPath);
        using JsonDocument document = JsonFile.Read(vocabularyPath);
        Dictionary<string, int> vocabulary = Vocabulary(vocabularyPath, document.RootElement);
        if (vocabulary.Keys.Count(t => t.EndsWith("</w>", StringComparison.Ordinal)) > vocabulary.Count / 20)
        {
            throw new DataFileException($"'{vocabularyPath}' marks ends of words by '</w>', which is no byte-level BPE; expected a "
                + "vocabulary as of GPT2 or RoBERTa.");
        }
        string[] merges = [.. Encoding.UTF8.GetString(DataFile.ReadAll(mergesPath)).TrimStart('\uFEFF').ReplaceLineEndings("\n").Split('\n')
            .Where((line, i) => line.Length > 0 && !(i == 0 && line.StartsWith("#version", StringComparison.Ordinal)))];
        return Of($"BPE '{vocabularyPath}'", mergesPath, vocabulary, merges, ByNames(vocabulary), AddedTokens(vocabulary),
            new BpeSettings(config.AddsPrefixSpace ?? false, null, false, config.MaxLength, []));
    }

    public static Dictionary<string, int> Vocabulary(string path, JsonElement all)
    {
        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (JsonProperty token in all.EnumerateObject())
        {
            if (token.Value.ValueKind != JsonValueKind.Number || !token.Value.TryGetInt32(out int id) || id < 0)
            {
                throw new DataFileException($"'{path}': token '{token.Name}' has the id {token.Value.GetRawText()}; expected a whole "
                    + "number.");
            }
            vocabulary[token.Name] = id;
        }
        return vocabulary.Count > 0 ? vocabulary : throw new DataFileException($"'{path}' has no tokens.");
    }

    /// <summary>A tokenizer of a vocabulary and its merges.</summary>
    public static TextTokenizer Of(string name, string path, Dictionary<string, int> vocabulary, IReadOnlyList<string> merges,
        SpecialTokens special, Dictionary<string, int> added, BpeSettings settings)
    {
        for (int i = 0; i < merges.Count; i++)
        {
            string[] parts = merges[i].Split(' ');
            string? problem = parts.Length != 2 ? "expected two tokens with a space between"
                : new[] { parts[0], parts[1], parts[0] + parts[1] }.FirstOrDefault(t => !vocabulary.ContainsKey(t)) is string lacking
                ? $"'{lacking}' is not in the vocabulary" : null;
            if (problem is not null) throw new DataFileException($"'{path}', merge {i + 1}, '{merges[i]}': {problem}.");
        }
        var tokenizer = BpeTokenizer.Create(new BpeOptions(vocabulary)
        {
            Merges = merges,
            ByteLevel = true,
            PreTokenizer = new RegexPreTokenizer(Words(), added),
            SpecialTokens = added,
            UnknownToken = settings.Unknown,
            FuseUnknownTokens = settings.FusesUnknown,
        });
        bool prefix = settings.AddsPrefixSpace;
        return new TextTokenizer(name, new TokenizerParts(text =>
            tokenizer.EncodeToIds(prefix && text.Length > 0 && !char.IsWhiteSpace(text[0]) ? " " + text : text))
        {
            Special = special,
            VocabularySize = Math.Max(vocabulary.Values.Max(), added.Count == 0 ? 0 : added.Values.Max()) + 1,
            MaxLength = settings.MaxLength,
            WordsNeedSpaces = true,
            UnknownBytes = settings.Unknown is not null ? [] : [.. Enumerable.Range(0, 256).Select(b => (byte)b)
                .Where(b => !vocabulary.ContainsKey(Letter(b).ToString()))],
            FoundInTexts = [.. added.Keys],
            RefusedInTexts = settings.RefusedInTexts,
        });
    }

    /// <summary>What goes around texts by the names of tokens: RoBERTa's where it has both of them, else nothing.</summary>
    private static SpecialTokens ByNames(Dictionary<string, int> vocabulary)
    {
        int? Find(params string[] names) => names.Where(vocabulary.ContainsKey).Select(n => (int?)vocabulary[n]).FirstOrDefault();
        int padding = Find("<pad>", "[PAD]", "<|pad|>", "<|endoftext|>", "</s>") ?? 0;
        return Find("<s>") is int start && Find("</s>") is int end
            ? new SpecialTokens { Before = [start], Between = [end, end], After = [end], Padding = padding }
            : new SpecialTokens { Padding = padding };
    }

    private static Dictionary<string, int> AddedTokens(Dictionary<string, int> vocabulary) =>
        new[] { "<|endoftext|>", "<s>", "</s>", "<pad>", "<unk>", "<mask>" }.Where(vocabulary.ContainsKey)
            .ToDictionary(t => t, t => vocabulary[t], StringComparer.Ordinal);

    /// <summary>How GPT2 takes texts apart (Radford et al. 2019): contractions, words, numbers and signs, each with the space in
    /// front of it.</summary>
    [GeneratedRegex(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", RegexOptions.CultureInvariant)]
    private static partial Regex Words();

    /// <summary>The character that stands for a byte (Radford et al. 2019): itself where it is printed and no space, else the next
    /// free one from U+0100 on.</summary>
    private static char Letter(byte value)
    {
        static bool IsPrinted(int b) => b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
        return IsPrinted(value) ? (char)value : (char)(256 + Enumerable.Range(0, value).Count(b => !IsPrinted(b)));
    }
}

/// <summary>What a byte-level BPE tokenizer is told beside its vocabulary.</summary>
internal sealed record BpeSettings(bool AddsPrefixSpace, string? Unknown, bool FusesUnknown, int? MaxLength,
    ImmutableArray<string> RefusedInTexts);
