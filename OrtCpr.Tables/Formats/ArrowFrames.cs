using System.Buffers.Binary;
using OrtCpr.Data;

namespace OrtCpr.Tables.Formats;

/// <summary>The sizes that stand in the frames of Arrow's messages, looked at before anything of such a size is made: the package
/// believes them.</summary>
/// <remarks>A message is a mark of four bytes FF, the size of its metadata (a flat buffer), the metadata, and a body whose size the
/// metadata have. Files have the stream of messages between a mark and a footer, whose size stands in front of the last mark.
/// Source: the Arrow columnar format, "Serialization and Interprocess Communication".</remarks>
internal static class ArrowFrames
{
    /// <summary>Bytes in front of the first message of a file.</summary>
    public const int FileMark = 8;

    private const int FooterEnd = 10, MostDepth = 64;

    // What a byte can unpack to: LZ4 lengthens a match by 255 a byte; four bytes of Zstandard may repeat one byte for a block of 128 KiB.
    private const long MostByLz4 = 255, MostByZstd = (128 << 10) / 4;

    // Kinds of messages, as Message.fbs numbers them.
    private const byte SchemaKind = 1, DictionaryKind = 2, BatchKind = 3;
    private const uint Continuation = 0xFFFFFFFF;

    /// <summary>Leaves the stream where it was.</summary>
    /// <exception cref="DataFileException">A size is more than the file has.</exception>
    public static void Check(Stream stream, bool isFile)
    {
        long start = stream.Position, end = stream.Length;
        if (isFile)
        {
            if (end < FileMark + FooterEnd) throw new EndOfStreamException();
            stream.Position = end - FooterEnd;
            int footer = ReadInt(stream);
            byte[] mark = new byte[FooterEnd - sizeof(int)];
            stream.ReadExactly(mark);
            if (!mark.AsSpan().SequenceEqual("ARROW1"u8))
                throw new DataFileException("it is cut off: the mark behind its footer is missing");
            if (footer <= 0 || footer > end - FileMark - FooterEnd)
                throw new DataFileException($"its footer has {footer} bytes; expected 1 to {end - FileMark - FooterEnd}");
            end -= FooterEnd + footer;
            stream.Position = FileMark;
        }
        bool isEnded = false;
        while (!isEnded && stream.Position + sizeof(int) <= end) isEnded = !Next(stream, end);
        // Without the mark the package would take the footer for a message.
        if (isFile && !isEnded) throw new DataFileException("the mark that ends its messages is missing");
        stream.Position = start;
    }

    // False at the end, which is a size of 0.
    private static bool Next(Stream stream, long end)
    {
        long at = stream.Position;
        int size = ReadInt(stream);
        // Files before version 0.15 have no mark.
        if (unchecked((uint)size) == Continuation) size = ReadInt(stream);
        if (size == 0) return false;
        if (size < 0 || size > end - stream.Position)
            throw new DataFileException($"offset {at}: a message has metadata of {size} bytes; {end - stream.Position} are left");
        byte[] metadata = new byte[size];
        stream.ReadExactly(metadata);
        FlatTable message = FlatTable.Root(metadata);
        CheckLists(message);
        long body = message.Long(3), start = stream.Position;
        if (body < 0 || body > end - start)
            throw new DataFileException($"offset {at}: a message has a body of {body} bytes; {end - start} are left");
        if (message.Byte(1) == BatchKind) CheckBuffers(stream, message.Table(2), body);
        else if (message.Byte(1) == DictionaryKind) CheckBuffers(stream, message.Table(2).Table(1), body);
        stream.Position = start + body;
        return true;
    }

    // The package makes arrays as long as the lists say they are.
    private static void CheckLists(FlatTable message)
    {
        switch (message.Byte(1))
        {
            case SchemaKind:
                FlatTable schema = message.Table(2);
                CheckFields(schema, 1, 0);
                schema.Count(2, sizeof(int));
                schema.Count(3, sizeof(long));
                break;
            case DictionaryKind:
                CheckBatch(message.Table(2).Table(1));
                break;
            case BatchKind:
                CheckBatch(message.Table(2));
                break;
            default:
                throw new DataFileException($"a message is of kind {message.Byte(1)}; expected 1 to 3");
        }
    }

    private static void CheckBatch(FlatTable batch)
    {
        batch.Count(1, 2 * sizeof(long));
        batch.Count(2, 2 * sizeof(long));
        batch.Count(4, sizeof(long));
    }

    // A compressed buffer begins with the size that it unpacks to, which the package allocates; −1 for one that is not compressed after
    // all.
    private static void CheckBuffers(Stream stream, FlatTable batch, long body)
    {
        const int size = 2 * sizeof(long);
        long start = stream.Position;
        bool isCompressed = batch.Find(3) is not null;
        long ratio = isCompressed && batch.Table(3).Byte(0) == 0 ? MostByLz4 : MostByZstd;
        int count = batch.Count(2, size);
        for (int i = 0; i < count; i++)
        {
            long offset = batch.LongOf(2, i, size, 0), length = batch.LongOf(2, i, size, sizeof(long));
            if (offset < 0 || length < 0 || offset > body - length)
            {
                throw new DataFileException($"offset {start}: buffer {i} of a message lies at {offset} and has {length} bytes; its "
                    + $"body has {body}");
            }
            if (!isCompressed || length < sizeof(long)) continue;
            stream.Position = start + offset;
            byte[] bytes = new byte[sizeof(long)];
            stream.ReadExactly(bytes);
            long unpacked = BinaryPrimitives.ReadInt64LittleEndian(bytes);
            if (unpacked < -1 || unpacked / ratio > length)
            {
                throw new DataFileException($"offset {start + offset}: buffer {i} of {length} bytes says that it unpacks to {unpacked}; "
                    + $"expected {ratio} bytes for each of them at most");
            }
        }
    }

    // field: of the table, the list of fields.
    private static void CheckFields(FlatTable table, int field, int depth)
    {
        if (depth > MostDepth) throw new DataFileException($"a column has more than {MostDepth} levels");
        int count = table.Count(field, sizeof(int));
        for (int i = 0; i < count; i++)
        {
            FlatTable child = table.Element(field, i);
            CheckFields(child, 5, depth + 1);
            child.Count(6, sizeof(int));
        }
    }

    private static int ReadInt(Stream stream)
    {
        Span<byte> bytes = stackalloc byte[sizeof(int)];
        stream.ReadExactly(bytes);
        return BinaryPrimitives.ReadInt32LittleEndian(bytes);
    }
}
