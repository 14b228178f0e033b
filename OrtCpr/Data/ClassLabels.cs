using System.Collections.Immutable;
using System.Runtime.InteropServices;
using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>The classes of a source's examples, read once.</summary>
internal sealed class ClassLabels
{
    private ClassLabels(DataColumn column, long[] labels)
    {
        Column = column;
        ByClass = [.. labels.Select((label, row) => (label, row)).GroupBy(p => p.label).OrderBy(g => g.Key)
            .Select(g => (g.Key, (IReadOnlyList<int>)[.. g.Select(p => p.row)]))];
    }

    public DataColumn Column { get; }

    /// <summary>Classes that have examples, in order, each with its examples.</summary>
    public ImmutableArray<(long Class, IReadOnlyList<int> Rows)> ByClass { get; }

    /// <summary>Reads all labels.</summary>
    /// <param name="source">The source.</param>
    /// <param name="name">A column of integers; null for the only label of integers.</param>
    public static ClassLabels Of(DataSource source, string? name)
    {
        ArgumentNullException.ThrowIfNull(source);
        int[] fitting = [.. Enumerable.Range(0, source.Columns.Count).Where(i => IsClass(source.Columns[i])
            && (name is null ? source.Columns[i].IsLabel : source.Columns[i].Name == name))];
        if (fitting.Length != 1)
        {
            string found = name is null ? fitting.Length == 0 ? "no column is a label of whole numbers"
                : $"there are several such labels, {string.Join(", ", fitting.Select(i => source.Columns[i]))}"
                : $"'{name}' is no column of whole numbers";
            throw new OptionException($"Classes are read from a label that is a whole number; {found}. Columns are "
                + $"{string.Join(", ", source.Columns)}. Name the column with the classes.");
        }
        DataColumn column = source.Columns[fitting[0]];
        long[] labels = new long[checked((int)source.Count)];
        Span<byte> bytes = stackalloc byte[sizeof(long)];
        for (int row = 0; row < labels.Length; row++)
        {
            source.Read(fitting[0], row, bytes[..column.Size]);
            Numbers.Convert(bytes[..column.Size], column.Type, MemoryMarshal.AsBytes(labels.AsSpan(row, 1)), ElementType.Int64);
        }
        return new ClassLabels(column, labels);
    }

    private static bool IsClass(DataColumn column) => column.Dimensions.Count == 0
        && column.Type is ElementType.Int64 or ElementType.Int32 or ElementType.Int16 or ElementType.Int8 or ElementType.UInt8
            or ElementType.UInt16 or ElementType.UInt32;
}
