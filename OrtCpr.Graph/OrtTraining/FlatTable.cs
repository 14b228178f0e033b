using System.Buffers.Binary;
using System.Text;

namespace OrtCpr.Graph.OrtTraining;

// A FlatBuffers file that nobody vouches for: every read is checked, and all errors name the place.
internal sealed class FlatFile(ReadOnlyMemory<byte> bytes, string name)
{
    // Tables may be shared in the file; read over and over they would take more memory than the file has bytes.
    private int _budget = 16 + (bytes.Length / 4);

    public ReadOnlyMemory<byte> Bytes => bytes;

    public CheckpointException Damaged(string what) =>
        new($"Checkpoint '{name}' is damaged: {what}. It may be cut off, or no checkpoint of ONNX Runtime training; save it again.");

    public int Int32(long at) => BinaryPrimitives.ReadInt32LittleEndian(Span(at, 4));

    public ReadOnlySpan<byte> Span(long at, long length) => bytes.Span.Slice(Checked(at, length), (int)length);

    public ReadOnlyMemory<byte> Slice(long at, long length) => bytes.Slice(Checked(at, length), (int)length);

    public FlatTable Table(long offsetAt)
    {
        if (--_budget < 0) throw Damaged("it has more tables than fit into its size");
        return new FlatTable(this, offsetAt + (uint)Int32(offsetAt));
    }

    private int Checked(long at, long length)
    {
        if (at < 0 || length < 0 || at + length > bytes.Length)
        {
            throw Damaged($"expected {length} bytes at {at}; the file has {bytes.Length}");
        }
        return (int)at;
    }
}

// A table of a FlatBuffers file: fields by slot.
internal readonly struct FlatTable
{
    private readonly FlatFile _file;
    private readonly long _at;
    private readonly long _fields;
    private readonly int _fieldsSize;

    public FlatTable(FlatFile file, long at)
    {
        _file = file;
        _at = at;
        _fields = at - file.Int32(at);
        _fieldsSize = BinaryPrimitives.ReadUInt16LittleEndian(file.Span(_fields, 2));
    }

    public int Int32(int slot, int fallback = 0) => Field(slot) is long at ? _file.Int32(at) : fallback;

    public long Int64(int slot, long fallback = 0) => Field(slot) is long at ? BinaryPrimitives.ReadInt64LittleEndian(_file.Span(at, 8))
        : fallback;

    public float Single(int slot) => Field(slot) is long at ? BinaryPrimitives.ReadSingleLittleEndian(_file.Span(at, 4)) : 0;

    public bool Bool(int slot) => Field(slot) is long at && _file.Span(at, 1)[0] != 0;

    public FlatTable? Table(int slot) => Field(slot) is long at ? _file.Table(at) : null;

    public string? Text(int slot) => Field(slot) is long at ? Decode(Vector(at, 1)) : null;

    // Null when the field is absent.
    public ReadOnlyMemory<byte>? Raw(int slot, int width) => Field(slot) is long at ? Vector(at, width) : null;

    public FlatTable[]? Tables(int slot)
    {
        if (Field(slot) is not long at) return null;
        (long first, int count) = VectorAt(at, 4);
        var tables = new List<FlatTable>();
        for (int i = 0; i < count; i++) tables.Add(_file.Table(first + (4L * i)));
        return [.. tables];
    }

    public ReadOnlyMemory<byte>[]? Texts(int slot)
    {
        if (Field(slot) is not long at) return null;
        (long first, int count) = VectorAt(at, 4);
        var texts = new ReadOnlyMemory<byte>[count];
        for (int i = 0; i < count; i++) texts[i] = Vector(first + (4L * i), 1);
        return texts;
    }

    private ReadOnlyMemory<byte> Vector(long offsetAt, int width)
    {
        (long first, int count) = VectorAt(offsetAt, width);
        return _file.Slice(first, (long)count * width);
    }

    private (long First, int Count) VectorAt(long offsetAt, int width)
    {
        long at = offsetAt + (uint)_file.Int32(offsetAt);
        int count = _file.Int32(at);
        // All of its elements must be in the file before anything is allocated for them.
        _ = _file.Span(at + 4, (long)count * width);
        return (at + 4, count);
    }

    private long? Field(int slot)
    {
        int at = 4 + (2 * slot);
        if (at + 2 > _fieldsSize) return null;
        int offset = BinaryPrimitives.ReadUInt16LittleEndian(_file.Span(_fields + at, 2));
        return offset == 0 ? null : _at + offset;
    }

    private static string Decode(ReadOnlyMemory<byte> utf8) => Encoding.UTF8.GetString(utf8.Span);
}
