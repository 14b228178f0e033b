using Google.Protobuf;
using OrtCpr.Graph.Files;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Onnx;

/// <summary>Reads a model so that its large tensors stay in the file until somebody looks at them.</summary>
/// <remarks>The bytes of the file are copied but for those of large tensors, which a mark stands for; the copy is parsed, and each
/// mark replaced by memory of the <see cref="SourceFile"/>. Numbers in <c>float_data</c> and <c>double_data</c> have the form of
/// <c>raw_data</c> in the file, and that is what they become.</remarks>
internal sealed class LargeTensors
{
    internal const long MinFileBytes = 8 << 20;

    internal const int MinTensorBytes = 1 << 16;

    /// <summary>The parser's own limit; it says what is wrong with files beyond it.</summary>
    private const int MostNested = 100;

    /// <summary>Messages on the way to a tensor, by the message and the field that they are in.</summary>
    private static readonly Dictionary<(Message, int), Message> Fields = new()
    {
        [(Message.Model, ModelProto.GraphFieldNumber)] = Message.Graph,
        [(Message.Model, ModelProto.FunctionsFieldNumber)] = Message.Function,
        [(Message.Graph, GraphProto.InitializerFieldNumber)] = Message.Tensor,
        [(Message.Graph, GraphProto.NodeFieldNumber)] = Message.Node,
        [(Message.Function, FunctionProto.NodeFieldNumber)] = Message.Node,
        [(Message.Node, NodeProto.AttributeFieldNumber)] = Message.Attribute,
        [(Message.Attribute, AttributeProto.TFieldNumber)] = Message.Tensor,
        [(Message.Attribute, AttributeProto.GFieldNumber)] = Message.Graph,
    };

    private readonly byte[] _mark = Guid.NewGuid().ToByteArray();
    private readonly List<(long Offset, int Length, int Field)> _parts = [];
    private readonly Stream _stream;
    private readonly int _minTensorBytes;

    private LargeTensors(Stream stream, int minTensorBytes) => (_stream, _minTensorBytes) = (stream, minTensorBytes);

    private enum Message
    {
        Model,
        Function,
        Graph,
        Node,
        Attribute,
        Tensor,
    }

    /// <summary>Reads the model at the beginning of a stream over a file.</summary>
    /// <param name="stream">At its beginning; at an undefined place after the call.</param>
    /// <param name="path">The file.</param>
    /// <param name="minFileBytes">Smaller files are read as a whole.</param>
    /// <param name="minTensorBytes">Smaller tensors are.</param>
    /// <exception cref="InvalidProtocolBufferException">It is no model.</exception>
    /// <exception cref="FileAccessException">The file can't be opened.</exception>
    public static ModelProto Parse(Stream stream, string path, long minFileBytes = MinFileBytes, int minTensorBytes = MinTensorBytes)
    {
        // An open file can't be replaced on Windows, and people save trained models under the name of the old one.
        if (stream.Length < minFileBytes || OperatingSystem.IsWindows()) return ModelProto.Parser.ParseFrom(stream);
        var source = new SourceFile(path);
        var tensors = new LargeTensors(stream, minTensorBytes);
        using var copy = new MemoryStream();
        if (source.Length != stream.Length || !tensors.Copy(stream.Length, Message.Model, copy, 0))
        {
            // What is wrong with it is the parser's to say.
            stream.Position = 0;
            return ModelProto.Parser.ParseFrom(stream);
        }
        copy.Position = 0;
        ModelProto model = ModelProto.Parser.ParseFrom(copy);
        foreach (TensorProto tensor in ModelTensors.All(model).Select(site => site.Tensor))
        {
            if (tensors.PartOf(tensor.RawData.Span) is not (long offset, int length, int field)) continue;
            if (!Holds((ElementType)tensor.DataType, field))
            {
                stream.Position = 0;
                return ModelProto.Parser.ParseFrom(stream);
            }
            tensor.RawData = UnsafeByteOperations.UnsafeWrap(source.Slice(offset, length));
        }
        return model;
    }

    private static bool Holds(ElementType type, int field) => field switch
    {
        TensorProto.FloatDataFieldNumber => type is ElementType.Float or ElementType.Complex64,
        TensorProto.DoubleDataFieldNumber => type is ElementType.Double or ElementType.Complex128,
        _ => true,
    };

    private (long Offset, int Length, int Field)? PartOf(ReadOnlySpan<byte> bytes) =>
        bytes.Length == _mark.Length + sizeof(int) && bytes.StartsWith(_mark)
            ? _parts[BitConverter.ToInt32(bytes[_mark.Length..])] : null;

    /// <summary>Copies the message that ends at a position.</summary>
    /// <returns>False where it is none.</returns>
    private bool Copy(long end, Message message, Stream output, int depth)
    {
        if (depth > MostNested) return false;
        int pieces = 0, cut = _parts.Count;
        while (_stream.Position < end)
        {
            if (Number() is not ulong tag) return false;
            WireFormat.WireType type = WireFormat.GetTagWireType((uint)tag);
            int field = WireFormat.GetTagFieldNumber((uint)tag);
            if (message == Message.Tensor && WidthOf(field) > 0) pieces++;
            if (type != WireFormat.WireType.LengthDelimited)
            {
                Write(output, tag);
                if (!CopyNumber(type, output)) return false;
                continue;
            }
            if (Number() is not ulong length || length > (ulong)(end - _stream.Position)) return false;
            if (Fields.TryGetValue((message, field), out Message inner))
            {
                using var content = new MemoryStream();
                if (!Copy(_stream.Position + (long)length, inner, content, depth + 1)) return false;
                Write(output, tag);
                Write(output, (ulong)content.Length);
                content.WriteTo(output);
            }
            else if (message == Message.Tensor && WidthOf(field) is > 0 and int width && length >= (ulong)_minTensorBytes)
            {
                if (length % (ulong)width != 0) return false;
                Write(output, WireFormat.MakeTag(TensorProto.RawDataFieldNumber, WireFormat.WireType.LengthDelimited));
                Write(output, (ulong)(_mark.Length + sizeof(int)));
                output.Write(_mark);
                output.Write(BitConverter.GetBytes(_parts.Count));
                _parts.Add((_stream.Position, (int)length, field));
                _stream.Seek((long)length, SeekOrigin.Current);
            }
            else
            {
                Write(output, tag);
                Write(output, length);
                if (!CopyBytes((long)length, output)) return false;
            }
        }
        // Elements in several pieces belong together, of which some have been cut out.
        bool split = message == Message.Tensor && pieces > 1 && _parts.Count > cut;
        return _stream.Position == end && !split;
    }

    /// <summary>Bytes an element of a field that has the elements of a tensor as they lie in memory; 0 for every other field.</summary>
    private static int WidthOf(int field) => field switch
    {
        TensorProto.RawDataFieldNumber => 1,
        TensorProto.FloatDataFieldNumber => sizeof(float),
        TensorProto.DoubleDataFieldNumber => sizeof(double),
        _ => 0,
    };

    private bool CopyNumber(WireFormat.WireType type, Stream output)
    {
        switch (type)
        {
            case WireFormat.WireType.Varint when Number() is ulong value:
                Write(output, value);
                return true;
            case WireFormat.WireType.Fixed32:
                return CopyBytes(sizeof(uint), output);
            case WireFormat.WireType.Fixed64:
                return CopyBytes(sizeof(ulong), output);
            default:
                return false;
        }
    }

    private bool CopyBytes(long count, Stream output)
    {
        byte[] bytes = new byte[count];
        if (_stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false) < bytes.Length) return false;
        output.Write(bytes);
        return true;
    }

    /// <summary>A number in groups of 7 bits, the lowest first; null where there is none.</summary>
    private ulong? Number()
    {
        ulong value = 0;
        for (int shift = 0; shift < 64; shift += 7)
        {
            if (_stream.ReadByte() is not (>= 0 and int read)) return null;
            value |= (ulong)(read & 0x7F) << shift;
            if (read < 0x80) return value;
        }
        return null;
    }

    private static void Write(Stream output, ulong value)
    {
        for (; value >= 0x80; value >>= 7) output.WriteByte((byte)(value | 0x80));
        output.WriteByte((byte)value);
    }
}
