using System.Runtime.InteropServices;
using OrtCpr.Graph;

namespace OrtCpr.Tables.Columns;

/// <summary>Cells of one column for consecutive rows.</summary>
/// <param name="Type">Of an element; String for texts.</param>
/// <param name="Rows">How many cells.</param>
internal sealed record Cells(ElementType Type, int Rows)
{
    /// <summary>Elements, packed; 0 where one is missing. Empty for texts.</summary>
    public byte[] Values { get; init; } = [];

    /// <summary>Texts; null where one is missing. Empty for numbers.</summary>
    public string?[] Texts { get; init; } = [];

    /// <summary>Which elements are missing; null for none. Of texts it is unused.</summary>
    public bool[]? Missing { get; init; }

    /// <summary>Where the elements of each list begin, and where the last one ends; null where cells are no lists.</summary>
    public int[]? Offsets { get; init; }

    /// <summary>Which lists are missing as a whole; null for none.</summary>
    public bool[]? MissingLists { get; init; }

    /// <summary>Bytes of an element.</summary>
    public int Size => Type.BitsPerElement() / 8;

    /// <summary>Cells of numbers.</summary>
    public static Cells OfNumbers<T>(ElementType type, ReadOnlySpan<T> values, bool[]? missing) where T : unmanaged =>
        new(type, values.Length) { Values = MemoryMarshal.AsBytes(values).ToArray(), Missing = missing };
}
