using System.Numerics;
using System.Runtime.InteropServices;

namespace OrtCpr.Graph;

/// <summary>Conversions between element types, one element at a time: for constants and masters, not for inner loops.</summary>
internal static class TensorConversion
{
    internal static double[] ToDoubles(TensorData tensor)
    {
        ReadOnlySpan<byte> bytes = tensor.Bytes.Span;
        return tensor.Type switch
        {
            ElementType.Float => Each<float, double>(bytes, value => value),
            ElementType.Double => MemoryMarshal.Cast<byte, double>(bytes).ToArray(),
            ElementType.Float16 => Each<Half, double>(bytes, value => (double)value),
            ElementType.BFloat16 => Each<ushort, double>(bytes, value => FromBFloat16(value)),
            ElementType.UInt64 => Each<ulong, double>(bytes, value => value),
            ElementType.Float8E4M3FN => Each<byte, double>(bytes, bits => Small(bits, 3, 7, infinite: false, unsignedZero: false)),
            ElementType.Float8E4M3FNUZ => Each<byte, double>(bytes, bits => Small(bits, 3, 8, infinite: false, unsignedZero: true)),
            ElementType.Float8E5M2 => Each<byte, double>(bytes, bits => Small(bits, 2, 15, infinite: true, unsignedZero: false)),
            ElementType.Float8E5M2FNUZ => Each<byte, double>(bytes, bits => Small(bits, 2, 16, infinite: false, unsignedZero: true)),
            // A bare exponent with bias 127; all ones is NaN.
            ElementType.Float8E8M0 => Each<byte, double>(bytes, bits => bits == 255 ? double.NaN : Math.ScaleB(1, bits - 127)),
            ElementType.Float4E2M1 => Array.ConvertAll(Unpack(bytes, tensor.ElementCount, 4, signed: false), FromFloat4),
            ElementType.String or ElementType.Complex64 or ElementType.Complex128 =>
                throw new TensorDataException($"Tensor {tensor} can't be read as real numbers. Pass a tensor of numbers."),
            _ => Array.ConvertAll(ToInt64s(tensor), value => (double)value),
        };
    }

    internal static long[] ToInt64s(TensorData tensor)
    {
        ReadOnlySpan<byte> bytes = tensor.Bytes.Span;
        return tensor.Type switch
        {
            ElementType.Int64 => MemoryMarshal.Cast<byte, long>(bytes).ToArray(),
            ElementType.Int32 => Each<int, long>(bytes, value => value),
            ElementType.Int16 => Each<short, long>(bytes, value => value),
            ElementType.Int8 => Each<sbyte, long>(bytes, value => value),
            ElementType.UInt64 => Each<ulong, long>(bytes, value => value <= long.MaxValue ? (long)value
                : throw new TensorDataException(
                    $"Tensor {tensor} can't be read as Int64: expected at most {long.MaxValue}; found {value}.")),
            ElementType.UInt32 => Each<uint, long>(bytes, value => value),
            ElementType.UInt16 => Each<ushort, long>(bytes, value => value),
            ElementType.UInt8 => Each<byte, long>(bytes, value => value),
            ElementType.Bool => Each<byte, long>(bytes, value => value == 0 ? 0 : 1),
            ElementType.Int4 => Unpack(bytes, tensor.ElementCount, 4, signed: true),
            ElementType.UInt4 => Unpack(bytes, tensor.ElementCount, 4, signed: false),
            ElementType.Int2 => Unpack(bytes, tensor.ElementCount, 2, signed: true),
            ElementType.UInt2 => Unpack(bytes, tensor.ElementCount, 2, signed: false),
            _ => throw new TensorDataException($"Tensor {tensor} can't be read as integers. Pass an integer or bool tensor."),
        };
    }

    /// <summary>Writes the elements of a floating tensor as another floating type.</summary>
    internal static void Convert(TensorData from, ElementType type, Span<byte> to)
    {
        ReadOnlySpan<byte> source = from.Bytes.Span;
        // Through double, which holds every value of the other three, so there is one rounding.
        for (int i = 0; i < from.ElementCount; i++)
        {
            double value = from.Type switch
            {
                ElementType.Float => MemoryMarshal.Cast<byte, float>(source)[i],
                ElementType.Double => MemoryMarshal.Cast<byte, double>(source)[i],
                ElementType.Float16 => (double)MemoryMarshal.Cast<byte, Half>(source)[i],
                _ => FromBFloat16(MemoryMarshal.Cast<byte, ushort>(source)[i]),
            };
            Store(value, type, to, i);
        }
    }

    /// <summary>Rounds a double to a floating type and stores it as element <paramref name="index"/>.</summary>
    internal static void Store(double value, ElementType type, Span<byte> to, int index)
    {
        switch (type)
        {
            case ElementType.Float: MemoryMarshal.Cast<byte, float>(to)[index] = (float)value; break;
            case ElementType.Double: MemoryMarshal.Cast<byte, double>(to)[index] = value; break;
            case ElementType.Float16: MemoryMarshal.Cast<byte, Half>(to)[index] = (Half)value; break;
            default: MemoryMarshal.Cast<byte, ushort>(to)[index] = ToBFloat16(value); break;
        }
    }

    /// <summary>A brain float is the upper half of a float.</summary>
    internal static float FromBFloat16(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    /// <summary>Nearest brain float, ties to even, from a double in one rounding.</summary>
    internal static ushort ToBFloat16(double value)
    {
        if (double.IsNaN(value))
            return (ushort)(0x7FC0 | (double.IsNegative(value) ? 0x8000 : 0));
        float nearest = (float)value;
        uint bits = BitConverter.SingleToUInt32Bits(nearest);
        if (nearest != value)
        {
            // Cut towards zero and mark what was lost in the last bit, so that the second rounding decides as if from the double.
            if (Math.Abs((double)nearest) > Math.Abs(value))
                bits--;
            bits |= 1;
        }
        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    /// <summary>An 8-bit float: sign, exponent, then <paramref name="mantissaBits"/> bits. "FN" types have no infinity and one
    /// NaN pattern; "UZ" types have no negative zero, whose pattern is their NaN.</summary>
    private static double Small(byte bits, int mantissaBits, int bias, bool infinite, bool unsignedZero)
    {
        int exponent = (bits & 0x7F) >> mantissaBits, mantissa = bits & ((1 << mantissaBits) - 1);
        int maxExponent = 0x7F >> mantissaBits;
        if (unsignedZero && bits == 0x80)
            return double.NaN;
        if (infinite && exponent == maxExponent)
            return mantissa != 0 ? double.NaN : bits > 0x7F ? double.NegativeInfinity : double.PositiveInfinity;
        if (!infinite && !unsignedZero && (bits & 0x7F) == 0x7F)
            return double.NaN;
        double size = exponent == 0
            ? Math.ScaleB(mantissa, 1 - bias - mantissaBits)
            : Math.ScaleB(mantissa + (1 << mantissaBits), exponent - bias - mantissaBits);
        return bits > 0x7F ? -size : size;
    }

    private static double FromFloat4(long bits)
    {
        ReadOnlySpan<double> sizes = [0, 0.5, 1, 1.5, 2, 3, 4, 6];
        return (bits & 8) != 0 ? -sizes[(int)bits & 7] : sizes[(int)bits & 7];
    }

    private static long[] Unpack(ReadOnlySpan<byte> bytes, long count, int width, bool signed)
    {
        long[] values = new long[count];
        int perByte = 8 / width;
        for (int i = 0; i < values.Length; i++)
        {
            int value = (bytes[i / perByte] >> (i % perByte * width)) & ((1 << width) - 1);
            values[i] = signed && value >= 1 << (width - 1) ? value - (1 << width) : value;
        }
        return values;
    }

    private static TTo[] Each<TFrom, TTo>(ReadOnlySpan<byte> bytes, Func<TFrom, TTo> convert)
        where TFrom : unmanaged where TTo : INumberBase<TTo>
    {
        ReadOnlySpan<TFrom> source = MemoryMarshal.Cast<byte, TFrom>(bytes);
        TTo[] values = new TTo[source.Length];
        for (int i = 0; i < values.Length; i++)
            values[i] = convert(source[i]);
        return values;
    }
}
