using System.Runtime.InteropServices;

namespace OrtCpr.Text;

/// <summary>The tokens of many examples, one behind the other.</summary>
internal sealed class TokenStore
{
    private readonly List<int> _tokens = [];
    private readonly List<int> _labels = [];
    private readonly List<int> _ends = [];
    private readonly List<int> _firsts = [];

    public int Count => _ends.Count;

    public long Cut { get; private set; }

    public int Longest { get; private set; }

    public bool HasLabels => _labels.Count > 0;

    /// <summary>Adds an example.</summary>
    /// <param name="text">Its tokens.</param>
    /// <param name="labels">A number for each token, below 0 where it has no label; null for none.</param>
    public void Add(TokenizedText text, IReadOnlyList<int>? labels)
    {
        _tokens.AddRange(text.Ids);
        if (labels is not null) _labels.AddRange(labels);
        _ends.Add(_tokens.Count);
        _firsts.Add(text.FirstLength);
        Longest = Math.Max(Longest, text.Ids.Count);
        if (text.IsCut) Cut++;
    }

    public int LengthOf(long row) => _ends[(int)row] - Start(row);

    public int FirstLengthOf(long row) => _firsts[(int)row];

    public ReadOnlySpan<int> Of(long row) => CollectionsMarshal.AsSpan(_tokens)[Start(row).._ends[(int)row]];

    public ReadOnlySpan<int> LabelsOf(long row) => CollectionsMarshal.AsSpan(_labels)[Start(row).._ends[(int)row]];

    private int Start(long row) => row == 0 ? 0 : _ends[(int)row - 1];
}
