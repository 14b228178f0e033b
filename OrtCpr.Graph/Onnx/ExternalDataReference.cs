using System.Globalization;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Onnx;

/// <summary>Where a tensor's bytes lie outside the model file: the entries of <c>TensorProto.external_data</c>.</summary>
/// <param name="Location">Path relative to the model's folder, as written in the model.</param>
/// <param name="Offset">First byte.</param>
/// <param name="Length">Bytes; null where the model leaves it to the shape.</param>
/// <param name="Checksum">SHA-1 of the whole file in hexadecimal, or null.</param>
internal sealed record ExternalDataReference(string Location, long Offset, long? Length, string? Checksum)
{
    private const string LocationKey = "location", OffsetKey = "offset", LengthKey = "length", ChecksumKey = "checksum";

    internal static bool IsExternal(TensorProto tensor) => tensor.DataLocation == TensorProto.Types.DataLocation.External;

    /// <summary>Reads the entries and checks that the location can't lead out of the model's folder by its spelling.</summary>
    /// <returns>What is wrong, or null.</returns>
    internal static string? Parse(TensorProto tensor, out ExternalDataReference reference)
    {
        Dictionary<string, string> entries = [];
        foreach (StringStringEntryProto entry in tensor.ExternalData)
            entries[entry.Key] = entry.Value;
        string location = entries.GetValueOrDefault(LocationKey, "");
        string? badOffset = ReadNumber(entries, OffsetKey, out long? offset), badLength = ReadNumber(entries, LengthKey, out long? length);
        string? checksum = entries.GetValueOrDefault(ChecksumKey);
        reference = new(location, offset ?? 0, length, string.IsNullOrEmpty(checksum) ? null : checksum);
        return badOffset ?? badLength ?? Overflow(offset, length) ?? Unsafe(location);
    }

    /// <summary>Writes the entries of a tensor whose bytes went to a file.</summary>
    internal void WriteTo(TensorProto tensor)
    {
        tensor.DataLocation = TensorProto.Types.DataLocation.External;
        tensor.ExternalData.Clear();
        tensor.ExternalData.Add(new StringStringEntryProto { Key = LocationKey, Value = Location });
        tensor.ExternalData.Add(new StringStringEntryProto { Key = OffsetKey, Value = Offset.ToString(CultureInfo.InvariantCulture) });
        if (Length is long length)
            tensor.ExternalData.Add(new StringStringEntryProto { Key = LengthKey, Value = length.ToString(CultureInfo.InvariantCulture) });
    }

    private static string? ReadNumber(Dictionary<string, string> entries, string key, out long? number)
    {
        number = null;
        if (!entries.TryGetValue(key, out string? text) || text.Length == 0)
            return null;
        if (!long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long value))
            return $"external data {key}: expected a whole number of bytes from 0 to {long.MaxValue}; found '{text}'";
        number = value;
        return null;
    }

    private static string? Overflow(long? offset, long? length) => (offset ?? 0) > long.MaxValue - (length ?? 0)
        ? $"external data: expected offset + length of at most {long.MaxValue}; found offset {offset} and length {length}" : null;

    private static string? Unsafe(string location)
    {
        if (location.Length == 0)
            return "external data: expected the name of a file beside the model; found no location";
        // Both separators and drive letters everywhere: a model must mean the same on every system.
        bool absolute = location[0] is '/' or '\\' || (location.Length > 1 && location[1] == ':') || Path.IsPathRooted(location);
        bool climbs = location.Split('/', '\\').Contains("..");
        return absolute || climbs || location.Contains('\0', StringComparison.Ordinal)
            ? $"external data: expected a path inside the model's folder; found '{location}', which is "
                + $"{(absolute ? "absolute" : climbs ? "leading upwards" : "no path")}"
            : null;
    }
}
