using System.Buffers.Binary;

namespace OrtCpr.Graph.Onnx;

/// <summary>Guesses what bytes are that are no ONNX model, so that the error can say which file was given by mistake.</summary>
internal static class ModelSniffer
{
    /// <summary>Bytes from the start that a guess needs.</summary>
    internal const int HeadLength = 256;

    /// <summary>Names the format, as in "these bytes look like …".</summary>
    internal static string Guess(ReadOnlySpan<byte> head) =>
        head.IsEmpty ? "an empty file"
        : head.StartsWith("PK"u8) ? "a zip archive (PyTorch and Keras save such files)"
        : head.StartsWith("version https://git-lfs"u8) ? "a Git LFS pointer (fetch the file with 'git lfs pull')"
        : head.StartsWith("GGUF"u8) ? "a GGUF file"
        : head is [0x89, (byte)'H', (byte)'D', (byte)'F', ..] ? "an HDF5 file"
        : head is [0x1F, 0x8B, ..] ? "a gzip archive"
        : head is [0x80, 0x02, ..] ? "a Python pickle"
        : head.Length >= 8 && head[4..8].SequenceEqual("ORTM"u8) ? "an .ort file of ONNX Runtime"
        : head.Length >= 8 && head[4..8].SequenceEqual("TFL3"u8) ? "a TensorFlow Lite model"
        : head.Length >= 9 && head[8] == '{' && BinaryPrimitives.ReadUInt64LittleEndian(head) < 1 << 30 ? "a safetensors file"
        : head.IndexOfAnyExcept((byte)0) < 0 ? "zeros"
        : IsText(head) ? "text"
        // An ONNX model begins with its IR version, field 1.
        : head[0] == 0x08 ? "the beginning of an ONNX model" : "an unknown format";

    private static bool IsText(ReadOnlySpan<byte> head)
    {
        foreach (byte value in head)
        {
            if (value is < 0x20 and not ((byte)'\n' or (byte)'\r' or (byte)'\t') or 0x7F)
                return false;
        }
        return true;
    }
}
