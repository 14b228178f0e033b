using System.Runtime.InteropServices;
using Google.Protobuf;
using Google.Protobuf.Collections;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Onnx;

/// <summary>Tensor values from and to ONNX messages. Reads every encoding, writes <c>raw_data</c> (texts: <c>string_data</c>).</summary>
internal static class TensorSerializer
{
    /// <summary>Reads a tensor.</summary>
    /// <param name="site">The message and where it stands.</param>
    /// <param name="folder">Folder for external data, or null.</param>
    /// <param name="model">Name of the model for messages.</param>
    /// <exception cref="ModelFormatException">The message is no valid tensor; names it.</exception>
    internal static TensorData Read(TensorSite site, ExternalDataFolder? folder, string model)
    {
        if (Read(site.Tensor, folder, out TensorData? data) is string problem)
        {
            ModelFormatException.Throw(model, "has a tensor that can't be read", [$"{site.Where}: {problem}."],
                "Export the model again, or mend the tensor.");
        }
        return data!;
    }

    /// <summary>Reads a tensor.</summary>
    /// <returns>What is wrong, as "expected …; found …", or null.</returns>
    internal static string? Read(TensorProto tensor, ExternalDataFolder? folder, out TensorData? data)
    {
        data = null;
        ElementType type = (ElementType)tensor.DataType;
        if (tensor.Segment is not null)
            return "expected a whole tensor; found a segment, which is not supported";
        if (TensorLayout.Measure(type, tensor.Dims, out long elements, out long size) is string problem)
            return problem;
        ReadOnlyMemory<byte> bytes;
        if (ExternalDataReference.IsExternal(tensor))
        {
            if (type == ElementType.String)
                return "expected string_data for a string tensor; found external data";
            if (ExternalDataReference.Parse(tensor, out ExternalDataReference reference) is string wrong)
                return wrong;
            if (folder is null)
                return $"expected the folder of the external file '{reference.Location}'; found a model without a folder";
            if (folder.Read(reference, size, out bytes) is string missing)
                return missing;
        }
        else if (type == ElementType.String)
        {
            if (Mismatch(tensor, type, nameof(tensor.StringData), tensor.StringData.Count, elements) is string count)
                return count;
            data = TensorData.FromStrings([.. tensor.StringData.Select(text => text.Memory)], [.. tensor.Dims]);
            return null;
        }
        else if (tensor.RawData.Length > 0 || TypedFields(tensor).Length == 0)
        {
            if (TypedFields(tensor) is { Length: > 0 } typed)
                return $"expected the elements once; found them in raw_data and in {typed}";
            bytes = tensor.RawData.Memory;
            if (bytes.Length != size)
                return $"expected {size} bytes for {TensorLayout.Describe(type, tensor.Dims)}; found {bytes.Length}";
        }
        else
        {
            if (ReadTyped(tensor, type, elements, size, out byte[] copied) is string bad)
                return bad;
            bytes = copied;
        }
        data = TensorData.Create(type, tensor.Dims, bytes);
        return null;
    }

    /// <summary>Makes a message that shares the bytes with <paramref name="data"/>.</summary>
    internal static TensorProto Write(string name, TensorData data)
    {
        TensorProto tensor = new() { Name = name, DataType = (int)data.Type };
        tensor.Dims.AddRange(data.Dimensions);
        SetData(tensor, data);
        return tensor;
    }

    /// <summary>Replaces the elements of a message, whatever encoding they had; name, documentation and unknown fields stay.</summary>
    internal static void SetData(TensorProto tensor, TensorData data)
    {
        tensor.DataType = (int)data.Type;
        tensor.Dims.Clear();
        tensor.Dims.AddRange(data.Dimensions);
        ClearData(tensor);
        if (data.Strings is null)
            tensor.RawData = UnsafeByteOperations.UnsafeWrap(data.Bytes);
        else
            tensor.StringData.AddRange(data.Strings.Select(text => UnsafeByteOperations.UnsafeWrap(text)));
    }

    /// <summary>Removes the elements, wherever they are.</summary>
    internal static void ClearData(TensorProto tensor)
    {
        tensor.ClearRawData();
        tensor.ClearDataLocation();
        tensor.ExternalData.Clear();
        tensor.FloatData.Clear();
        tensor.Int32Data.Clear();
        tensor.Int64Data.Clear();
        tensor.DoubleData.Clear();
        tensor.Uint64Data.Clear();
        tensor.StringData.Clear();
    }

    private static string? ReadTyped(TensorProto tensor, ElementType type, long elements, long size, out byte[] bytes)
    {
        switch (type)
        {
            case ElementType.Float: return Copy(tensor, type, tensor.FloatData, "float_data", elements, out bytes);
            case ElementType.Complex64: return Copy(tensor, type, tensor.FloatData, "float_data", 2 * elements, out bytes);
            case ElementType.Double: return Copy(tensor, type, tensor.DoubleData, "double_data", elements, out bytes);
            case ElementType.Complex128: return Copy(tensor, type, tensor.DoubleData, "double_data", 2 * elements, out bytes);
            case ElementType.Int64: return Copy(tensor, type, tensor.Int64Data, "int64_data", elements, out bytes);
            case ElementType.UInt64: return Copy(tensor, type, tensor.Uint64Data, "uint64_data", elements, out bytes);
            case ElementType.Int32: return Copy(tensor, type, tensor.Int32Data, "int32_data", elements, out bytes);
            case ElementType.UInt32: return Narrow(tensor, type, tensor.Uint64Data, "uint64_data", elements, 4, out bytes);
            default:
                // Below 8 bits an entry holds one byte of packed elements.
                int width = Math.Max(1, type.BitsPerElement() / 8);
                return Narrow(tensor, type, tensor.Int32Data, "int32_data", size / width, width, out bytes);
        }
    }

    private static string? Copy<T>(TensorProto tensor, ElementType type, RepeatedField<T> field, string name, long count, out byte[] bytes)
        where T : unmanaged
    {
        bytes = [];
        if (Mismatch(tensor, type, name, field.Count, count) is string problem)
            return problem;
        T[] values = [.. field];
        bytes = MemoryMarshal.AsBytes<T>(values).ToArray();
        return null;
    }

    private static string? Narrow<T>(TensorProto tensor, ElementType type, RepeatedField<T> field, string name, long count, int width,
        out byte[] bytes) where T : unmanaged, IConvertible
    {
        bytes = [];
        if (Mismatch(tensor, type, name, field.Count, count) is string problem)
            return problem;
        byte[] packed = new byte[count * width];
        (long low, long high) = type switch
        {
            ElementType.Int8 => (sbyte.MinValue, sbyte.MaxValue),
            ElementType.Int16 => (short.MinValue, short.MaxValue),
            ElementType.Bool => (0, 1),
            // Packed bytes come with or without the sign of their upper element.
            _ when type.BitsPerElement() < 8 => (sbyte.MinValue, byte.MaxValue),
            _ => (0L, (1L << (8 * width)) - 1),
        };
        for (int i = 0; i < field.Count; i++)
        {
            // Above long.MaxValue there is only uint64_data, where clamping still leaves it out of range.
            long value = field[i] is ulong large ? (long)Math.Min(large, long.MaxValue) : field[i].ToInt64(null);
            if (value < low || value > high)
            {
                return $"expected values of {name} from {low} to {high} for {TensorLayout.Describe(type, tensor.Dims)}; found {field[i]} "
                    + $"at {i}";
            }
            for (int part = 0; part < width; part++)
                packed[(i * width) + part] = (byte)(value >> (8 * part));
        }
        bytes = packed;
        return null;
    }

    private static string? Mismatch(TensorProto tensor, ElementType type, string name, int found, long expected) => found == expected ? null
        : $"expected {expected} values in {name} for {TensorLayout.Describe(type, tensor.Dims)}; found {found}" +
            (found == 0 && TypedFields(tensor) is { Length: > 0 } others ? $" (but values in {others})" : "");

    /// <summary>Names of the fields that hold elements, other than raw_data.</summary>
    private static string TypedFields(TensorProto tensor)
    {
        (string Name, int Count)[] fields =
        [
            ("float_data", tensor.FloatData.Count), ("int32_data", tensor.Int32Data.Count), ("int64_data", tensor.Int64Data.Count),
            ("double_data", tensor.DoubleData.Count), ("uint64_data", tensor.Uint64Data.Count), ("string_data", tensor.StringData.Count),
        ];
        return string.Join(", ", fields.Where(field => field.Count > 0).Select(field => field.Name));
    }
}
