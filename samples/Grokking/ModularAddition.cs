using OrtCpr.Data;
using OrtCpr.Graph;

namespace Grokking;

/// <summary>(x + y) mod p from the tokens [x, y, =]. A pair has the index p·x + y, and the token of "=" is p.</summary>
internal static class ModularAddition
{
    public static int TrainingCount(int p, double fraction) => (int)(fraction * p * p);

    /// <summary>The pairs that are not among those that are trained on, in the order of their indices.</summary>
    public static int[] Rest(int p, IEnumerable<int> trainingPairs)
    {
        HashSet<int> inTraining = [.. trainingPairs];
        return [.. Enumerable.Range(0, p * p).Where(pair => !inTraining.Contains(pair))];
    }

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
