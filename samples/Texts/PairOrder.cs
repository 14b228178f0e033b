using OrtCpr.Data;
using Samples;

namespace Texts;

// The order in which neighbours are pairs of one topic and a batch has one pair of each topic, so that all negatives are of other topics.
// A topic with fewer sentences comes around more often.
internal sealed class PairOrder
{
    private const int MostTopics = 16;
    private readonly int[][] _topics;
    private readonly long _seed;

    public PairOrder(DataSource training, long seed)
    {
        _seed = seed;
        // An order has as many rows as the source; the last batch of an odd number would end in half a pair.
        Source = training.Select([.. Enumerable.Range(0, (int)training.Count / 2 * 2)]);
        _topics = [.. Topics.Classes(Source).Index().GroupBy(c => c.Item, c => c.Index).Select(g => g.ToArray()).Where(g => g.Length > 1)];
        if (_topics.Length < 2)
            throw new SampleException("--pairs needs at least two topics with three sentences; add sentences to the table.");
        BatchSize = 2 * Math.Min(MostTopics, _topics.Length);
    }

    public DataSource Source { get; }

    public int BatchSize { get; }

    public IReadOnlyList<int> Of(long epoch)
    {
        int[][] shuffled = [.. _topics.Select((t, i) => SplitMix64.For(_seed + (epoch * 1000), i).Permutation(t.Length)
            .Select(p => t[p]).ToArray())];
        int[] topics = SplitMix64.For(_seed + (epoch * 1000), -1).Permutation(_topics.Length);
        var order = new List<int>();
        for (int round = 0; order.Count < Source.Count; round++)
        {
            foreach (int topic in topics)
            {
                int[] rows = shuffled[topic];
                order.AddRange([rows[2 * round % rows.Length], rows[((2 * round) + 1) % rows.Length]]);
            }
        }
        return [.. order.Take((int)Source.Count)];
    }
}
