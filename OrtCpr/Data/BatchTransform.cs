using System.Runtime.InteropServices;
using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>One input as a transform of batches sees it.</summary>
/// <param name="Input">Name of the input.</param>
/// <param name="Type">Element type in the batch.</param>
/// <param name="Dimensions">Shape of one example.</param>
/// <param name="IsLabel">True for what a loss compares with.</param>
/// <param name="Classes">Classes of a label that has a probability for each; 0 for any other input.</param>
/// <param name="IsFirstAxis">Whether the examples lie one behind the other.</param>
public sealed record BatchColumn(string Input, ElementType Type, IReadOnlyList<long> Dimensions, bool IsLabel, int Classes,
    bool IsFirstAxis)
{
    /// <summary>Elements of one example.</summary>
    public long Length => Dimensions.Aggregate(1L, (n, d) => n * d);
}

/// <summary>The examples of a batch while it is made. Not to be kept.</summary>
public sealed class BatchData
{
    private readonly byte[][] _buffers;

    internal BatchData(IReadOnlyList<BatchColumn> columns, byte[][] buffers, int rows) =>
        (Columns, _buffers, Rows) = (columns, buffers, rows);

    /// <summary>The inputs.</summary>
    public IReadOnlyList<BatchColumn> Columns { get; }

    /// <summary>How many examples there are.</summary>
    public int Rows { get; }

    /// <summary>The elements of all examples of a Float input, [rows, …], to be changed in place.</summary>
    /// <param name="column">Position in <see cref="Columns"/>.</param>
    /// <exception cref="InvalidOperationException">The input is of another type.</exception>
    public Span<float> Floats(int column) => Columns[column].Type == ElementType.Float
        ? MemoryMarshal.Cast<byte, float>(_buffers[column].AsSpan())[..checked((int)(Rows * Columns[column].Length))]
        : throw new InvalidOperationException($"Input '{Columns[column].Input}' is {Columns[column].Type}, not Float.");
}

/// <summary>Changes the examples of a batch together. What is random depends on seed, epoch and batch only.</summary>
public abstract class BatchTransform
{
    /// <summary>Refuses inputs that it is not made for.</summary>
    /// <param name="columns">What a batch holds.</param>
    /// <exception cref="OptionException">An input does not fit.</exception>
    public virtual void Check(IReadOnlyList<BatchColumn> columns)
    {
    }

    /// <summary>Changes a batch in place.</summary>
    /// <param name="batch">The examples.</param>
    /// <param name="random">The batch's own numbers.</param>
    public abstract void Apply(BatchData batch, SplitMix64 random);
}
