using System.Buffers.Binary;
using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.RegularExpressions;
using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>NumPy's <c>.npy</c> (format versions 1 to 3) and <c>.npz</c> files: numbers, little-endian, in C order.</summary>
internal static partial class NumpyFile
{
    private const int MagicLength = 6;

    /// <summary>Headers are a line of text; NumPy itself refuses longer ones.</summary>
    private const int LongestHeader = 1 << 16;

    private static readonly Dictionary<string, ElementType> Types = new(StringComparer.Ordinal)
    {
        ["<f4"] = ElementType.Float,
        ["<f8"] = ElementType.Double,
        ["<f2"] = ElementType.Float16,
        ["|b1"] = ElementType.Bool,
        ["|i1"] = ElementType.Int8,
        ["|u1"] = ElementType.UInt8,
        ["<i2"] = ElementType.Int16,
        ["<u2"] = ElementType.UInt16,
        ["<i4"] = ElementType.Int32,
        ["<u4"] = ElementType.UInt32,
        ["<i8"] = ElementType.Int64,
        ["<u8"] = ElementType.UInt64,
    };

    private static ReadOnlySpan<byte> Magic => [0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y'];

    /// <summary>Reads all arrays of a file; of an <c>.npy</c> the one array, by the file's name.</summary>
    /// <exception cref="FileAccessException">The file can't be read.</exception>
    /// <exception cref="DataFileException">It breaks the format, or holds what is no number, is big-endian or in Fortran order.</exception>
    public static IReadOnlyDictionary<string, TensorData> Read(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        return DataFile.Guard(path, () =>
        {
            using FileStream stream = File.OpenRead(path);
            return Read(stream, path);
        });
    }

    internal static IReadOnlyDictionary<string, TensorData> Read(Stream stream, string path)
    {
        Span<byte> start = stackalloc byte[2];
        int got = stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
        stream.Position = 0;
        if (got == 2 && start.SequenceEqual("PK"u8)) return ReadArchive(stream, path);
        return new Dictionary<string, TensorData>(StringComparer.Ordinal)
        { [Path.GetFileNameWithoutExtension(path)] = ReadArray(stream, stream.Length, path) };
    }

    private static Dictionary<string, TensorData> ReadArchive(Stream stream, string path)
    {
        var arrays = new Dictionary<string, TensorData>(StringComparer.Ordinal);
        try
        {
            using var archive = new ZipArchive(stream, ZipArchiveMode.Read, leaveOpen: true);
            foreach (ZipArchiveEntry entry in archive.Entries)
            {
                if (!entry.FullName.EndsWith(".npy", StringComparison.Ordinal)) continue;
                // Deflate shrinks by a factor of 1032 at most; a larger claim would only make us allocate.
                if (entry.Length > Math.Max(1, entry.CompressedLength) * 1100)
                {
                    throw new DataFileException(
                        $"'{path}', array '{entry.FullName}': {entry.CompressedLength} bytes cannot unpack to the {entry.Length} that the "
                        + "archive claims. Write the file again.");
                }
                using Stream unpacked = entry.Open();
                arrays[entry.FullName[..^".npy".Length]] = ReadArray(unpacked, entry.Length, $"{path}', array '{entry.FullName}");
            }
        }
        catch (Exception error)
            when (error is InvalidDataException or ArgumentException or NotSupportedException or IndexOutOfRangeException)
        {
            throw new DataFileException($"'{path}' is no archive of arrays: {error.Message} Write it again with numpy.savez.", error);
        }
        return arrays;
    }

    private static TensorData ReadArray(Stream stream, long available, string path)
    {
        Span<byte> head = stackalloc byte[12];
        Fill(stream, head[..8], path, 0, "the first 8 bytes of an array");
        if (!head[..MagicLength].SequenceEqual(Magic))
        {
            throw new DataFileException(
                $"'{path}', offset 0: expected the bytes 93 4E 55 4D 50 59 of a NumPy array; "
                + $"found {Convert.ToHexString(head[..MagicLength])}. Write it with numpy.save or numpy.savez.");
        }
        int version = head[6], prefix = version == 1 ? 10 : 12;
        if (version is < 1 or > 3) throw new DataFileException($"'{path}', offset 6: format version {version}; expected 1, 2 or 3.");
        Fill(stream, head[8..prefix], path, 8, "the length of the header");
        long length = version == 1 ? BinaryPrimitives.ReadUInt16LittleEndian(head[8..])
            : BinaryPrimitives.ReadUInt32LittleEndian(head[8..]);
        if (length > LongestHeader || prefix + length > available)
        {
            throw new DataFileException(
                $"'{path}', offset 8: a header of {length} bytes; expected at most {Math.Min(LongestHeader, available - prefix)}. "
                + "The file is cut off or damaged.");
        }
        byte[] text = new byte[length];
        Fill(stream, text, path, prefix, "the header");
        (ElementType type, long[] dims) = ParseHeader(Encoding.Latin1.GetString(text), path, prefix);
        long elements = 1;
        foreach (long d in dims) elements = d == 0 ? 0 : elements > long.MaxValue / d ? long.MaxValue : elements * d;
        long rest = available - prefix - length, size = elements > long.MaxValue / 8 ? long.MaxValue : elements * type.BitsPerElement() / 8;
        if (size != rest || size > int.MaxValue)
        {
            throw new DataFileException(
                $"'{path}', offset {prefix + length}: {type}[{string.Join(',', dims)}] takes {size} bytes; found {rest}. "
                + $"{(size > int.MaxValue ? "At most 2 GiB can be read; write several arrays." : "The file is cut off or damaged.")}");
        }
        byte[] data = new byte[size];
        Fill(stream, data, path, prefix + length, "the elements");
        return TensorData.Create(type, dims, data);
    }

    private static (ElementType Type, long[] Dimensions) ParseHeader(string header, string path, long offset)
    {
        Match descr = DescrPattern().Match(header), order = OrderPattern().Match(header), shape = ShapePattern().Match(header);
        if (!descr.Success || !order.Success || !shape.Success)
        {
            throw new DataFileException(
                $"'{path}', offset {offset}: expected a header with 'descr', 'fortran_order' and 'shape'; "
                + $"found {(header.Length > 200 ? header[..200] : header).Trim()}. "
                + "Arrays of structures and of Python objects cannot be read.");
        }
        string type = descr.Groups[1].Value;
        if (type.StartsWith('=')) type = $"<{type[1..]}";
        if (!Types.TryGetValue(type, out ElementType element))
        {
            throw new DataFileException(
                $"'{path}', offset {offset}: elements of type '{type}'; expected one of {string.Join(", ", Types.Keys)}. "
                + "Convert the array with astype before it is saved.");
        }
        long[] dims = [.. shape.Groups[1].Value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(d => long.TryParse(d, NumberStyles.None, CultureInfo.InvariantCulture, out long n) ? n : -1)];
        if (dims.Any(d => d < 0))
            throw new DataFileException($"'{path}', offset {offset}: the shape ({shape.Groups[1].Value}) has what is no number.");
        // One axis has no order.
        if (order.Groups[1].Value == "True" && dims.Count(d => d != 1) > 1)
        {
            throw new DataFileException(
                $"'{path}', offset {offset}: the array is in Fortran order; expected C order. Save numpy.ascontiguousarray of it.");
        }
        return (element, dims);
    }

    private static void Fill(Stream stream, Span<byte> target, string path, long offset, string what)
    {
        int got = stream.ReadAtLeast(target, target.Length, throwOnEndOfStream: false);
        if (got < target.Length)
        {
            throw new DataFileException(
                $"'{path}', offset {offset + got}: the file ends inside {what}; expected {target.Length - got} more bytes. It is cut off.");
        }
    }

    [GeneratedRegex("'descr'\\s*:\\s*'([^']*)'")]
    private static partial Regex DescrPattern();

    [GeneratedRegex("'fortran_order'\\s*:\\s*(True|False)")]
    private static partial Regex OrderPattern();

    [GeneratedRegex("'shape'\\s*:\\s*\\(([^)]*)\\)")]
    private static partial Regex ShapePattern();
}
