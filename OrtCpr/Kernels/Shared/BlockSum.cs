using System.Numerics;

namespace OrtCpr.Kernels;

/// <summary>Σ term(x) over a block of at most <see cref="Chunks.BlockLength"/> elements.</summary>
/// <remarks>
/// Lane k of accumulator j adds every element at 4·lanes·i + j·lanes + k; four accumulators, so that additions wait less for
/// each other. A lane adds at most 64 terms in float at 4 lanes (1024/16), an error of a few 1e-6 at worst and 1e-7 as a
/// rule; lanes are then added in double. Reads 4 bytes an element, writes nothing. The result depends on the lane count of
/// the machine, not on its threads.</remarks>
internal static unsafe class BlockSum
{
    public static double Of<TTerm>(float* block, nint length)
        where TTerm : struct, ITerm
    {
        double sum = 0;
        nint i = 0;
        if (Vector.IsHardwareAccelerated)
        {
            nint lanes = Vector<float>.Count;
            Vector<float> a = default, b = default, c = default, d = default;
            for (; i <= length - (4 * lanes); i += 4 * lanes)
            {
                a += TTerm.Of(Vector.Load(block + i));
                b += TTerm.Of(Vector.Load(block + i + lanes));
                c += TTerm.Of(Vector.Load(block + i + (2 * lanes)));
                d += TTerm.Of(Vector.Load(block + i + (3 * lanes)));
            }
            Vector<float> all = a + b + (c + d);
            for (int lane = 0; lane < lanes; lane++)
                sum += all[lane];
        }
        for (; i < length; i++)
            sum += TTerm.Of(block[i]);
        return sum;
    }
}
