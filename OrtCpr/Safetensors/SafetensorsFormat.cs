using OrtCpr.Graph;

namespace OrtCpr.Checkpoints;

/// <summary>Constants of the safetensors format, shared by reader and writer.</summary>
/// <remarks>Eight bytes header length N (little-endian), N bytes JSON
/// <c>{"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, …, "__metadata__": {"key": "text"}}</c> padded
/// with spaces, then the tensors without gaps; offsets count from the end of the header.
/// <see href="https://github.com/huggingface/safetensors"/></remarks>
internal static class SafetensorsFormat
{
    internal const int PrefixLength = 8;
    internal const long MaxHeaderLength = 100_000_000;
    internal const int HeaderAlignment = 8;
    internal const string MetadataKey = "__metadata__";
    internal const string TypeKey = "dtype", ShapeKey = "shape", OffsetsKey = "data_offsets";

    private static readonly Dictionary<string, ElementType> Types = new(StringComparer.Ordinal)
    {
        ["F64"] = ElementType.Double,
        ["F32"] = ElementType.Float,
        ["F16"] = ElementType.Float16,
        ["BF16"] = ElementType.BFloat16,
        ["I64"] = ElementType.Int64,
        ["I32"] = ElementType.Int32,
        ["I16"] = ElementType.Int16,
        ["I8"] = ElementType.Int8,
        ["U64"] = ElementType.UInt64,
        ["U32"] = ElementType.UInt32,
        ["U16"] = ElementType.UInt16,
        ["U8"] = ElementType.UInt8,
        ["BOOL"] = ElementType.Bool,
    };

    /// <summary>All dtype names, for messages.</summary>
    internal static string TypeNames => string.Join(", ", Types.Keys);

    internal static bool TryGetType(string name, out ElementType type) => Types.TryGetValue(name, out type);

    /// <summary>The dtype name, or null for a type that the format lacks.</summary>
    internal static string? NameOf(ElementType type) => Types.FirstOrDefault(pair => pair.Value == type).Key;
}
