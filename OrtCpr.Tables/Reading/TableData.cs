using System.Runtime.InteropServices;
using OrtCpr.Data;
using OrtCpr.Tables.Columns;

namespace OrtCpr.Tables.Reading;

/// <summary>A column of lists as the source has it.</summary>
/// <param name="Column">With the longest list's size.</param>
/// <param name="At">Position of its cells in a part.</param>
/// <param name="Padding">What fills up an example, one element.</param>
internal sealed record ListColumn(DataColumn Column, int At, byte[] Padding);

/// <summary>The rows of a part of a table as they are kept.</summary>
/// <param name="Start">Number of its first row.</param>
/// <param name="Features">Numbers of the features, row by row; empty for none.</param>
/// <param name="Lists">Cells of each column of lists.</param>
internal sealed record TablePart(long Start, float[] Features, Cells[] Lists);

/// <summary>The examples of a table in memory. Parts stay apart, so that none has to fit one array with the others.</summary>
internal sealed class TableData
{
    private readonly TablePart[] _parts;
    private readonly long[] _starts;
    private readonly int _width;
    private readonly ListColumn[] _lists;
    private readonly LabelValues? _labels;

    public TableData(IReadOnlyList<TablePart> parts, long count, DataColumn? features, ListColumn[] lists, LabelValues? labels)
    {
        (_parts, _lists, _labels, Count) = ([.. parts], lists, labels, count);
        _starts = [.. parts.Select(p => p.Start)];
        _width = (int)(features?.Length ?? 0);
        Columns = [.. features is null ? Array.Empty<DataColumn>() : [features], .. lists.Select(l => l.Column),
            .. labels is null ? Array.Empty<DataColumn>() : [labels.Column]];
    }

    public long Count { get; }

    public IReadOnlyList<DataColumn> Columns { get; }

    public int LengthOf(long row)
    {
        (TablePart part, int at) = Find(row);
        int longest = 0;
        foreach (ListColumn list in _lists)
        {
            if (list.Column.PaddedAxis is null) continue;
            int[] offsets = part.Lists[list.At].Offsets!;
            longest = Math.Max(longest, offsets[at + 1] - offsets[at]);
        }
        return longest;
    }

    public void Read(int column, long row, Span<byte> target)
    {
        int first = _width > 0 ? 1 : 0;
        if (column >= first + _lists.Length)
        {
            _labels!.Read(row, target);
            return;
        }
        (TablePart part, int at) = Find(row);
        if (column < first)
        {
            MemoryMarshal.AsBytes(part.Features.AsSpan(at * _width, _width)).CopyTo(target);
            return;
        }
        ListColumn list = _lists[column - first];
        Cells cells = part.Lists[list.At];
        int size = cells.Size, start = cells.Offsets![at], length = cells.Offsets[at + 1] - start;
        cells.Values.AsSpan(start * size, length * size).CopyTo(target);
        Span<byte> rest = target[(length * size)..list.Column.Size];
        for (int i = 0; i < rest.Length; i += size) list.Padding.CopyTo(rest[i..]);
    }

    private (TablePart Part, int Row) Find(long row)
    {
        int found = Array.BinarySearch(_starts, row);
        TablePart part = _parts[found >= 0 ? found : ~found - 1];
        return (part, (int)(row - part.Start));
    }
}
