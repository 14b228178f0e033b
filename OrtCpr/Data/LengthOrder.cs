namespace OrtCpr.Data;

/// <summary>An order of examples in which those of a batch are about equally long.</summary>
internal static class LengthOrder
{
    /// <summary>Sorts stretches of a random order by length and shuffles the batches that come of it.</summary>
    /// <param name="order">The random order.</param>
    /// <param name="batchSize">Examples a batch.</param>
    /// <param name="stretch">Batches that are sorted together.</param>
    /// <param name="lengthOf">Of an example.</param>
    /// <param name="random">Goes on behind the order.</param>
    /// <returns>The same examples. A batch that is not full stays the last one.</returns>
    public static int[] Of(int[] order, int batchSize, int stretch, Func<int, int> lengthOf, SplitMix64 random)
    {
        int[] sorted = [.. order.Chunk((int)Math.Min(int.MaxValue, (long)batchSize * stretch)).SelectMany(part => part.OrderBy(lengthOf))];
        int full = sorted.Length / batchSize;
        int[] batches = random.Permutation(full);
        int[] result = new int[sorted.Length];
        for (int b = 0; b < full; b++) sorted.AsSpan(batches[b] * batchSize, batchSize).CopyTo(result.AsSpan(b * batchSize));
        sorted.AsSpan(full * batchSize).CopyTo(result.AsSpan(full * batchSize));
        return result;
    }
}
