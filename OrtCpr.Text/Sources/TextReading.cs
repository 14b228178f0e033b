using OrtCpr.Data;

namespace OrtCpr.Text;

/// <summary>One pass over a file of texts: rows are read in order, and become tokens some thousand at a time on all
/// cores.</summary>
internal sealed class TextReading(string path, TextOptions options, int length)
{
    private const int MostProblems = 10, Portion = 4096;
    private readonly List<string> _problems = [];
    private readonly List<(string Text, string Where)> _labels = [];
    private readonly TokenStore _store = new();

    public (TokenStore Tokens, TextLabels? Labels) Run(Func<string, TextOptions, List<string>, IEnumerable<TextRow>> rows)
    {
        foreach (TextRow[] portion in rows(path, options, _problems).Chunk(Portion))
        {
            TextRow[] whole = [.. portion.Where(IsWhole)];
            var made = new (TokenizedText Text, int[]? WordOf, string? Problem)[whole.Length];
            Parallel.For(0, whole.Length, i => made[i] = Encode(whole[i]));
            for (int i = 0; i < whole.Length; i++) Keep(whole[i], made[i].Text, made[i].WordOf, made[i].Problem);
            if (_problems.Count > MostProblems) break;
        }
        if (_store.Count == 0 && _problems.Count == 0) _problems.Add("there is no text");
        TextLabels? labels = options.Label is null || _problems.Count > 0 ? null : TextLabels.Of(_labels, options, _problems);
        if (_problems.Count == 0) return (_store, labels);
        throw new DataFileException($"'{path}': {string.Join("; ", _problems.Take(MostProblems))}"
            + $"{(_problems.Count > MostProblems ? "; and more" : "")}. Mend the lines, or choose other columns.");
    }

    private bool IsWhole(TextRow row)
    {
        int before = _problems.Count;
        if (string.IsNullOrWhiteSpace(row.Text)) _problems.Add($"{row.Where}: the text '{options.Text}' is empty");
        if (options.Pair is not null && string.IsNullOrWhiteSpace(row.Pair))
            _problems.Add($"{row.Where}: the text '{options.Pair}' is empty");
        if (row.Words is not null && row.Words.Count != (row.WordLabels?.Count ?? 0))
            _problems.Add($"{row.Where}: {row.Words.Count} words and {row.WordLabels?.Count ?? 0} labels; expected as many");
        else if (row.Words?.FirstOrDefault(string.IsNullOrWhiteSpace) is not null) _problems.Add($"{row.Where}: a word is empty");
        if (options.Label is not null && row.Words is null && string.IsNullOrEmpty(row.Label))
            _problems.Add($"{row.Where}, column '{options.Label}': the label is missing");
        return _problems.Count == before;
    }

    /// <summary>Tokens of a row and, with a label a word, whose first token each of them is: −1 for none.</summary>
    private (TokenizedText Text, int[]? WordOf, string? Problem) Encode(TextRow row)
    {
        TextTokenizer tokenizer = options.Tokenizer;
        try
        {
            if (row.Words is null) return (tokenizer.Encode(row.Text, row.Pair, length), null, null);
            var tokens = new List<int>();
            var words = new List<int>();
            for (int w = 0; w < row.Words.Count; w++)
            {
                IReadOnlyList<int> word = tokenizer.Encode(w > 0 && tokenizer.WordsNeedSpaces ? " " + row.Words[w] : row.Words[w]);
                for (int i = 0; i < word.Count; i++) words.Add(i == 0 ? w : -1);
                tokens.AddRange(word);
            }
            TokenizedText text = tokenizer.Join(tokens, null, length);
            int before = tokenizer.Special.Before.Length, kept = text.Ids.Count - tokenizer.Special.Count(false);
            int[] wordOf = [.. Enumerable.Repeat(-1, before), .. words.Take(kept),
                .. Enumerable.Repeat(-1, tokenizer.Special.After.Length)];
            return (text, wordOf, null);
        }
        catch (DataFileException error)
        {
            return (new TokenizedText([], 0, false), null, error.Message);
        }
    }

    private void Keep(TextRow row, TokenizedText text, int[]? wordOf, string? problem)
    {
        if (problem is not null)
        {
            _problems.Add($"{row.Where}: {problem}");
            return;
        }
        if (text.Ids.Count == options.Tokenizer.Special.Count(row.Pair is not null))
        {
            _problems.Add($"{row.Where}: the text '{options.Text}' has no tokens");
            return;
        }
        if (text.IsCut && options.RefuseLong) _problems.Add($"{row.Where}: the text has more than {length} tokens");
        if (wordOf is not null)
        {
            int first = _labels.Count;
            foreach (string label in row.WordLabels!) _labels.Add((label, row.Where));
            wordOf = [.. wordOf.Select(w => w < 0 ? -1 : first + w)];
        }
        else if (row.Label is not null)
        {
            _labels.Add((row.Label, row.Where));
        }
        _store.Add(text, wordOf);
    }
}
