using System.Collections.Immutable;
using OrtCpr.Data;

namespace OrtCpr.Tables;

/// <summary>Which columns of a table are read, and as what. Names and meanings are those of <see cref="CsvOptions"/>.</summary>
public sealed record TableOptions
{
    /// <summary>Name of the column with the label; null for none. Default null.</summary>
    public string? Label { get; init; }

    /// <summary>True for a label that is a class (Int64), false for a number (Float [1]); null: a class where no label
    /// has a fraction, or where any is a text. A label of lists is neither. Default null.</summary>
    public bool? IsClass { get; init; }

    /// <summary>Columns of the features, in order; empty for all others. Default empty.</summary>
    public ImmutableArray<string> Features { get; init; } = [];

    /// <summary>Feature columns with texts, which become 0, 1 … in the order of their first appearance. Default none.</summary>
    public ImmutableArray<string> Categorical { get; init; } = [];

    /// <summary>For a column of <see cref="Categorical"/> its texts in the order of their numbers; others are refused then.
    /// Default empty: the order of first appearance.</summary>
    public ImmutableDictionary<string, ImmutableArray<string>> Categories { get; init; } =
        ImmutableDictionary<string, ImmutableArray<string>>.Empty;

    /// <summary>The label's texts in the order of their classes; empty for the order of first appearance, and that of ML.NET's
    /// keys. Default empty.</summary>
    public ImmutableArray<string> Classes { get; init; } = [];

    /// <summary>What stands for a missing number (null, or not a number) of a feature, also inside a list; null (default) to
    /// refuse a table where one is missing. A label, a category and a list as a whole may never be missing.</summary>
    public float? MissingValue { get; init; }
}
