using System.Collections.Immutable;
using Microsoft.ML.Tokenizers;
using OrtCpr.Data;
using OrtCpr.Graph;

namespace OrtCpr.Text;

/// <summary>A tokenizer of Microsoft.ML.Tokenizers together with what the model's authors put around texts.</summary>
/// <remarks><see cref="Open"/> makes one of the files that lie beside a model, <see cref="Of"/> one of any tokenizer of the
/// library. Thread-safe.</remarks>
public sealed class TextTokenizer
{
    private readonly Func<string, IReadOnlyList<int>> _encode;
    private readonly ImmutableHashSet<byte> _unknownBytes;
    private readonly ImmutableArray<string> _refused, _found;

    internal TextTokenizer(string name, TokenizerParts parts)
    {
        Name = name;
        (_encode, _unknownBytes, _refused, _found) = (parts.Encode, parts.UnknownBytes, parts.RefusedInTexts, parts.FoundInTexts);
        (Special, VocabularySize, MaxLength, WordsNeedSpaces) = (parts.Special, parts.VocabularySize, parts.MaxLength,
            parts.WordsNeedSpaces);
    }

    /// <summary>Kind and file, for messages.</summary>
    public string Name { get; }

    /// <summary>What goes around texts.</summary>
    public SpecialTokens Special { get; }

    /// <summary>The highest id that there is and one more: so many rows the model's table of tokens must have.</summary>
    public int VocabularySize { get; }

    /// <summary>The longest input that its files speak of, special tokens included; null where they do not.</summary>
    public int? MaxLength { get; }

    // Byte-level tokens of a word inside a text begin with the space in front of it.
    internal bool WordsNeedSpaces { get; }

    /// <summary>Reads a tokenizer. The name of the file says what it is: <c>tokenizer.json</c> (WordPiece and byte-level BPE),
    /// <c>vocab.txt</c> (WordPiece, as BERT has it), <c>vocab.json</c> or <c>merges.txt</c>, which lie together (byte-level BPE, as
    /// GPT2 and RoBERTa have it), and <c>*.model</c> (SentencePiece).</summary>
    /// <remarks>A <c>tokenizer_config.json</c> beside it says whether capitals are kept, how long inputs may be, and what a
    /// SentencePiece model puts around texts. Without one, a <c>vocab.txt</c> in which a word has capitals keeps them.</remarks>
    /// <param name="path">The file, or a folder with one of them; of several the first of the list is taken.</param>
    /// <param name="lowerCase">WordPiece: whether capitals and accents are taken off first; null (default) for what the files
    /// say.</param>
    /// <exception cref="FileAccessException">A file can't be read.</exception>
    /// <exception cref="DataFileException">There is no such file in the folder, or it breaks its format, or it asks for something
    /// that is not done here, such as a normalizer; that is named.</exception>
    public static TextTokenizer Open(string path, bool? lowerCase = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return TokenizerFiles.Open(path, lowerCase);
    }

    /// <summary>Any tokenizer of the library.</summary>
    /// <param name="tokenizer">For example <c>TiktokenTokenizer.CreateForModel("gpt2")</c>. Kept.</param>
    /// <param name="vocabularySize">Its highest id and one more.</param>
    /// <param name="special">What goes around texts; null for nothing, with 0 as padding.</param>
    /// <param name="name">For messages; null for the type's.</param>
    public static TextTokenizer Of(Tokenizer tokenizer, int vocabularySize, SpecialTokens? special = null, string? name = null)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentOutOfRangeException.ThrowIfLessThan(vocabularySize, 1);
        return new TextTokenizer(name ?? tokenizer.GetType().Name, new TokenizerParts(text => tokenizer.EncodeToIds(text))
        {
            Special = special ?? new SpecialTokens(),
            VocabularySize = vocabularySize,
        });
    }

    /// <summary>The tokens of a text without special ones, as for next-token training.</summary>
    /// <param name="text">Any text; an empty one has no tokens.</param>
    /// <exception cref="DataFileException">The text has a character that the vocabulary lacks and no unknown token stands for, or
    /// one of the tokenizer's own tokens that is not done here.</exception>
    public IReadOnlyList<int> Encode(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        foreach (string token in _refused)
        {
            if (text.Contains(token, StringComparison.Ordinal))
            {
                throw new DataFileException($"A text contains '{token}', a token of its own of {Name} that is not looked for in texts "
                + "here. Take it out of the text.");
            }
        }
        if (_unknownBytes.Count > 0)
        {
            string rest = _found.Aggregate(text, (all, token) => all.Replace(token, "", StringComparison.Ordinal));
            foreach (byte value in System.Text.Encoding.UTF8.GetBytes(rest))
            {
                if (!_unknownBytes.Contains(value)) continue;
                throw new DataFileException($"{Name} has no token for the byte 0x{value:X2} of the text '{Short(text)}', and none for what "
                    + "is unknown. Use the tokenizer's whole vocabulary.");
            }
        }
        return _encode(text);
    }

    /// <summary>A text, or two, with what goes around them, cut where that is too long.</summary>
    /// <param name="text">The text, or the first one of the pair.</param>
    /// <param name="pair">The second one; null for none.</param>
    /// <param name="maxLength">Most tokens, special ones included. Of a pair, tokens are left out at the end of the longer text,
    /// and at the end of the second one where both are equally long.</param>
    /// <exception cref="DataFileException">As of <see cref="Encode(string)"/>.</exception>
    /// <exception cref="OptionException">The length leaves no room for a token beside the special ones.</exception>
    public TokenizedText Encode(string text, string? pair, int maxLength)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Join(Encode(text), pair is null ? null : Encode(pair), maxLength);
    }

    internal TokenizedText Join(IReadOnlyList<int> first, IReadOnlyList<int>? second, int maxLength)
    {
        int room = maxLength - Special.Count(second is not null), least = second is null ? 1 : 2;
        if (room < least)
        {
            throw new OptionException($"A length of {maxLength} tokens; expected at least {Special.Count(second is not null) + least}, "
                + $"since {Name} puts {Special.Count(second is not null)} tokens around texts.");
        }
        int a = first.Count, b = second?.Count ?? 0;
        bool isCut = a + b > room;
        if (isCut)
        {
            // First the longer one down to the other, then both.
            int shorter = Math.Min(a, b);
            if (a > b) a = Math.Max(room - b, shorter);
            else b = Math.Max(room - a, shorter);
            if (a + b > room) (a, b) = ((room + 1) / 2, room / 2);
        }
        var ids = new List<int>(a + b + Special.Count(second is not null));
        ids.AddRange(Special.Before);
        for (int i = 0; i < a; i++) ids.Add(first[i]);
        if (second is not null)
        {
            ids.AddRange(Special.Between);
            int before = ids.Count;
            for (int i = 0; i < b; i++) ids.Add(second[i]);
            ids.AddRange(Special.After);
            return new TokenizedText(ids, before, isCut);
        }
        ids.AddRange(Special.After);
        return new TokenizedText(ids, ids.Count, isCut);
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Name}, {VocabularySize} tokens";

    private static string Short(string text) => text.Length > 30 ? text[..30] + "…" : text;
}
