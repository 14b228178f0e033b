using System.Buffers.Binary;
using OrtCpr.Graph;
using OrtCpr.Graph.Files;

namespace OrtCpr.Checkpoints;

/// <summary>A safetensors file: named tensors and a map of texts. Reads and writes; writing replaces files as a whole.</summary>
/// <remarks>Read by path, the tensors point into the mapped file, which stays mapped while one of them lives. Disposing is
/// optional and unmaps at once, for systems that can't replace a mapped file (Windows); the tensors of the path then can't be
/// read any more.</remarks>
public sealed partial class SafetensorsFile : IDisposable
{
    private readonly MappedFile? _mapping;

    private SafetensorsFile(IReadOnlyDictionary<string, string> metadata, IReadOnlyDictionary<string, TensorData> tensors,
        MappedFile? mapping)
    {
        Metadata = metadata;
        Tensors = tensors;
        _mapping = mapping;
    }

    /// <summary>The texts under <c>__metadata__</c>.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Tensors by name.</summary>
    public IReadOnlyDictionary<string, TensorData> Tensors { get; }

    /// <summary>Opens a file by memory map: costs the header, tensors are read when they are used.</summary>
    /// <param name="path">The file; it must not be changed in place while it is in use (to replace it is fine).</param>
    /// <exception cref="FileAccessException">The file can't be opened.</exception>
    /// <exception cref="SafetensorsException">It breaks the format; names the tensor.</exception>
    public static SafetensorsFile Read(string path)
    {
        MappedFile mapping = new(path);
        try
        {
            CheckPrefix(path, mapping.Length);
            long rest = mapping.Length - SafetensorsFormat.PrefixLength;
            ulong claimed = BinaryPrimitives.ReadUInt64LittleEndian(mapping.Slice(0, SafetensorsFormat.PrefixLength).Span);
            int length = SafetensorsHeader.CheckLength(path, claimed, rest);
            SafetensorsHeader header = SafetensorsHeader.Parse(path, mapping.Slice(SafetensorsFormat.PrefixLength, length), rest - length);
            return Assemble(header, slot => mapping.Slice(SafetensorsFormat.PrefixLength + length + slot.Begin, slot.Length), mapping);
        }
        catch
        {
            mapping.Dispose();
            throw;
        }
    }

    /// <summary>Reads the rest of a stream into memory, one array a tensor.</summary>
    /// <param name="stream">Left open, at its end.</param>
    /// <exception cref="SafetensorsException">It breaks the format; names the tensor.</exception>
    /// <exception cref="IOException">The stream can't be read.</exception>
    public static SafetensorsFile Read(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        const string Name = "<stream>";
        long? available = stream.CanSeek ? stream.Length - stream.Position : null;
        if (available is long total)
            CheckPrefix(Name, total);
        byte[] prefix = ReadBlock(stream, SafetensorsFormat.PrefixLength, "length of the header");
        long? rest = available - SafetensorsFormat.PrefixLength;
        int length = SafetensorsHeader.CheckLength(Name, BinaryPrimitives.ReadUInt64LittleEndian(prefix), rest);
        SafetensorsHeader header = SafetensorsHeader.Parse(Name, ReadBlock(stream, length, "header"), rest - length);
        // The slots cover the data in order and without gaps, so reading on is enough.
        SafetensorsFile file = Assemble(header, slot => ReadBlock(stream, slot.Length, $"tensor '{slot.Name}'"), null);
        if (available is null && stream.ReadByte() >= 0)
        {
            throw new SafetensorsException(
                $"File '{Name}': expected its end after the last tensor; found more bytes. Write the file again.");
        }
        return file;
    }

    /// <summary>Unmaps a file that was read by path. Only when none of its tensors is used any more.</summary>
    public void Dispose() => _mapping?.Dispose();

    private static SafetensorsFile Assemble(SafetensorsHeader header, Func<SafetensorsSlot, ReadOnlyMemory<byte>> read, MappedFile? mapping)
    {
        Dictionary<string, TensorData> tensors = new(StringComparer.Ordinal);
        foreach (SafetensorsSlot slot in header.Slots)
            tensors.Add(slot.Name, TensorData.Create(slot.Type, slot.Dimensions, read(slot)));
        return new SafetensorsFile(header.Metadata, tensors, mapping);
    }

    private static void CheckPrefix(string file, long length)
    {
        if (length < SafetensorsFormat.PrefixLength)
        {
            throw new SafetensorsException($"File '{file}': expected at least {SafetensorsFormat.PrefixLength} bytes; found {length}. " +
                "The file is cut off or no safetensors file.");
        }
    }

    /// <summary>Reads exactly so many bytes. Grows as bytes arrive, so that a lie in a header can't take all memory.</summary>
    private static byte[] ReadBlock(Stream stream, int length, string what)
    {
        const int FirstChunk = 1 << 20;
        byte[] block = new byte[stream.CanSeek ? length : Math.Min(length, FirstChunk)];
        int filled = 0;
        while (filled < length)
        {
            if (filled == block.Length)
                Array.Resize(ref block, (int)Math.Min(length, 2L * block.Length));
            int count = stream.Read(block, filled, block.Length - filled);
            if (count == 0)
            {
                throw new SafetensorsException($"File '<stream>': expected {length} bytes for the {what}; found {filled}. " +
                    "The file is cut off.");
            }
            filled += count;
        }
        return block;
    }
}
