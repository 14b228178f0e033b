using System.Globalization;
using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>Where an input has its examples: the states of recurrent layers have them on the second axis, as have inputs
/// whose time comes first.</summary>
internal static class ExampleAxis
{
    /// <summary>The size that stands for the number of examples is the first one of a label, or else of an input. 0 for an
    /// input that has it nowhere.</summary>
    public static int Of(BatchInput input, IReadOnlyList<BatchInput> inputs)
    {
        string? symbol = inputs.OrderBy(i => i.IsLabel ? 0 : 1).Select(i => i.Dimensions is [string first, ..] ? first : null)
            .FirstOrDefault(d => IsOpen(d) && inputs.Any(i => !i.IsLabel && Find(i, d!) >= 0));
        return symbol is null || input.IsLabel ? 0 : Math.Max(0, Find(input, symbol));
    }

    /// <summary>Whether a size is left open under a name.</summary>
    public static bool IsOpen(string? size) =>
        size is not (null or "?") && !long.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out _);

    /// <summary>Writes one example into a batch.</summary>
    /// <param name="example">The example's bytes.</param>
    /// <param name="batch">All of the batch.</param>
    /// <param name="parts">Product of the sizes in front of the axis.</param>
    /// <param name="row">Which example it is.</param>
    /// <param name="rows">Of how many.</param>
    public static void Write(ReadOnlySpan<byte> example, Span<byte> batch, int parts, int row, int rows)
    {
        int size = example.Length / parts;
        for (int p = 0; p < parts; p++) example.Slice(p * size, size).CopyTo(batch[(((p * rows) + row) * size)..]);
    }

    /// <summary>Copies the front part of one axis of an example.</summary>
    /// <param name="example">The example's bytes.</param>
    /// <param name="dimensions">Its shape.</param>
    /// <param name="axis">The axis that is cut.</param>
    /// <param name="length">What is kept of it.</param>
    /// <param name="target">The shorter example.</param>
    public static void Cut(ReadOnlySpan<byte> example, IReadOnlyList<long> dimensions, int axis, long length, Span<byte> target)
    {
        int parts = (int)dimensions.Take(axis).Aggregate(1L, (n, d) => n * d);
        int size = example.Length / parts, kept = target.Length / parts;
        System.Diagnostics.Debug.Assert(kept == size / dimensions[axis] * length);
        for (int p = 0; p < parts; p++) example.Slice(p * size, kept).CopyTo(target[(p * kept)..]);
    }

    private static int Find(BatchInput input, string symbol) => input.Dimensions?.ToList().IndexOf(symbol) ?? -1;
}
