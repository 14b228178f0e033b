namespace OrtCpr.Graph.Ir;

/// <summary>SplitMix64 (Steele, Lea and Flood 2014): its step, and what makes random bits of a counter.</summary>
internal static class Mixing
{
    /// <summary>2⁶⁴ divided by the golden ratio, odd: the step of the counter.</summary>
    public const ulong GoldenGamma = 0x9E3779B97F4A7C15;

    /// <summary>64 bits that look random, another for every input.</summary>
    public static ulong Bits(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
