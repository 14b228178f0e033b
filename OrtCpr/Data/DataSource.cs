using System.Collections.Immutable;
using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>One column of a data source.</summary>
/// <param name="Name">Its name in the source.</param>
/// <param name="Type">Element type.</param>
/// <param name="Dimensions">Shape of one example; empty for a number.</param>
/// <param name="IsLabel">True for what a loss compares with; false where the source does not know.</param>
public sealed record DataColumn(string Name, ElementType Type, IReadOnlyList<long> Dimensions, bool IsLabel = false)
{
    /// <summary>What the elements of an example are called, such as the features of a table; empty where they have no names.</summary>
    public ImmutableArray<string> ElementNames { get; init; } = [];

    /// <summary>What the classes 0, 1 … of a label are in the source; empty where they have no names.</summary>
    public ImmutableArray<string> ClassNames { get; init; } = [];

    /// <summary>The axis of an example that is filled up behind the example's own length (<see cref="DataSource.LengthOf"/>),
    /// such as that of tokens; a loader cuts it to the longest example of the batch where the model leaves its size open. Null
    /// (default) for examples that all have the same size.</summary>
    public int? PaddedAxis { get; init; }

    /// <summary>Elements of one example, with those that fill it up.</summary>
    public long Length => Dimensions.Aggregate(1L, (n, d) => n * d);

    /// <summary>Bytes of one example.</summary>
    internal int Size => checked((int)(Length * Type.BitsPerElement() / 8));

    /// <inheritdoc/>
    public override string ToString() => $"'{Name}' {Type}[{string.Join(',', Dimensions)}]";
}

/// <summary>A finite set of examples that can be read in any order; <c>From…</c> makes one of files and tensors. Reading
/// is thread-safe; disposing is not.</summary>
public abstract partial class DataSource : IDisposable
{
    /// <summary>How many examples there are.</summary>
    public abstract long Count { get; }

    /// <summary>What an example consists of.</summary>
    public abstract IReadOnlyList<DataColumn> Columns { get; }

    /// <summary>Copies one example of a column.</summary>
    /// <param name="column">Position in <see cref="Columns"/>.</param>
    /// <param name="row">Example, from 0.</param>
    /// <param name="target">Bytes of the example in row-major order, packed and little-endian.</param>
    public abstract void Read(int column, long row, Span<byte> target);

    /// <summary>Whether the source can apply a transform itself while it reads an example: one that acts on the form that the example
    /// has in a file, such as a picture before it gets its size. Default: it can apply none.</summary>
    /// <param name="column">Position in <see cref="Columns"/>.</param>
    /// <param name="transform">The transform.</param>
    public virtual bool CanApply(int column, Transform transform) => false;

    /// <summary>Copies one example of a column, changed by a transform that <see cref="CanApply"/> says yes to.</summary>
    /// <param name="column">Position in <see cref="Columns"/>.</param>
    /// <param name="row">Example, from 0.</param>
    /// <param name="transform">What the source does to the example.</param>
    /// <param name="random">The example's own numbers.</param>
    /// <param name="target">As in <see cref="Read(int, long, Span{byte})"/>.</param>
    /// <exception cref="NotSupportedException">The source does not apply the transform.</exception>
    public virtual void Read(int column, long row, Transform transform, SplitMix64 random, Span<byte> target) =>
        throw new NotSupportedException($"{GetType().Name} applies no transforms.");

    /// <summary>How much of the padded axes (<see cref="DataColumn.PaddedAxis"/>) an example takes; it is one number for all
    /// padded columns.</summary>
    /// <param name="row">Example, from 0.</param>
    /// <returns>At least 0. Without padded columns it is not asked for; the default is that nothing is padding.</returns>
    public virtual int LengthOf(long row) => int.MaxValue;

    /// <summary>Some of the examples, as a source of their own.</summary>
    /// <param name="rows">Their numbers, in the order they shall have. Kept, not copied.</param>
    /// <remarks>Disposing it does not dispose this source.</remarks>
    public DataSource Select(IReadOnlyList<int> rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        if (rows.Any(r => r < 0 || r >= Count)) throw new ArgumentOutOfRangeException(nameof(rows), $"The source has {Count} examples.");
        return new Selection(this, rows);
    }

    /// <summary>Two sources of a random split, the same for the same seed.</summary>
    /// <param name="fraction">Share of the first, above 0 and below 1; each gets at least one example.</param>
    /// <param name="seed">Of the split.</param>
    /// <exception cref="OptionException">The fraction is out of range.</exception>
    /// <exception cref="DataFileException">There are too few examples, or too many.</exception>
    public (DataSource First, DataSource Second) Split(double fraction, long seed = 0)
    {
        CheckSplit(fraction);
        int[] order = SplitMix64.For(seed, -1).Permutation((int)Count);
        int first = Math.Clamp((int)Math.Round(fraction * order.Length), 1, order.Length - 1);
        return (Select(order[..first]), Select(order[first..]));
    }

    /// <summary>Two sources of a random split that keeps the share of each class, the same for the same seed. Each has its examples in the
    /// order of this source.</summary>
    /// <param name="fraction">Share of the first, above 0 and below 1. It is kept in each class as nearly as whole examples allow; a class
    /// of at least two examples is in both parts, and a class of one in the first.</param>
    /// <param name="seed">Of the split.</param>
    /// <param name="label">Column with the classes, integers; null for the only label column of integers.</param>
    /// <exception cref="OptionException">The fraction is out of range, or it is not plain which column has the classes.</exception>
    /// <exception cref="DataFileException">There are too few examples, or too many; or no class has two.</exception>
    public (DataSource First, DataSource Second) SplitByClass(double fraction, long seed = 0, string? label = null)
    {
        CheckSplit(fraction);
        var first = new List<int>();
        var second = new List<int>();
        IReadOnlyList<int>[] classes = [.. ClassLabels.Of(this, label).ByClass.Select(c => c.Rows)];
        for (int c = 0; c < classes.Length; c++)
        {
            int count = classes[c].Count;
            int kept = count == 1 ? 1 : Math.Clamp((int)Math.Round(fraction * count), 1, count - 1);
            int[] order = SplitMix64.For(seed, -2 - c).Permutation(count);
            first.AddRange(order.Take(kept).Select(i => classes[c][i]));
            second.AddRange(order.Skip(kept).Select(i => classes[c][i]));
        }
        if (second.Count == 0)
            throw new DataFileException("No class has two examples, so that none is left for the second part. Add examples.");
        first.Sort();
        second.Sort();
        return (Select(first), Select(second));
    }

    private void CheckSplit(double fraction)
    {
        if (!(fraction is > 0 and < 1))
        {
            throw new OptionException(
                $"A split with a {nameof(fraction)} of {fraction.ToString(System.Globalization.CultureInfo.InvariantCulture)}; "
                + "expected a number above 0 and below 1.");
        }
        if (Count is < 2 or > int.MaxValue)
            throw new DataFileException($"A source of {Count} examples cannot be split; expected 2 to {int.MaxValue}.");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Gives back files.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }

    private sealed class Selection(DataSource source, IReadOnlyList<int> rows) : DataSource
    {
        public override long Count => rows.Count;

        public override IReadOnlyList<DataColumn> Columns => source.Columns;

        public override void Read(int column, long row, Span<byte> target) => source.Read(column, rows[(int)row], target);

        public override bool CanApply(int column, Transform transform) => source.CanApply(column, transform);

        public override void Read(int column, long row, Transform transform, SplitMix64 random, Span<byte> target) =>
            source.Read(column, rows[(int)row], transform, random, target);

        public override int LengthOf(long row) => source.LengthOf(rows[(int)row]);
    }
}
