using OrtCpr.Graph.Ir;

namespace OrtCpr.Data;

/// <summary>Random integers that are the same on every machine and in every version of .NET (Steele, Lea, Flood 2014).</summary>
/// <remarks>Splits, shuffles and augmentations come from here and will never change: a published run names only its
/// seed. Not for secrets. Not thread-safe.</remarks>
public sealed class SplitMix64
{
    private ulong _state;

    private SplitMix64(ulong state) => _state = state;

    /// <summary>A stream of its own for each pair of seed and number.</summary>
    /// <param name="seed">Any number.</param>
    /// <param name="stream">Tells streams of one seed apart: an epoch, an example.</param>
    public static SplitMix64 For(long seed, long stream) => new(Mixing.Bits(Mixing.Bits((ulong)seed + Mixing.GoldenGamma) + (ulong)stream));

    /// <summary>64 random bits; moves the stream on by one.</summary>
    public ulong Next() => Mixing.Bits(_state += Mixing.GoldenGamma);

    /// <summary>Uniform in 0 … n − 1: the high half of a 128-bit product; the few values that would favour some results
    /// are drawn again (Lemire 2019).</summary>
    /// <param name="n">At least 1.</param>
    public int Below(int n)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(n, 1);
        ulong threshold = (0UL - (ulong)n) % (ulong)n, low;
        ulong high;
        do
        {
            high = Math.BigMul(Next(), (ulong)n, out low);
        }
        while (low < threshold);
        return (int)high;
    }

    /// <summary>Uniform in [0, 1), of 53 bits.</summary>
    public double NextDouble() => (Next() >> 11) * (1.0 / (1UL << 53));

    /// <summary>0 … n − 1 in random order (Fisher and Yates, from the end).</summary>
    /// <param name="n">At least 0.</param>
    public int[] Permutation(int n)
    {
        int[] order = [.. Enumerable.Range(0, n)];
        for (int i = n - 1; i > 0; i--)
        {
            int j = Below(i + 1);
            (order[i], order[j]) = (order[j], order[i]);
        }
        return order;
    }
}
