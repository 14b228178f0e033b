using System.Buffers.Binary;
using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>IDX files, as MNIST has them: a big-endian header and numbers of one type.</summary>
internal static class IdxFile
{
    private static readonly Dictionary<byte, ElementType> Types = new()
    {
        [0x08] = ElementType.UInt8,
        [0x09] = ElementType.Int8,
        [0x0B] = ElementType.Int16,
        [0x0C] = ElementType.Int32,
        [0x0D] = ElementType.Float,
        [0x0E] = ElementType.Double,
    };

    /// <summary>Reads a file; <c>.gz</c> is unpacked.</summary>
    /// <exception cref="FileAccessException">The file can't be read.</exception>
    /// <exception cref="DataFileException">It breaks the format.</exception>
    public static TensorData Read(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        return Parse(DataFile.ReadAll(path), path);
    }

    /// <summary>Images and their labels, as columns <c>image</c> and <c>label</c> (Int64).</summary>
    /// <exception cref="FileAccessException">A file can't be read.</exception>
    /// <exception cref="DataFileException">A file breaks the format, or their numbers of examples differ.</exception>
    public static DataSource ReadPair(string images, string labels)
    {
        TensorData found = Read(labels);
        if (found.Dimensions.Count != 1) throw new DataFileException($"'{labels}' is {found}; expected one axis of labels.");
        byte[] wide = new byte[found.ElementCount * sizeof(long)];
        Numbers.Convert(found.Bytes.Span, found.Type, wide, ElementType.Int64);
        return DataSource.FromTensors(new Dictionary<string, TensorData>
        { ["image"] = Read(images), ["label"] = TensorData.Create(ElementType.Int64, found.Dimensions, wide) });
    }

    internal static TensorData Parse(byte[] bytes, string path)
    {
        if (bytes.Length < 4 || bytes[0] != 0 || bytes[1] != 0 || !Types.TryGetValue(bytes[2], out ElementType type))
        {
            throw new DataFileException(
                $"'{path}', offset 0: expected 00 00, a type "
                + $"({string.Join(", ", Types.Keys.Select(k => k.ToString("X2", System.Globalization.CultureInfo.InvariantCulture)))}) "
                + $"and the number of axes; found {Convert.ToHexString(bytes.AsSpan(0, Math.Min(4, bytes.Length)))}. It is no IDX file.");
        }
        int rank = bytes[3], head = 4 + (4 * rank);
        if (bytes.Length < head)
            throw new DataFileException($"'{path}', offset {bytes.Length}: the file ends inside the sizes of its {rank} axes.");
        long[] dims = [.. Enumerable.Range(0, rank).Select(i => (long)BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(4 + (4 * i))))];
        int size = type.BitsPerElement() / 8;
        long elements = 1;
        foreach (long d in dims) elements = d == 0 ? 0 : elements > int.MaxValue ? long.MaxValue / 8 : elements * d;
        if (elements > int.MaxValue || elements * size != bytes.Length - head)
        {
            throw new DataFileException(
                $"'{path}', offset {head}: {type}[{string.Join(',', dims)}] takes "
                + $"{(elements > int.MaxValue ? "more than 2 GiB" : $"{elements * size} bytes")}; found {bytes.Length - head}. "
                + "The file is cut off or damaged.");
        }
        byte[] data = bytes[head..];
        for (int i = 0; size > 1 && i < data.Length; i += size) data.AsSpan(i, size).Reverse();
        return TensorData.Create(type, dims, data);
    }
}
