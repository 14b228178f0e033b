using System.Collections.Immutable;
using OrtCpr.Checkpoints;
using OrtCpr.Data;
using OrtCpr.Graph;

namespace Grokking;

/// <summary>(x + y) mod p from the tokens [x, y, =]. A pair has the index p·x + y, and the token of "=" is p.</summary>
internal static class ModularAddition
{
    public static int TrainingCount(int p, double fraction) => (int)(fraction * p * p);

    /// <summary>The pairs that are not among those that are trained on, in the order of their indices.</summary>
    public static int[] Rest(int p, IEnumerable<int> trainingPairs) => [.. Enumerable.Range(0, p * p).Except(trainingPairs)];

    /// <summary>Pairs as examples: <c>tokens</c> [count, 3] and <c>labels</c> [count].</summary>
    public static DataSource Examples(int p, IReadOnlyList<int> pairs)
    {
        long[] tokens = [.. pairs.SelectMany(pair => new long[] { pair / p, pair % p, p })],
            labels = [.. pairs.Select(pair => (long)((pair / p) + (pair % p)) % p)];
        return DataSource.FromTensors(new Dictionary<string, TensorData>
        {
            ["tokens"] = TensorData.From<long>(tokens, pairs.Count, 3),
            ["labels"] = TensorData.From<long>(labels, pairs.Count),
        });
    }
}

/// <summary>What a run starts from: its training pairs, shuffles that were recorded of the first epochs (the seed draws the others), and
/// initial values by parameter, none where the model's own rules draw them.</summary>
internal sealed record StartingPoint(long Seed, int[] TrainingPairs, int[][] FirstOrders, ImmutableDictionary<string, TensorData> Weights)
{
    private const int SplitStream = 0;

    /// <summary>Everything from the seed.</summary>
    public static StartingPoint Drawn(int p, double fraction, long seed) =>
        new(seed, SplitMix64.For(seed, SplitStream).Permutation(p * p)[..ModularAddition.TrainingCount(p, fraction)], [],
            ImmutableDictionary<string, TensorData>.Empty);

    /// <summary>Split, weights and the first ten shuffles of the PyTorch runs; later shuffles are our own.</summary>
    public static StartingPoint Reference(string path, long seed)
    {
        SafetensorsFile file = SafetensorsFile.Read(path);
        string prefix = $"seed{seed}/", weight = $"{prefix}weight/";
        int[] pairs = file.Tensors[$"{prefix}train_index"].ToArray<int>(), orders = file.Tensors[$"{prefix}order"].ToArray<int>();
        return new(seed, pairs, [.. orders.Chunk(pairs.Length)], file.Tensors.Where(t => t.Key.StartsWith(weight, StringComparison.Ordinal))
            .ToImmutableDictionary(t => t.Key[weight.Length..], t => t.Value, StringComparer.Ordinal));
    }

    /// <summary>Positions in the training set in the order of an epoch, counted from 1.</summary>
    public int[] Order(int epoch) => epoch <= FirstOrders.Length ? FirstOrders[epoch - 1]
        : SplitMix64.For(Seed, epoch).Permutation(TrainingPairs.Length);
}
