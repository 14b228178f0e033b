namespace OrtCpr.Data;

/// <summary>Orders of examples for <see cref="DataLoaderOptions.Order"/>. Each depends on seed and epoch only, so that a run that is
/// resumed goes on as it would have.</summary>
public static class ExampleOrder
{
    /// <summary>Every class comes equally often: an epoch has as many examples as the source, in equal shares of the classes that there are.
    /// Rare examples come several times in an epoch. Of a frequent class each epoch takes other examples, all of them once before any
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
            // What is left over goes to other classes in each epoch.
            long turn = (c + epoch) % classes.Length;
            int share = (count / classes.Length) + (turn < count % classes.Length ? 1 : 0);
            int most = (count / classes.Length) + 1, size = classes[c].Count;
            int[]? round = null;
            long current = -1;
            for (int i = 0; i < share; i++)
            {
                // The examples of a class are an endless row of permutations, of which each epoch takes the next piece.
                long place = (epoch * most) + i;
                if (round is null || place / size != current)
                {
                    current = place / size;
                    round = SplitMix64.For(seed ^ (unchecked((long)0x9FB21C651E98DF25) + c), current).Permutation(size);
                }
                order[at++] = classes[c][round[place % size]];
            }
        }
        int[] shuffle = SplitMix64.For(seed, epoch).Permutation(count);
        return [.. shuffle.Select(i => order[i])];
    }
}
