namespace OrtCpr.Data;

/// <summary>Orders of examples for <see cref="DataLoaderOptions.Order"/>. Each depends on seed and epoch only, so that a run that is
/// resumed goes on as it would have.</summary>
public static class ExampleOrder
{
    /// <summary>Every class comes equally often: an epoch has as many examples as the source, in equal shares of the classes that there
    /// are. Rare examples come several times in an epoch. Of a frequent class each epoch takes other examples, all of them once before any
    /// comes again.</summary>
    /// <param name="source">Its labels are read, once.</param>
    /// <param name="seed">Of the orders. Default 0.</param>
    /// <param name="label">Column with the classes; null for the only label of whole numbers.</param>
    /// <exception cref="Graph.OptionException">It is not plain which column has the classes.</exception>
    public static Func<long, IReadOnlyList<int>> Balanced(DataSource source, long seed = 0, string? label = null)
    {
        IReadOnlyList<int>[] classes = [.. ClassLabels.Of(source, label).ByClass.Select(c => c.Rows)];
        int count = classes.Sum(c => c.Count);
        return epoch => Balanced(classes, count, seed, epoch);
    }

    private static int[] Balanced(IReadOnlyList<int>[] classes, int count, long seed, long epoch)
    {
        int[] order = new int[count];
        int at = 0;
        for (int c = 0; c < classes.Length; c++)
        {
            int share = Share(epoch), size = classes[c].Count;
            // Where the piece of this epoch begins: behind the shares of the epochs before, which come round after so many epochs.
            long cycles = epoch / classes.Length, begin = cycles * count;
            for (long before = cycles * classes.Length; before < epoch; before++) begin += Share(before);
            int[]? round = null;
            long current = -1;
            for (int i = 0; i < share; i++)
            {
                // The examples of a class are an endless row of permutations, of which each epoch takes the next piece.
                long place = begin + i;
                if (round is null || place / size != current)
                {
                    current = place / size;
                    round = SplitMix64.For(seed ^ (unchecked((long)0x9FB21C651E98DF25) + c), current).Permutation(size);
                }
                order[at++] = classes[c][round[place % size]];
            }

            // What is left over goes to other classes in each epoch.
            int Share(long of) => (count / classes.Length) + ((c + of) % classes.Length < count % classes.Length ? 1 : 0);
        }
        int[] shuffle = SplitMix64.For(seed, epoch).Permutation(count);
        return [.. shuffle.Select(i => order[i])];
    }
}
