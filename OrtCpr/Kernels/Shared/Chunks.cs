namespace OrtCpr.Kernels;

/// <summary>
/// How a tensor is cut. Both lengths are constants, so neither the work of a chunk nor the order in which partial sums are
/// combined depends on the number of threads: one thread and many give the same bits.</summary>
internal static class Chunks
{
    /// <summary>Elements that one call of a loop body handles: seven streams of 64 KiB stay inside a 1 MiB second-level cache.</summary>
    public const int Length = 16 * BlockLength;

    /// <summary>
    /// Elements whose sum is formed in float lanes before it goes on in double. 4 KiB, so that the block is still in the
    /// first-level cache when it is measured right after its update.</summary>
    public const int BlockLength = 1024;

    /// <summary>Chunks of a tensor of <paramref name="elements"/> elements, the last one possibly shorter.</summary>
    public static nint Count(nint elements) => (elements + Length - 1) / Length;

    /// <summary>Elements of chunk <paramref name="chunk"/>.</summary>
    public static nint LengthOf(nint chunk, nint elements) => nint.Min(Length, elements - (chunk * Length));
}
