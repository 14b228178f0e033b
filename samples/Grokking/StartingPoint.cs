using System.Collections.Immutable;
using OrtCpr.Checkpoints;
using OrtCpr.Data;
using OrtCpr.Graph;

namespace Grokking;

/// <summary>What a run starts from: the training pairs, the order of each epoch and, for the reference's runs, the weights.</summary>
internal sealed class StartingPoint
{
    private const int SplitStream = 0;
    private readonly IReadOnlyList<int[]> _firstOrders;
    private readonly long _seed;

    private StartingPoint(long seed, int[] trainingPairs, IReadOnlyList<int[]> firstOrders, ImmutableDictionary<string, TensorData> weights)
    {
        _seed = seed;
        _firstOrders = firstOrders;
        TrainingPairs = trainingPairs;
        Weights = weights;
    }

    public int[] TrainingPairs { get; }

    /// <summary>Initial values by parameter; empty where the model's own rules draw them.</summary>
    public ImmutableDictionary<string, TensorData> Weights { get; }

    /// <summary>Everything from the seed.</summary>
    public static StartingPoint Drawn(int p, double fraction, long seed) =>
        new(seed, SplitMix64.For(seed, SplitStream).Permutation(p * p)[..ModularAddition.TrainingCount(p, fraction)], [],
            ImmutableDictionary<string, TensorData>.Empty);

    /// <summary>Split, weights and the first ten shuffles of the PyTorch runs; later shuffles are our own.</summary>
    public static StartingPoint Reference(string path, long seed)
    {
        SafetensorsFile file = SafetensorsFile.Read(path);
        string prefix = $"seed{seed}/", weight = $"{prefix}weight/";
        int[] pairs = file.Tensors[$"{prefix}train_index"].ToArray<int>();
        int[] orders = file.Tensors[$"{prefix}order"].ToArray<int>();
        ImmutableDictionary<string, TensorData> weights = file.Tensors.Where(t => t.Key.StartsWith(weight, StringComparison.Ordinal))
            .ToImmutableDictionary(t => t.Key[weight.Length..], t => t.Value, StringComparer.Ordinal);
        return new(seed, pairs, [.. orders.Chunk(pairs.Length)], weights);
    }

    /// <summary>Positions in the training set in the order of an epoch, counted from 1.</summary>
    public int[] Order(int epoch) => epoch <= _firstOrders.Count ? _firstOrders[epoch - 1]
        : SplitMix64.For(_seed, epoch).Permutation(TrainingPairs.Length);
}
