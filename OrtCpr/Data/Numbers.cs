using System.Numerics;
using System.Runtime.InteropServices;
using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>Conversion between packed numbers of element types.</summary>
internal static class Numbers
{
    public static bool Has(ElementType type) =>
        type is ElementType.Float or ElementType.Double or ElementType.Float16 or ElementType.Bool
            or ElementType.Int8 or ElementType.Int16 or ElementType.Int32 or ElementType.Int64
            or ElementType.UInt8 or ElementType.UInt16 or ElementType.UInt32 or ElementType.UInt64;

    /// <summary>As many numbers as both hold. What is too large for the target takes its nearest value.</summary>
    public static void Convert(ReadOnlySpan<byte> from, ElementType fromType, Span<byte> to, ElementType toType)
    {
        if (fromType == toType)
        {
            from.CopyTo(to);
            return;
        }
        switch (fromType)
        {
            case ElementType.Float: To(MemoryMarshal.Cast<byte, float>(from), to, toType); break;
            case ElementType.Double: To(MemoryMarshal.Cast<byte, double>(from), to, toType); break;
            case ElementType.Float16: To(MemoryMarshal.Cast<byte, Half>(from), to, toType); break;
            case ElementType.Int8: To(MemoryMarshal.Cast<byte, sbyte>(from), to, toType); break;
            case ElementType.Int16: To(MemoryMarshal.Cast<byte, short>(from), to, toType); break;
            case ElementType.UInt16: To(MemoryMarshal.Cast<byte, ushort>(from), to, toType); break;
            case ElementType.Int32: To(MemoryMarshal.Cast<byte, int>(from), to, toType); break;
            case ElementType.UInt32: To(MemoryMarshal.Cast<byte, uint>(from), to, toType); break;
            case ElementType.Int64: To(MemoryMarshal.Cast<byte, long>(from), to, toType); break;
            case ElementType.UInt64: To(MemoryMarshal.Cast<byte, ulong>(from), to, toType); break;
            default: To(from, to, toType); break;
        }
    }

    private static void To<T>(ReadOnlySpan<T> from, Span<byte> to, ElementType type) where T : struct, INumberBase<T>
    {
        switch (type)
        {
            case ElementType.Float: Each(from, MemoryMarshal.Cast<byte, float>(to)); break;
            case ElementType.Double: Each(from, MemoryMarshal.Cast<byte, double>(to)); break;
            case ElementType.Float16: Each(from, MemoryMarshal.Cast<byte, Half>(to)); break;
            case ElementType.Int8: Each(from, MemoryMarshal.Cast<byte, sbyte>(to)); break;
            case ElementType.Int16: Each(from, MemoryMarshal.Cast<byte, short>(to)); break;
            case ElementType.UInt16: Each(from, MemoryMarshal.Cast<byte, ushort>(to)); break;
            case ElementType.Int32: Each(from, MemoryMarshal.Cast<byte, int>(to)); break;
            case ElementType.UInt32: Each(from, MemoryMarshal.Cast<byte, uint>(to)); break;
            case ElementType.Int64: Each(from, MemoryMarshal.Cast<byte, long>(to)); break;
            case ElementType.UInt64: Each(from, MemoryMarshal.Cast<byte, ulong>(to)); break;
            case ElementType.Bool:
                for (int i = 0; i < to.Length; i++) to[i] = T.IsZero(from[i]) ? (byte)0 : (byte)1;
                break;
            default: Each(from, to); break;
        }
    }

    private static void Each<TFrom, TTo>(ReadOnlySpan<TFrom> from,
        Span<TTo> to) where TFrom : struct, INumberBase<TFrom> where TTo : struct, INumberBase<TTo>
    {
        for (int i = 0; i < to.Length; i++) to[i] = TTo.CreateSaturating(from[i]);
    }
}
