using System.Collections.Immutable;
using OrtCpr.Graph;

namespace OrtCpr.Tables.Columns;

/// <summary>What a table says of a column before it is read.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Of a cell, or of an element where cells are lists; String for texts.</param>
internal sealed record TableField(string Name, ElementType Type)
{
    /// <summary>Whether a cell is a list of numbers.</summary>
    public bool IsList { get; init; }

    /// <summary>The shape of every list where the type says it; null where lists have lengths of their own.</summary>
    public IReadOnlyList<long>? Shape { get; init; }

    /// <summary>Names of the numbers 0, 1 … of a column of keys; empty for any other.</summary>
    public ImmutableArray<string> KeyNames { get; init; } = [];

    /// <summary>What the column has that nothing is made of, such as timestamps; null for one that can be read.</summary>
    public string? Refusal { get; init; }

    /// <summary>A column that cannot be read.</summary>
    public static TableField Refused(string name, string what) => new(name, ElementType.Undefined) { Refusal = what };
}
