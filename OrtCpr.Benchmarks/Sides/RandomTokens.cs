namespace OrtCpr.Benchmarks.Sides;

/// <summary>Rows of tokens without meaning, and the token after each.</summary>
internal static class RandomTokens
{
    private const int Seed = 3;

    /// <summary>[rows, length] tokens and targets, the same ones every time.</summary>
    public static (long[] Tokens, long[] Targets) Draw(int rows, int length, int vocabulary)
    {
        var random = new Random(Seed);
        long[][] lines = [.. Enumerable.Range(0, rows)
            .Select(_ => Enumerable.Range(0, length + 1).Select(_ => (long)random.Next(vocabulary)).ToArray())];
        return ([.. lines.SelectMany(l => l[..^1])], [.. lines.SelectMany(l => l[1..])]);
    }

    /// <summary>As the exported GPT2 models take them.</summary>
    public static Batch ToBatch(long[] tokens, long[] targets, int rows) => new Batch()
        .Add("input_ids", tokens, rows, tokens.Length / rows)
        .Add("labels", targets, rows, targets.Length / rows);
}
