using OrtCpr.Checkpoints;

namespace OrtCpr.Benchmarks.Sides;

/// <summary>(x + y) mod 113 from the tokens [x, y, =], and the transformer that learns it.</summary>
internal static class GrokkingTask
{
    public const int Modulus = 113;
    public const int BatchSize = 512;
    private const int Width = 128;
    private const int TrainingPairs = 3830;

    private static readonly (string Name, long[] Dimensions)[] Initializers =
    [
        ("token_embeddings.weight", [Modulus + 1, Width]),
        ("position_embeddings.weight", [3, Width]),
        ("layers.0.attn.in_proj_weight", [3 * Width, Width]),
        ("layers.0.attn.out_proj.weight", [Width, Width]),
        ("layers.0.mlp.0.weight", [4 * Width, Width]),
        ("layers.0.mlp.0.bias", [4 * Width]),
        ("layers.0.mlp.2.weight", [Width, 4 * Width]),
        ("layers.0.mlp.2.bias", [Width]),
        ("head.weight", [Modulus + 1, Width]),
    ];

    /// <summary>The weights of seed 1 in a split file.</summary>
    public static IReadOnlyDictionary<string, (float[] Data, long[] Dimensions)> ReadWeights(string splitFile)
    {
        using SafetensorsFile file = SafetensorsFile.Read(splitFile);
        return Initializers.ToDictionary(i => i.Name, i =>
            (file.Tensors[$"seed1/weight/{i.Name}"].AsSpan<float>().ToArray(), i.Dimensions), StringComparer.Ordinal);
    }

    /// <summary>Weights by the same rule (matrices N(0, 1/√128), biases 0), for where there is no split file.</summary>
    public static IReadOnlyDictionary<string, (float[] Data, long[] Dimensions)> DrawWeights()
    {
        var random = new Random(1);
        return Initializers.ToDictionary(i => i.Name, i => (Draw(i.Dimensions), i.Dimensions), StringComparer.Ordinal);

        float[] Draw(long[] dimensions)
        {
            float[] data = new float[dimensions.Aggregate(1L, (product, d) => product * d)];
            for (int k = 0; k < data.Length && dimensions.Length > 1; k++)
            {
                data[k] = (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())
                    / Math.Sqrt(Width));
            }
            return data;
        }
    }

    /// <summary>Full batches of 30 % of all pairs, drawn with a fixed seed.</summary>
    public static IReadOnlyList<TokenBatch> Batches()
    {
        int[] pairs = [.. Enumerable.Range(0, Modulus * Modulus)];
        new Random(2).Shuffle(pairs);
        return [.. pairs.Take(TrainingPairs).Chunk(BatchSize).Where(c => c.Length == BatchSize).Select(ToBatch)];
    }

    private static TokenBatch ToBatch(int[] pairs) => new(
        [.. pairs.SelectMany(p => (long[])[p / Modulus, p % Modulus, Modulus])],
        [.. pairs.Select(p => (long)((p / Modulus + p % Modulus) % Modulus))]);
}
