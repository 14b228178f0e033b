using System.Buffers;
using System.Buffers.Binary;
using System.Text.Json;
using OrtCpr.Graph;
using OrtCpr.Graph.Files;

namespace OrtCpr.Checkpoints;

public sealed partial class SafetensorsFile
{
    /// <summary>Writes a file, sorted by name: equal contents are equal bytes. Atomic: temporary file, flush, rename.</summary>
    /// <param name="path">File to create or replace.</param>
    /// <param name="tensors">Tensors by name.</param>
    /// <param name="metadata">Texts for <c>__metadata__</c>, or null.</param>
    /// <exception cref="FileAccessException">The file can't be written; the old one is unchanged.</exception>
    /// <exception cref="SafetensorsException">A tensor has a type that the format lacks.</exception>
    internal static void Write(string path, IReadOnlyDictionary<string, TensorData> tensors,
        IReadOnlyDictionary<string, string>? metadata = null) =>
            Write(path, Entries(tensors), metadata);

    /// <summary>Writes a file from entries that hand over their bytes one after the other. Atomic, sorted by name.</summary>
    /// <param name="path">File to create or replace.</param>
    /// <param name="entries">Tensors in any order; each is asked for its bytes once.</param>
    /// <param name="metadata">Texts for <c>__metadata__</c>, or null.</param>
    /// <exception cref="FileAccessException">The file can't be written; the old one is unchanged.</exception>
    /// <exception cref="SafetensorsException">A type that the format lacks, a name twice, or an entry that writes too
    /// few or too many bytes.</exception>
    internal static void Write(string path, IEnumerable<SafetensorsEntry> entries, IReadOnlyDictionary<string, string>? metadata = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        SafetensorsEntry[] sorted = Sort(path, entries);
        AtomicFile.Write(path, stream => WriteTo(stream, path, sorted, metadata));
    }

    /// <summary>Writes to a stream, sorted by name.</summary>
    /// <param name="stream">Left open and not flushed.</param>
    /// <param name="tensors">Tensors by name.</param>
    /// <param name="metadata">Texts for <c>__metadata__</c>, or null.</param>
    /// <exception cref="SafetensorsException">A tensor has a type that the format lacks.</exception>
    /// <exception cref="IOException">The stream can't be written.</exception>
    internal static void Write(Stream stream, IReadOnlyDictionary<string, TensorData> tensors,
        IReadOnlyDictionary<string, string>? metadata = null) =>
            Write(stream, Entries(tensors), metadata);

    /// <summary>Writes to a stream from entries that hand over their bytes one after the other, sorted by name.</summary>
    /// <param name="stream">Left open and not flushed.</param>
    /// <param name="entries">Tensors in any order; each is asked for its bytes once.</param>
    /// <param name="metadata">Texts for <c>__metadata__</c>, or null.</param>
    /// <exception cref="SafetensorsException">A type that the format lacks, a name twice, or an entry that writes too
    /// few or too many bytes.</exception>
    /// <exception cref="IOException">The stream can't be written.</exception>
    internal static void Write(Stream stream, IEnumerable<SafetensorsEntry> entries, IReadOnlyDictionary<string, string>? metadata = null)
    {
        ArgumentNullException.ThrowIfNull(stream);
        WriteTo(stream, "<stream>", Sort("<stream>", entries), metadata);
    }

    private static IEnumerable<SafetensorsEntry> Entries(IReadOnlyDictionary<string, TensorData> tensors)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        return tensors.Select(pair => SafetensorsEntry.From(pair.Key, pair.Value));
    }

    /// <summary>Entries in the order in which <see cref="Write(string, IEnumerable{SafetensorsEntry}, IReadOnlyDictionary{string,
    /// string})"/> asks them for their bytes.</summary>
    internal static IEnumerable<SafetensorsEntry> InOrder(IEnumerable<SafetensorsEntry> entries) =>
        entries.OrderBy(entry => entry.Name, StringComparer.Ordinal);

    private static SafetensorsEntry[] Sort(string file, IEnumerable<SafetensorsEntry> entries)
    {
        ArgumentNullException.ThrowIfNull(entries);
        SafetensorsEntry[] sorted = [.. InOrder(entries)];
        for (int i = 0; i < sorted.Length; i++)
        {
            SafetensorsEntry entry = sorted[i];
            if (SafetensorsFormat.NameOf(entry.Type) is null)
            {
                throw CannotWrite(file, entry.Name, $"expected one of the dtypes {SafetensorsFormat.TypeNames}; found {entry.Type}",
                    "Convert the tensor");
            }
            if (entry.Name == SafetensorsFormat.MetadataKey || (i > 0 && sorted[i - 1].Name == entry.Name))
                throw CannotWrite(file, entry.Name, "expected a name of its own; found it taken", "Choose another name");
        }
        return sorted;
    }

    private static void WriteTo(Stream stream, string file, SafetensorsEntry[] entries, IReadOnlyDictionary<string, string>? metadata)
    {
        byte[] header = WriteHeader(file, entries, metadata, out long[] sizes);
        byte[] prefix = new byte[SafetensorsFormat.PrefixLength];
        BinaryPrimitives.WriteUInt64LittleEndian(prefix, (ulong)header.Length);
        stream.Write(prefix);
        stream.Write(header);
        for (int i = 0; i < entries.Length; i++)
        {
            CountedStream counted = new(stream, sizes[i], count => WrongCount(file, entries[i].Name, sizes[i], count));
            entries[i].WriteBytes(counted);
            if (counted.Count != sizes[i])
                throw WrongCount(file, entries[i].Name, sizes[i], counted.Count);
        }
    }

    private static byte[] WriteHeader(string file, SafetensorsEntry[] entries, IReadOnlyDictionary<string, string>? metadata,
        out long[] sizes)
    {
        ArrayBufferWriter<byte> buffer = new();
        sizes = new long[entries.Length];
        using (Utf8JsonWriter json = new(buffer))
        {
            json.WriteStartObject();
            if (metadata is { Count: > 0 })
            {
                json.WriteStartObject(SafetensorsFormat.MetadataKey);
                foreach ((string key, string value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
                    json.WriteString(key, value);
                json.WriteEndObject();
            }
            long begin = 0;
            for (int i = 0; i < entries.Length; i++)
            {
                SafetensorsEntry entry = entries[i];
                if (TensorLayout.Measure(entry.Type, entry.Dimensions, out _, out sizes[i]) is string problem)
                    throw CannotWrite(file, entry.Name, problem, "Mend its shape");
                json.WriteStartObject(entry.Name);
                json.WriteString(SafetensorsFormat.TypeKey, SafetensorsFormat.NameOf(entry.Type));
                WriteNumbers(json, SafetensorsFormat.ShapeKey, entry.Dimensions);
                WriteNumbers(json, SafetensorsFormat.OffsetsKey, [begin, begin + sizes[i]]);
                json.WriteEndObject();
                begin += sizes[i];
            }
            json.WriteEndObject();
        }
        // Spaces are white space to JSON, and the data begin at a multiple of 8.
        int padding = -buffer.WrittenCount & (SafetensorsFormat.HeaderAlignment - 1);
        buffer.GetSpan(padding)[..padding].Fill((byte)' ');
        buffer.Advance(padding);
        return buffer.WrittenSpan.ToArray();
    }

    private static void WriteNumbers(Utf8JsonWriter json, string key, IReadOnlyList<long> numbers)
    {
        json.WriteStartArray(key);
        foreach (long number in numbers)
            json.WriteNumberValue(number);
        json.WriteEndArray();
    }

    private static SafetensorsException WrongCount(string file, string tensor, long expected, long found) =>
        CannotWrite(file, tensor, $"expected {expected} bytes; found {(found > expected ? "more" : found)}",
            "Write exactly what type and shape ask for");

    private static SafetensorsException CannotWrite(string file, string tensor, string problem, string advice) =>
        new($"File '{file}' can't be written, tensor '{tensor}': {problem}. {advice}.");
}
