using System.Collections.Immutable;
using System.Text;
using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>Texts as tokens: bytes, characters, or a tokenizer of one's own.</summary>
public static class TextTokens
{
    /// <summary>A file's bytes, 256 different tokens.</summary>
    /// <param name="path">The file, of any content.</param>
    /// <exception cref="FileAccessException">The file can't be read.</exception>
    public static IReadOnlyList<int> Bytes(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        return [.. DataFile.ReadAll(path).Select(b => (int)b)];
    }

    /// <summary>A UTF-8 file's characters (Unicode scalar values), numbered in the order of their code points.</summary>
    /// <param name="path">The file.</param>
    /// <param name="vocabulary">Characters that have numbers already, as another file gave them; null to take those of this file.</param>
    /// <exception cref="FileAccessException">The file can't be read.</exception>
    /// <exception cref="DataFileException">It is no UTF-8, or has a character that the vocabulary lacks.</exception>
    public static (IReadOnlyList<int> Tokens, ImmutableArray<string> Vocabulary) Characters(string path,
        ImmutableArray<string>? vocabulary = null)
    {
        Rune[] runes = [.. Text(path).EnumerateRunes()];
        ImmutableArray<string> known = vocabulary ?? [.. runes.Distinct().Order().Select(r => r.ToString())];
        var index = known.Select((text, i) => (text, i)).ToDictionary(k => k.text, k => k.i, StringComparer.Ordinal);
        Rune[] missing = [.. runes.Distinct().Where(r => !index.ContainsKey(r.ToString()))];
        if (missing.Length > 0)
        {
            throw new DataFileException(
                $"'{path}' has {missing.Length} characters that are not in the vocabulary: {string.Join(' ', missing.Take(10))}.");
        }
        return ([.. runes.Select(r => index[r.ToString()])], known);
    }

    /// <summary>A UTF-8 file through a tokenizer, such as <c>t =&gt; tokenizer.EncodeToIds(t)</c> of Microsoft.ML.Tokenizers.</summary>
    /// <param name="path">The file.</param>
    /// <param name="encode">Gives the tokens of the whole text, at least 0 each; called once.</param>
    /// <exception cref="FileAccessException">The file can't be read.</exception>
    /// <exception cref="DataFileException">It is no UTF-8.</exception>
    public static IReadOnlyList<int> Encode(string path, Func<string, IReadOnlyList<int>> encode)
    {
        ArgumentNullException.ThrowIfNull(encode);
        return encode(Text(path));
    }

    private static string Text(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        byte[] bytes = DataFile.ReadAll(path);
        try
        {
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes).TrimStart('\uFEFF');
        }
        catch (DecoderFallbackException error)
        {
            throw new DataFileException($"'{path}', offset {error.Index}: the bytes are no UTF-8. Save the text as UTF-8.", error);
        }
    }
}
