using System.Text.Json;
using OrtCpr.Graph;

namespace OrtCpr.Checkpoints;

/// <summary>A tensor in the header of a safetensors file.</summary>
/// <param name="Name">Unique in the file.</param>
/// <param name="Type">Element type.</param>
/// <param name="Dimensions">Shape.</param>
/// <param name="Begin">First byte, counted from the end of the header.</param>
/// <param name="Length">Bytes.</param>
internal sealed record SafetensorsSlot(string Name, ElementType Type, long[] Dimensions, long Begin, int Length);

/// <summary>Header of a safetensors file, parsed and checked against the number of bytes that follow it.</summary>
internal sealed class SafetensorsHeader
{
    private readonly string _file;

    private SafetensorsHeader(string file) => _file = file;

    internal Dictionary<string, string> Metadata { get; } = new(StringComparer.Ordinal);

    /// <summary>Tensors in the order of their bytes.</summary>
    internal List<SafetensorsSlot> Slots { get; } = [];

    /// <param name="file">File name for messages.</param>
    /// <param name="json">The header without its length.</param>
    /// <param name="dataLength">Bytes after the header; null when the end is not known yet.</param>
    /// <exception cref="SafetensorsException">The header breaks the format.</exception>
    internal static SafetensorsHeader Parse(string file, ReadOnlyMemory<byte> json, long? dataLength)
    {
        SafetensorsHeader header = new(file);
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw header.Bad("expected a JSON object as header; found " + document.RootElement.ValueKind);
            HashSet<string> names = new(StringComparer.Ordinal);
            foreach (JsonProperty property in document.RootElement.EnumerateObject())
            {
                if (!names.Add(property.Name))
                    throw header.Bad($"expected every name once; found '{property.Name}' twice");
                if (property.Name == SafetensorsFormat.MetadataKey)
                    header.ReadMetadata(property.Value);
                else
                    header.Slots.Add(header.ReadSlot(property.Name, property.Value));
            }
        }
        // InvalidOperationException: a name or text that is no valid Unicode.
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            throw new SafetensorsException($"File '{file}': expected a JSON header; found something else ({error.Message}) " +
                "The file is damaged or no safetensors file.", error);
        }
        header.Slots.Sort((a, b) => a.Begin != b.Begin ? a.Begin.CompareTo(b.Begin) : a.Length.CompareTo(b.Length));
        header.CheckCover(dataLength);
        return header;
    }

    /// <summary>Checks the eight bytes before the header.</summary>
    /// <param name="file">File name for messages.</param>
    /// <param name="length">The number in them.</param>
    /// <param name="available">Bytes after them; null when not known.</param>
    /// <exception cref="SafetensorsException">The length is beyond reason or the file.</exception>
    internal static int CheckLength(string file, ulong length, long? available)
    {
        if (length > (ulong)SafetensorsFormat.MaxHeaderLength || (available is long rest && length > (ulong)rest))
        {
            string limit = available is long end ? $" and at most the {end} bytes that follow" : "";
            throw new SafetensorsException(
                $"File '{file}': expected a header of at most {SafetensorsFormat.MaxHeaderLength} bytes{limit}; " +
                $"found a length of {length}. The file is cut off, damaged or no safetensors file.");
        }
        return (int)length;
    }

    private void ReadMetadata(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Object)
            throw Bad($"expected {SafetensorsFormat.MetadataKey} to be an object; found {value.ValueKind}");
        foreach (JsonProperty entry in value.EnumerateObject())
        {
            if (entry.Value.ValueKind != JsonValueKind.String)
                throw Bad($"expected metadata '{entry.Name}' to be a text; found {entry.Value.ValueKind}");
            if (!Metadata.TryAdd(entry.Name, entry.Value.GetString()!))
                throw Bad($"expected every key of the metadata once; found '{entry.Name}' twice");
        }
    }

    private SafetensorsSlot ReadSlot(string name, JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Object)
            throw Bad(name, $"expected an object; found {value.ValueKind}");
        if (!value.TryGetProperty(SafetensorsFormat.TypeKey, out JsonElement dtype) || dtype.ValueKind != JsonValueKind.String)
            throw Bad(name, "expected a dtype; found none");
        if (!SafetensorsFormat.TryGetType(dtype.GetString()!, out ElementType type))
            throw Bad(name, $"expected one of the dtypes {SafetensorsFormat.TypeNames}; found '{dtype.GetString()}'");
        long[] shape = ReadNumbers(name, value, SafetensorsFormat.ShapeKey);
        long[] offsets = ReadNumbers(name, value, SafetensorsFormat.OffsetsKey);
        if (offsets.Length != 2 || offsets[1] < offsets[0])
            throw Bad(name, $"expected data_offsets [begin, end] with begin ≤ end; found [{string.Join(", ", offsets)}]");
        if (TensorLayout.Measure(type, shape, out _, out long size) is string problem)
            throw Bad(name, problem);
        if (offsets[1] - offsets[0] != size)
        {
            throw Bad(name,
                $"expected {size} bytes for {TensorLayout.Describe(type, shape)}; found {offsets[1] - offsets[0]} in data_offsets");
        }
        return new SafetensorsSlot(name, type, shape, offsets[0], (int)size);
    }

    private long[] ReadNumbers(string name, JsonElement value, string key)
    {
        if (!value.TryGetProperty(key, out JsonElement list) || list.ValueKind != JsonValueKind.Array)
            throw Bad(name, $"expected an array {key}; found none");
        long[] numbers = new long[list.GetArrayLength()];
        int count = 0;
        foreach (JsonElement item in list.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt64(out long number) || number < 0)
                throw Bad(name, $"expected whole numbers of at least 0 in {key}; found {item.GetRawText()}");
            numbers[count++] = number;
        }
        return numbers;
    }

    /// <summary>The tensors must cover the data exactly once: no gap, no overlap, nothing left over.</summary>
    private void CheckCover(long? dataLength)
    {
        long end = 0;
        foreach (SafetensorsSlot slot in Slots)
        {
            if (slot.Begin != end)
            {
                throw Bad(slot.Name,
                    $"expected its bytes to begin at {end}, where the tensor before ends; "
                    + $"found {slot.Begin} ({(slot.Begin < end ? "overlap" : "gap")})");
            }
            // Begin equals the sum of lengths so far, each below 2 GiB, so this can't overflow.
            end = slot.Begin + slot.Length;
            if (end > dataLength)
                throw Bad(slot.Name, $"expected {end} bytes of data; found {dataLength}: the file is cut off");
        }
        if (dataLength is long length && end != length)
            throw Bad($"expected {end} bytes of data; found {length}: bytes that belong to no tensor");
    }

    private SafetensorsException Bad(string problem) =>
        new($"File '{_file}': {problem}. The file is damaged or no safetensors file.");

    private SafetensorsException Bad(string tensor, string problem) =>
        new($"File '{_file}', tensor '{tensor}': {problem}. Write the file again.");
}
