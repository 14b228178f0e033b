using System.Collections.Immutable;

namespace OrtCpr.Text;

/// <summary>What the files of a tokenizer come to.</summary>
/// <param name="Encode">A text's tokens without special ones.</param>
internal sealed record TokenizerParts(Func<string, IReadOnlyList<int>> Encode)
{
    public required SpecialTokens Special { get; init; }

    public required int VocabularySize { get; init; }

    public int? MaxLength { get; init; }

    public bool WordsNeedSpaces { get; init; }

    /// <summary>Bytes that a byte-level vocabulary lacks; the library leaves them out of a text without a word.</summary>
    public ImmutableHashSet<byte> UnknownBytes { get; init; } = [];

    /// <summary>Tokens of its own that are found in texts.</summary>
    public ImmutableArray<string> FoundInTexts { get; init; } = [];

    /// <summary>Tokens that a text may not contain.</summary>
    public ImmutableArray<string> RefusedInTexts { get; init; } = [];
}
