using System.Numerics;
using System.Runtime.InteropServices;
using System.Text;

namespace OrtCpr.Graph;

/// <summary>Value of a tensor: element type, shape and bytes. Immutable.</summary>
/// <remarks>The bytes may lie in a file, and be read when they are looked at: then <see cref="FileAccessException"/> is
/// possible, which says what to do. Or the file is mapped into memory as long as the <see cref="TensorData"/> lives, so hold on to it
/// (<see cref="GC.KeepAlive"/>) while a span of it or a native pointer into it is in use. At most 2 GiB − 1 bytes; little-endian machines
/// only.</remarks>
public sealed class TensorData
{
    private TensorData(ElementType type, IReadOnlyList<long> dimensions, long elementCount, ReadOnlyMemory<byte> bytes,
        IReadOnlyList<ReadOnlyMemory<byte>>? strings = null)
    {
        if (!BitConverter.IsLittleEndian)
            throw new PlatformNotSupportedException("Tensor bytes are little-endian; big-endian machines are not supported.");
        Type = type;
        Dimensions = Array.AsReadOnly(dimensions.ToArray());
        ElementCount = elementCount;
        Bytes = bytes;
        Strings = strings;
    }

    /// <summary>Element type.</summary>
    public ElementType Type { get; }

    /// <summary>Shape, outermost first; empty for a scalar.</summary>
    public IReadOnlyList<long> Dimensions { get; }

    /// <summary>Number of elements, the product of <see cref="Dimensions"/>.</summary>
    public long ElementCount { get; }

    /// <summary>Elements in row-major order, packed and little-endian as in ONNX <c>raw_data</c> (types below 8 bits: first element in the
    /// low bits). Empty for strings.</summary>
    public ReadOnlyMemory<byte> Bytes { get; }

    /// <summary>UTF-8 bytes of each element of a <see cref="ElementType.String"/> tensor; null for every other type.</summary>
    public IReadOnlyList<ReadOnlyMemory<byte>>? Strings { get; }

    /// <summary>Copies values into a tensor.</summary>
    /// <typeparam name="T">float, double, Half, an integer type of 8 to 64 bits, or bool.</typeparam>
    /// <param name="values">Elements in row-major order.</param>
    /// <param name="dims">Shape; none for a scalar.</param>
    /// <exception cref="TensorDataException">The number of values doesn't fit the shape, or <typeparamref name="T"/> is
    /// no element type.</exception>
    public static TensorData From<T>(ReadOnlySpan<T> values, params long[] dims) where T : unmanaged =>
        Create(TypeOf<T>(), dims, MemoryMarshal.AsBytes(values).ToArray());

    /// <summary>A tensor of one element and no dimensions.</summary>
    /// <typeparam name="T">As for <see cref="From{T}"/>.</typeparam>
    /// <param name="value">The element.</param>
    /// <exception cref="TensorDataException"><typeparamref name="T"/> is no element type.</exception>
    public static TensorData Scalar<T>(T value) where T : unmanaged => From(new ReadOnlySpan<T>(in value));

    /// <summary>Wraps bytes, without a copy: the caller must not change them any more.</summary>
    /// <param name="type">Element type, not String.</param>
    /// <param name="dims">Shape.</param>
    /// <param name="bytes">Packed little-endian elements.</param>
    /// <exception cref="TensorDataException">The bytes don't fit type and shape, a dimension is negative, or it is too large.</exception>
    public static TensorData Create(ElementType type, IReadOnlyList<long> dims, ReadOnlyMemory<byte> bytes)
    {
        ArgumentNullException.ThrowIfNull(dims);
        if (type == ElementType.String)
            throw new TensorDataException("A string tensor has no packed bytes. Use TensorData.FromStrings.");
        if (TensorLayout.Measure(type, dims, out long elements, out long size) is string problem)
            throw new TensorDataException($"Tensor can't be made: {problem}.");
        if (bytes.Length != size)
        {
            throw new TensorDataException($"Tensor can't be made: expected {size} bytes for {TensorLayout.Describe(type, dims)}; " +
                $"found {bytes.Length}. Pass values that fit the shape.");
        }
        return new TensorData(type, dims, elements, bytes);
    }

    /// <summary>A tensor of UTF-8 texts.</summary>
    /// <param name="values">Elements in row-major order, not copied.</param>
    /// <param name="dims">Shape; none for a scalar.</param>
    /// <exception cref="TensorDataException">The number of values doesn't fit the shape.</exception>
    public static TensorData FromStrings(IReadOnlyList<ReadOnlyMemory<byte>> values, params long[] dims)
    {
        ArgumentNullException.ThrowIfNull(values);
        ArgumentNullException.ThrowIfNull(dims);
        if (TensorLayout.Measure(ElementType.String, dims, out long elements, out _) is string problem)
            throw new TensorDataException($"Tensor can't be made: {problem}.");
        if (elements != values.Count)
        {
            throw new TensorDataException($"Tensor can't be made: expected {elements} strings for " +
                $"{TensorLayout.Describe(ElementType.String, dims)}; found {values.Count}.");
        }
        return new TensorData(ElementType.String, dims, elements, default, values);
    }

    /// <summary>A tensor of texts, stored as UTF-8.</summary>
    /// <param name="values">Elements in row-major order.</param>
    /// <param name="dims">Shape; none for a scalar.</param>
    /// <exception cref="TensorDataException">The number of values doesn't fit the shape.</exception>
    public static TensorData FromStrings(IEnumerable<string> values, params long[] dims)
    {
        ArgumentNullException.ThrowIfNull(values);
        return FromStrings([.. values.Select(value => new ReadOnlyMemory<byte>(Encoding.UTF8.GetBytes(value)))], dims);
    }

    /// <summary>The elements without a copy.</summary>
    /// <typeparam name="T">The type that stores <see cref="Type"/>; <see cref="ushort"/> also reads the bits of BFloat16, for which
    /// .NET has no type.</typeparam>
    /// <returns>Span of <see cref="ElementCount"/> elements; keep this object alive while you read it.</returns>
    /// <exception cref="TensorDataException"><see cref="Type"/> is another one.</exception>
    public ReadOnlySpan<T> AsSpan<T>() where T : unmanaged
    {
        bool bits = Type == ElementType.BFloat16 && typeof(T) == typeof(ushort);
        if (!bits && TypeOf<T>() != Type)
        {
            throw new TensorDataException($"Tensor {this} can't be read as {typeof(T).Name}: expected {TypeOf<T>()}; found {Type}. " +
                "Read it with its own type, or by ToDoubles or ToInt64s.");
        }
        return MemoryMarshal.Cast<byte, T>(Bytes.Span);
    }

    /// <summary>A copy of the elements.</summary>
    /// <typeparam name="T">As for <see cref="AsSpan{T}"/>.</typeparam>
    /// <exception cref="TensorDataException"><see cref="Type"/> is another one.</exception>
    public T[] ToArray<T>() where T : unmanaged
    {
        T[] copy = AsSpan<T>().ToArray();
        GC.KeepAlive(this);
        return copy;
    }

    /// <summary>The elements as doubles; exact but for 64-bit integers above 2^53.</summary>
    /// <exception cref="TensorDataException">The elements are strings or complex numbers.</exception>
    public double[] ToDoubles()
    {
        double[] copy = TensorConversion.ToDoubles(this);
        GC.KeepAlive(this);
        return copy;
    }

    /// <summary>The elements of an integer or bool tensor; false is 0, true is 1.</summary>
    /// <exception cref="TensorDataException">The elements are no integers, or one is above 2^63 − 1.</exception>
    public long[] ToInt64s()
    {
        long[] copy = TensorConversion.ToInt64s(this);
        GC.KeepAlive(this);
        return copy;
    }

    /// <summary>True when no element is NaN or infinite; of a floating type.</summary>
    internal bool IsFinite() => Type == ElementType.Float ? LargestExponent() < 255 : ToDoubles().All(double.IsFinite);

    /// <summary>True when the sum of the squares is beyond the largest float32 number; of a floating type and finite.</summary>
    internal bool SquaresOverflow()
    {
        if (Type != ElementType.Float) return ToDoubles().Sum(v => v * v) > float.MaxValue;
        // Each square is below 2^(2·(e − 126)); nearly always that is far enough from the end.
        if ((2 * (LargestExponent() - 126)) + Math.Log2(Math.Max(1, ElementCount)) < 127) return false;
        double sum = 0;
        foreach (float value in AsSpan<float>()) sum += (double)value * value;
        GC.KeepAlive(this);
        return sum > float.MaxValue;
    }

    /// <summary>Of float32 numbers, as stored: 255 for NaN and infinities. Lanes are elements; reads 4 bytes an
    /// element once.</summary>
    private int LargestExponent()
    {
        ReadOnlySpan<uint> bits = MemoryMarshal.Cast<byte, uint>(Bytes.Span);
        Vector<uint> mask = new(0x7F800000), lanes = Vector<uint>.Zero;
        int i = 0;
        for (; i + Vector<uint>.Count <= bits.Length; i += Vector<uint>.Count)
            lanes = Vector.Max(lanes, new Vector<uint>(bits[i..]) & mask);
        uint largest = 0;
        for (int lane = 0; lane < Vector<uint>.Count; lane++) largest = Math.Max(largest, lanes[lane]);
        for (; i < bits.Length; i++) largest = Math.Max(largest, bits[i] & 0x7F800000);
        GC.KeepAlive(this);
        return (int)(largest >> 23);
    }

    /// <summary>Converts between Float, Double, Float16 and BFloat16, rounding once to nearest, ties to even; values
    /// too large become infinite.</summary>
    /// <param name="type">The type wanted; this object is returned when it has it.</param>
    /// <exception cref="TensorDataException">One of the types is none of those four, or the result is too large.</exception>
    public TensorData ConvertTo(ElementType type)
    {
        if (type == Type)
            return this;
        if (!Type.IsFloating() || !type.IsFloating())
        {
            throw new TensorDataException($"Tensor {this} can't be converted to {type}: expected floating types " +
                "(Float, Double, Float16, BFloat16) on both sides.");
        }
        if (TensorLayout.Measure(type, Dimensions, out _, out long size) is string problem)
            throw new TensorDataException($"Tensor {this} can't be converted to {type}: {problem}.");
        byte[] bytes = new byte[size];
        TensorConversion.Convert(this, type, bytes);
        GC.KeepAlive(this);
        return Create(type, Dimensions, bytes);
    }

    /// <summary>Type and shape, as in <c>Float[2,3]</c>.</summary>
    public override string ToString() => TensorLayout.Describe(Type, Dimensions);

    private static ElementType TypeOf<T>() where T : unmanaged =>
        typeof(T) == typeof(float) ? ElementType.Float
        : typeof(T) == typeof(double) ? ElementType.Double
        : typeof(T) == typeof(Half) ? ElementType.Float16
        : typeof(T) == typeof(long) ? ElementType.Int64
        : typeof(T) == typeof(int) ? ElementType.Int32
        : typeof(T) == typeof(short) ? ElementType.Int16
        : typeof(T) == typeof(sbyte) ? ElementType.Int8
        : typeof(T) == typeof(ulong) ? ElementType.UInt64
        : typeof(T) == typeof(uint) ? ElementType.UInt32
        : typeof(T) == typeof(ushort) ? ElementType.UInt16
        : typeof(T) == typeof(byte) ? ElementType.UInt8
        : typeof(T) == typeof(bool) ? ElementType.Bool
        : throw new TensorDataException($"{typeof(T).Name} is no element type of a tensor. " +
            "Use float, double, Half, bool or an integer type of 8 to 64 bits.");
}
