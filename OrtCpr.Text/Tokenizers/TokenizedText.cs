namespace OrtCpr.Text;

/// <summary>One text, or a pair, as a model reads it.</summary>
/// <param name="Ids">Tokens, special ones included.</param>
/// <param name="FirstLength">How many of them are of type 0: all, or of a pair the first text's with what lies between.</param>
/// <param name="IsCut">Whether tokens were left out so that it is short enough.</param>
public sealed record TokenizedText(IReadOnlyList<int> Ids, int FirstLength, bool IsCut);
