namespace OrtCpr.Graph;

/// <summary>Tensors of any plain number type out of doubles.</summary>
internal static class NumberTensors
{
    /// <summary>Each number rounded towards zero for integer types; 0 is false.</summary>
    /// <exception cref="TensorDataException">The type is none of plain numbers.</exception>
    public static TensorData Of(ElementType type, double[] values, params long[] dims) => type switch
    {
        ElementType.Int64 => TensorData.From<long>([.. values.Select(v => (long)v)], dims),
        ElementType.Int32 => TensorData.From<int>([.. values.Select(v => (int)v)], dims),
        ElementType.Int16 => TensorData.From<short>([.. values.Select(v => (short)v)], dims),
        ElementType.Int8 => TensorData.From<sbyte>([.. values.Select(v => (sbyte)v)], dims),
        ElementType.UInt64 => TensorData.From<ulong>([.. values.Select(v => (ulong)v)], dims),
        ElementType.UInt32 => TensorData.From<uint>([.. values.Select(v => (uint)v)], dims),
        ElementType.UInt16 => TensorData.From<ushort>([.. values.Select(v => (ushort)v)], dims),
        ElementType.UInt8 => TensorData.From<byte>([.. values.Select(v => (byte)v)], dims),
        ElementType.Bool => TensorData.From<bool>([.. values.Select(v => v != 0)], dims),
        _ => TensorData.From<double>(values, dims).ConvertTo(type),
    };
}
