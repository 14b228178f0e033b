using System.Collections.Immutable;

namespace OrtCpr.Data;

/// <summary>Numbers 0, 1 … of the texts of a column.</summary>
/// <param name="known">Texts whose numbers are given; no others get one then. Empty to number texts as they come.</param>
internal sealed class CategoryNumbers(ImmutableArray<string> known)
{
    private readonly Dictionary<string, int> _numbers = known.Select((t, i) => (t, i)).DistinctBy(t => t.t)
        .ToDictionary(t => t.t, t => t.i, StringComparer.Ordinal);

    /// <summary>The texts in the order of their numbers.</summary>
    public ImmutableArray<string> Texts => known.Length > 0 ? known : [.. _numbers.OrderBy(n => n.Value).Select(n => n.Key)];

    /// <summary>The number of a text; -1 for one that is not among those given.</summary>
    public int Of(string text)
    {
        if (_numbers.TryGetValue(text, out int number)) return number;
        if (known.Length > 0) return -1;
        return _numbers[text] = _numbers.Count;
    }
}
