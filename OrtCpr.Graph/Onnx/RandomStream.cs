using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Onnx;

/// <summary>Random numbers that are the same bits on every machine: SplitMix64 (Steele, Lea, Flood 2014) over a counter, and only
/// operations that IEEE 754 rounds exactly (no library sine or logarithm, which differ between systems).</summary>
internal sealed class RandomStream
{
    private ulong _state;
    private double? _spare;

    private RandomStream(ulong state) => _state = state;

    /// <summary>A stream of its own for every name, so that the order of drawing does not matter.</summary>
    internal static RandomStream For(long seed, string name)
    {
        byte[] text = Encoding.UTF8.GetBytes(name);
        byte[] key = new byte[sizeof(long) + text.Length];
        BinaryPrimitives.WriteInt64LittleEndian(key, seed);
        text.CopyTo(key, sizeof(long));
        return new RandomStream(BinaryPrimitives.ReadUInt64LittleEndian(SHA256.HashData(key)));
    }

    /// <summary>The stream of a node's own <c>seed</c> attribute: equal seeds draw equal numbers, as ONNX wants.</summary>
    internal static RandomStream For(float nodeSeed) => For(BitConverter.SingleToUInt32Bits(nodeSeed), "node seed");

    /// <summary>Uniform in [0, 1), a multiple of 2^-53.</summary>
    internal double NextUniform() => (NextBits() >> 11) * (1.0 / (1L << 53));

    /// <summary>Standard normal, by Marsaglia's polar method: two at a time, one logarithm and one root for both.</summary>
    internal double NextNormal()
    {
        if (_spare is double spare)
        {
            _spare = null;
            return spare;
        }
        double x, y, radius;
        do
        {
            x = (2 * NextUniform()) - 1;
            y = (2 * NextUniform()) - 1;
            radius = (x * x) + (y * y);
        }
        while (radius is >= 1 or 0);
        double scale = Math.Sqrt(-2 * Log(radius) / radius);
        _spare = y * scale;
        return x * scale;
    }

    /// <summary>Natural logarithm of a positive normal number, to about 1e-15 relative: x = m·2^e with m in [√½, √2), then
    /// ln m = 2·artanh s, s = (m−1)/(m+1), |s| ≤ 0.172, by its power series.</summary>
    internal static double Log(double x)
    {
        const double Ln2 = 0.693147180559945309417;
        long bits = BitConverter.DoubleToInt64Bits(x);
        int exponent = (int)(bits >> 52) - 1023;
        double m = BitConverter.Int64BitsToDouble((bits & 0xFFFFFFFFFFFFF) | (1023L << 52));
        if (m > 1.4142135623730951)
        {
            m /= 2;
            exponent++;
        }
        double s = (m - 1) / (m + 1), square = s * s, sum = 1.0 / 23;
        foreach (double coefficient in (ReadOnlySpan<double>)[1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9,
            1.0 / 7, 1.0 / 5, 1.0 / 3, 1])
        {
            sum = (sum * square) + coefficient;
        }

        return (exponent * Ln2) + (2 * s * sum);
    }

    private ulong NextBits() => Mixing.Bits(_state += Mixing.GoldenGamma);
}
