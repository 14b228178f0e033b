using System.Collections.Immutable;
using System.Globalization;
using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>One input of a batch and the column that it comes from. <c>Dimensions</c> are one example's, into which the
/// number of examples goes at <c>Axis</c>.</summary>
internal sealed record Slot(string Input, ElementType Type, IReadOnlyList<long> Dimensions, int Axis, DataColumn Column, int Index,
    ImmutableArray<Transform> Transforms)
{
    /// <summary>Parts of an example that lie apart in a batch.</summary>
    public int Parts { get; } = checked((int)Dimensions.Take(Axis).Aggregate(1L, (n, d) => n * d));

    /// <summary>Classes of an input that takes a probability for each, while the column has the number of one; 0 for any other.</summary>
    public int Classes { get; init; }

    public int TargetSize => checked((int)((Classes > 0 ? Classes : Column.Length) * Type.BitsPerElement() / 8));

    public bool IsCopied => Transforms.Length == 0 && Type == Column.Type && Classes == 0;

    /// <summary>Whether the input is a label.</summary>
    public bool IsLabel { get; init; }

    /// <summary>What the source does itself while it reads; null for nothing.</summary>
    public Transform? InSource => Transforms is [{ ActsInSource: true } first, ..] ? first : null;

    /// <summary>What a transform of a batch sees of it.</summary>
    public BatchColumn InBatch => new(Input, Type, Dimensions, IsLabel, Classes, Axis == 0);

    /// <summary>The padded axis where the model takes any size there; null where examples stay as they are.</summary>
    public int? OpenAxis { get; init; }

    /// <summary>The same with a shorter padded axis.</summary>
    public Slot Cut(long length)
    {
        if (OpenAxis is not int axis || length >= Column.Dimensions[axis]) return this;
        long[] dims = [.. Column.Dimensions];
        dims[axis] = length;
        return new Slot(Input, Type, dims, Axis, Column with { Dimensions = dims }, Index, Transforms) { IsLabel = IsLabel };
    }

    public long[] Shape(int rows) => [.. Dimensions.Take(Axis), rows, .. Dimensions.Skip(Axis)];
}

/// <summary>Which column goes to which input.</summary>
internal static class SlotTable
{
    public static Slot[] Match(IReadOnlyList<DataColumn> columns, IReadOnlyList<BatchInput> inputs, DataLoaderOptions options)
    {
        BatchInput[] taken = [.. inputs.Where(i => !options.Constants.ContainsKey(i.Name))];
        return Match(columns, taken, options, [.. taken.Select(i => ExampleAxis.Of(i, inputs))]);
    }

    private static Slot[] Match(IReadOnlyList<DataColumn> columns, BatchInput[] inputs, DataLoaderOptions options, int[] axes)
    {
        var problems = new List<string>();
        var found = new Dictionary<BatchInput, int>();
        foreach ((string input, string column) in options.Columns)
        {
            BatchInput? wanted = inputs.FirstOrDefault(i => i.Name == input);
            int index = columns.ToList().FindIndex(c => c.Name == column);
            if (wanted is null) problems.Add($"there is no input '{input}'; there are {string.Join(", ", inputs)}");
            else if (index < 0) problems.Add($"there is no column '{column}'; there are {string.Join(", ", columns)}");
            else found[wanted] = index;
        }
        foreach (BatchInput input in inputs.Where(i => !found.ContainsKey(i)))
        {
            int index = columns.ToList().FindIndex(c => c.Name == input.Name);
            if (index >= 0) found[input] = index;
        }
        foreach (bool label in new[] { true, false })
        {
            BatchInput[] open = [.. inputs.Where(i => i.IsLabel == label && !found.ContainsKey(i))];
            int[] free = [.. Enumerable.Range(0, columns.Count).Where(i => columns[i].IsLabel == label && !found.ContainsValue(i))];
            if (open.Length == 1 && free.Length == 1) found[open[0]] = free[0];
        }
        foreach (BatchInput input in inputs.Where(i => !found.ContainsKey(i)))
            problems.Add($"no column is {(input.IsLabel ? "label" : "input")} {input}; columns are {string.Join(", ", columns)}");
        var slots = new List<Slot>();
        foreach ((BatchInput input, int index) in found.OrderBy(f => Array.IndexOf(inputs, f.Key)))
        {
            DataColumn column = columns[index];
            ImmutableArray<Transform> transforms = options.Transforms.GetValueOrDefault(column.Name, []);
            int axis = axes[Array.IndexOf(inputs, input)];
            if (Probabilities(input, column, axis) is int classes)
            {
                var slot = new Slot(input.Name, input.Type, [classes], axis, column, index, transforms);
                slots.Add(slot with { Classes = classes, IsLabel = true });
                continue;
            }
            if (Shape(input, column, axis) is not long[] dims) problems.Add($"column {column} does not have the shape of {input}");
            else if (!Numbers.Has(input.Type) || !Numbers.Has(column.Type)) problems.Add($"column {column} cannot be converted to {input}");
            else if (column.Type.IsFloating() && !input.Type.IsFloating())
                problems.Add($"column {column} has fractions, which {input} does not take");
            else slots.Add(Made(input, dims, axis, column, index, transforms));
            foreach (Transform transform in transforms) transform.Check(column.Dimensions);
            if (transforms.Skip(1).Any(t => t.ActsInSource))
            {
                problems.Add($"a transform of column {column} acts while the source reads and stands behind others; expected one such "
                    + "transform at most, as the first");
            }
        }
        if (problems.Count > 0)
        {
            throw new DataFileException(
                $"The data do not fit the model: {string.Join("; ", problems)}. Say which column belongs to which input.");
        }
        // Columns share their length: where the model fixes it for one of them, the others keep it too.
        bool isFixed = slots.Any(s => s.Column.PaddedAxis is not null && s.OpenAxis is null);
        return isFixed ? [.. slots.Select(s => s with { OpenAxis = null })] : [.. slots];
    }

    private static Slot Made(BatchInput input, long[] dims, int axis, DataColumn column, int index, ImmutableArray<Transform> transforms) =>
        new(input.Name, input.Type, dims, axis, column, index, transforms)
        {
            OpenAxis = Open(input, column, axis),
            IsLabel = input.IsLabel,
        };

    /// <summary>The padded axis of a column, where the input has the column's axes and leaves the size of this one open.</summary>
    private static int? Open(BatchInput input, DataColumn column, int axis)
    {
        if (column.PaddedAxis is not int padded || input.Dimensions is null) return column.PaddedAxis;
        string[] dims = [.. input.Dimensions.Where((_, i) => i != axis)];
        bool isFixed = dims.Length != column.Dimensions.Count
            || long.TryParse(dims[padded], NumberStyles.None, CultureInfo.InvariantCulture, out _);
        return isFixed ? null : padded;
    }

    /// <summary>The classes of a label that takes a probability for each where the column has the number of one; null for any
    /// other.</summary>
    private static int? Probabilities(BatchInput input, DataColumn column, int axis) =>
        input is { IsLabel: true, Type: ElementType.Float or ElementType.Double or ElementType.Float16, Dimensions: [_, string size] }
        && axis == 0 && column is { Type: ElementType.Int64 or ElementType.Int32, Dimensions.Count: 0 }
        && int.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out int classes) && classes > 1 ? classes : null;

    /// <summary>Shape of one example as the input has it, the column's own where the input leaves it open.</summary>
    private static long[]? Shape(BatchInput input, DataColumn column, int axis)
    {
        if (input.Dimensions is null) return [.. column.Dimensions];
        if (input.Dimensions.Count == 0) return null;
        string[] dims = [.. input.Dimensions.Where((_, i) => i != axis)];
        long[] sizes = [.. dims.Select(d => long.TryParse(d, NumberStyles.None, CultureInfo.InvariantCulture, out long n) ? n : -1)];
        if (sizes.Length == column.Dimensions.Count && sizes.Zip(column.Dimensions).All(p => p.First < 0 || p.First == p.Second))
            return [.. column.Dimensions];
        return sizes.All(n => n >= 0) && sizes.Aggregate(1L, (n, d) => n * d) == column.Length ? sizes : null;
    }
}
