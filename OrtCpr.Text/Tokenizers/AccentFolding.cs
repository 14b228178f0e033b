using System.Collections.Frozen;
using System.Globalization;
using System.Text;
using Microsoft.ML.Tokenizers;

namespace OrtCpr.Text;

/// <summary>Takes accents off, as BERT's tokenizers without capitals do before they look words up.</summary>
internal static class AccentFolding
{
    // Hangul syllables: 19 leading consonants, 21 vowels, 27 trailing consonants or none (Unicode, chapter 3.12).
    private const int FirstSyllable = 0xAC00, LastSyllable = 0xD7A3, Leads = 0x1100, Vowels = 0x1161, Trails = 0x11A7, VowelCount = 21,
        TrailCount = 28;

    private static readonly FrozenDictionary<char, string> Plain = AccentTable.Groups.Split(' ', StringSplitOptions.RemoveEmptyEntries)
        .Select(g => g.Split(':')).SelectMany(g => g[1].Select(c => (Letter: c, Plain: g[0])))
        .ToFrozenDictionary(p => p.Letter, p => p.Plain);

    /// <summary>The text as a tokenizer with these options wants it.</summary>
    public static string Of(string text, BertOptions options)
    {
        if (!options.RemoveNonSpacingMarks || System.Text.Ascii.IsValid(text)) return text;
        var result = new StringBuilder(text.Length);
        foreach (char c in text)
        {
            if (c is >= (char)FirstSyllable and <= (char)LastSyllable)
            {
                int index = c - FirstSyllable, trail = index % TrailCount;
                result.Append((char)(Leads + (index / (VowelCount * TrailCount))));
                result.Append((char)(Vowels + (index / TrailCount % VowelCount)));
                if (trail > 0) result.Append((char)(Trails + trail));
            }
            else if (c < 0x80 || CharUnicodeInfo.GetUnicodeCategory(c) != UnicodeCategory.NonSpacingMark)
            {
                if (Plain.TryGetValue(c, out string? plain)) result.Append(plain);
                else result.Append(c);
            }
        }
        return result.ToString();
    }
}
