namespace Grokking;

// (x + y) mod p from the tokens [x, y, =]. A pair has the index p·x + y, and the token of "=" is p.
internal sealed class Examples
{
    public const int Length = 3;

    public Examples(int p, IReadOnlyList<int> pairs)
    {
        Count = pairs.Count;
        Tokens = new long[Count * Length];
        Labels = new long[Count];
        for (int i = 0; i < Count; i++)
        {
            (int x, int y) = Math.DivRem(pairs[i], p);
            Tokens[i * Length] = x;
            Tokens[(i * Length) + 1] = y;
            Tokens[(i * Length) + 2] = p;
            Labels[i] = (x + y) % p;
        }
    }

    public int Count { get; }

    // Row-major [Count, 3].
    public long[] Tokens { get; }

    public long[] Labels { get; }
}

// All p² pairs, cut into a training set and the rest.
internal sealed class ModularAddition
{
    public ModularAddition(int p, IReadOnlyList<int> trainingPairs)
    {
        HashSet<int> inTraining = [.. trainingPairs];
        Training = new Examples(p, trainingPairs);
        Validation = new Examples(p, [.. Enumerable.Range(0, p * p).Where(pair => !inTraining.Contains(pair))]);
    }

    public Examples Training { get; }

    public Examples Validation { get; }

    public static int TrainingCount(int p, double fraction) => (int)(fraction * p * p);
}
