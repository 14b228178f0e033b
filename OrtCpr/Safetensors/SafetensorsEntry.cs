using OrtCpr.Graph;

namespace OrtCpr.Checkpoints;

/// <summary>A tensor to be written, whose bytes are asked for when it is its turn, so that all of them never are in
/// memory at once.</summary>
/// <param name="Name">Unique in the file, not <c>__metadata__</c>.</param>
/// <param name="Type">An element type that safetensors has.</param>
/// <param name="Dimensions">Shape.</param>
/// <param name="WriteBytes">Writes the packed little-endian elements, exactly as many bytes as type and shape ask for.</param>
internal sealed record SafetensorsEntry(string Name, ElementType Type, IReadOnlyList<long> Dimensions, Action<Stream> WriteBytes)
{
    /// <summary>An entry for bytes that are in memory; they are not copied.</summary>
    /// <param name="name">Unique in the file.</param>
    /// <param name="type">Element type.</param>
    /// <param name="dimensions">Shape.</param>
    /// <param name="bytes">Packed little-endian elements.</param>
    public static SafetensorsEntry From(string name, ElementType type, IReadOnlyList<long> dimensions, ReadOnlyMemory<byte> bytes) =>
        new(name, type, dimensions, stream => stream.Write(bytes.Span));

    /// <summary>An entry for a tensor; its bytes are not copied.</summary>
    /// <param name="name">Unique in the file.</param>
    /// <param name="tensor">The tensor.</param>
    public static SafetensorsEntry From(string name, TensorData tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        return From(name, tensor.Type, tensor.Dimensions, tensor.Bytes);
    }
}
