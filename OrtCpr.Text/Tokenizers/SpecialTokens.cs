using System.Collections.Immutable;

namespace OrtCpr.Text;

/// <summary>What a tokenizer puts around texts, as ids: <c>Before text After</c>, and for a pair of texts <c>Before first
/// Between second After</c>.</summary>
/// <remarks>BERT: [CLS] first [SEP] second [SEP], the second with its separator of type 1. RoBERTa: &lt;s&gt; first
/// &lt;/s&gt; &lt;/s&gt; second &lt;/s&gt;, all of type 0.</remarks>
public sealed record SpecialTokens
{
    /// <summary>In front of the text. Default none.</summary>
    public ImmutableArray<int> Before { get; init; } = [];

    /// <summary>Between the texts of a pair. Default none.</summary>
    public ImmutableArray<int> Between { get; init; } = [];

    /// <summary>Behind the text, or the second one of a pair. Default none.</summary>
    public ImmutableArray<int> After { get; init; } = [];

    /// <summary>Value of <c>token_type_ids</c> from the second text of a pair on, 0 or 1. Default 0.</summary>
    public int SecondType { get; init; }

    /// <summary>What fills a text up to the length of its batch; the attention mask is 0 there. Default 0.</summary>
    public int Padding { get; init; }

    /// <summary>How many go around a text, or around both of a pair.</summary>
    /// <param name="isPair">Whether there are two.</param>
    public int Count(bool isPair) => Before.Length + After.Length + (isPair ? Between.Length : 0);
}
