using System.Collections.Immutable;
using Microsoft.ML.Tokenizers;
using OrtCpr.Data;

namespace OrtCpr.Text;

/// <summary>SentencePiece: a <c>.model</c> of unigram or BPE kind.</summary>
internal static class SentencePieceFile
{
    // Their models count tokens otherwise than the file does.
    private static readonly ImmutableHashSet<string> OtherIds =
        ["XLMRobertaTokenizer", "XLMRobertaTokenizerFast", "CamembertTokenizer", "CamembertTokenizerFast", "MBartTokenizer",
            "MBartTokenizerFast", "MBart50Tokenizer", "BarthezTokenizer", "M2M100Tokenizer"];

    public static TextTokenizer Read(string path)
    {
        TokenizerConfig config = TokenizerConfig.Beside(path);
        if (config.Class is string other && OtherIds.Contains(other))
        {
            throw new DataFileException($"'{path}' is for a {other}, whose models have ids of their own in place of the file's; that is "
            + "not done here.");
        }
        byte[] bytes = DataFile.ReadAll(path);
        SentencePieceTokenizer tokenizer;
        try
        {
            using var stream = new MemoryStream(bytes);
            tokenizer = SentencePieceTokenizer.Create(stream, addBeginningOfSentence: false, addEndOfSentence: false);
        }
        catch (IndexOutOfRangeException error)
        {
            throw new DataFileException($"'{path}' has no token for the beginning, the end or what is unknown (its id is below 0, as that "
            + "of the beginning is in T5's), which Microsoft.ML.Tokenizers does not read.", error);
        }
        // What the library throws of bytes that are no protocol buffers is an IOException, as if the file could not be read.
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            throw new DataFileException($"'{path}' is no SentencePiece model: {error.Message.ReplaceLineEndings(" ")}", error);
        }
        IReadOnlyDictionary<string, int> vocabulary = tokenizer.Vocabulary;
        int unknown = tokenizer.UnknownId;
        return new TextTokenizer($"SentencePiece '{path}'", new TokenizerParts(text =>
            Merged(tokenizer.EncodeToIds(text, addBeginningOfSentence: false, addEndOfSentence: false), unknown))
        {
            Special = Around(tokenizer, vocabulary, config),
            VocabularySize = vocabulary.Values.Max() + 1,
            MaxLength = config.MaxLength,
        });
    }

    private static SpecialTokens Around(SentencePieceTokenizer tokenizer, IReadOnlyDictionary<string, int> vocabulary,
        TokenizerConfig config)
    {
        int end = tokenizer.EndOfSentenceId;
        int padding = new[] { "<pad>", "[PAD]" }.Where(vocabulary.ContainsKey).Select(t => vocabulary[t]).Append(end).First();
        if (vocabulary.TryGetValue("[CLS]", out int cls) && vocabulary.TryGetValue("[SEP]", out int sep))
            return new SpecialTokens { Before = [cls], Between = [sep], After = [sep], SecondType = 1, Padding = padding };
        ImmutableArray<int> before = config.AddsStart ?? true ? [tokenizer.BeginningOfSentenceId] : [];
        ImmutableArray<int> after = config.AddsEnd ?? false ? [end] : [];
        return new SpecialTokens { Before = before, Between = [.. after, .. before], After = after, Padding = padding };
    }

    /// <summary>SentencePiece has one unknown token for a run of unknown characters; the library one for each.</summary>
    private static List<int> Merged(IReadOnlyList<int> ids, int unknown)
    {
        var merged = new List<int>(ids.Count);
        foreach (int id in ids)
        {
            if (id != unknown || merged.Count == 0 || merged[^1] != unknown) merged.Add(id);
        }
        return merged;
    }
}
