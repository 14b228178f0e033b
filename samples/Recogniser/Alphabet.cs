using System.Text;
using Samples;

namespace Recogniser;

// The characters that the classes of a recognition model stand for: class 0 is the blank of CTC, the class behind the file's is the space.
internal sealed class Alphabet
{
    public const int Blank = 0;

    private readonly string[] _characters;
    private readonly Dictionary<string, int> _classes;

    public Alphabet(string path)
    {
        _characters = ["", .. File.ReadAllLines(path), " "];
        // Files name some characters twice; the model was trained with the first.
        _classes = _characters.Select((c, i) => (c, i)).Skip(1).GroupBy(p => p.c).ToDictionary(g => g.Key, g => g.First().i);
        string[] missing = [.. SegmentFont.Characters.Where(c => !_classes.ContainsKey($"{c}")).Select(c => $"'{c}'")];
        if (missing.Length > 0)
            throw new SampleException($"'{path}' lacks {string.Join(", ", missing)}; expected a line for each character of the displays.");
    }

    public int Count => _characters.Length;

    public int ClassOf(char character) => _classes[$"{character}"];

    // The likeliest class of each place, one of a run of equal ones, without blanks (Graves et al., ICML 2006, best path).
    public string Read(ReadOnlySpan<float> scores)
    {
        var text = new StringBuilder();
        int before = Blank;
        for (int at = 0; at < scores.Length; at += Count)
        {
            int best = System.Numerics.Tensors.TensorPrimitives.IndexOfMax(scores.Slice(at, Count));
            if (best != before && best != Blank) text.Append(_characters[best]);
            before = best;
        }
        return text.ToString();
    }

    public string Text(ReadOnlySpan<long> labels)
    {
        var text = new StringBuilder();
        foreach (long label in labels) text.Append(_characters[label]);
        return text.ToString();
    }

    // Characters to insert, remove or replace until one text is the other (Levenshtein).
    public static int Edits(string from, string to)
    {
        int[] row = [.. Enumerable.Range(0, to.Length + 1)];
        foreach (char one in from)
        {
            int corner = row[0]++;
            for (int j = 0; j < to.Length; j++)
            {
                int replaced = corner + (one == to[j] ? 0 : 1);
                corner = row[j + 1];
                row[j + 1] = Math.Min(replaced, Math.Min(corner, row[j]) + 1);
            }
        }
        return row[^1];
    }
}
