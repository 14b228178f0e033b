using System.Buffers.Binary;
using System.Globalization;
using OrtCpr.Data;

namespace OrtCpr.Tables.Formats;

/// <summary>The sizes in the footer of a Parquet file, looked at before the package believes them: it reads zeros behind the end of a
/// footer,
/// and goes on for as long as a list says.</summary>
/// <remarks>A file ends with the footer, its size in four bytes, and four letters. The footer is a structure of Thrift's compact protocol.
/// Source: the Parquet format, "File format"; Thrift, "Thrift compact protocol encoding".</remarks>
internal ref struct ParquetFooter
{
    private const int End = 8, MostDepth = 64, MostVarintBytes = 10;

    // Kinds of values, as the protocol numbers them.
    private const int True = 1, False = 2, Byte = 3, Int16 = 4, Int64 = 6, Double = 7, Binary = 8, List = 9, Set = 10, Map = 11,
        Struct = 12, Uuid = 13;

    private readonly ReadOnlySpan<byte> _bytes;
    private int _at;

    private ParquetFooter(ReadOnlySpan<byte> bytes) => _bytes = bytes;

    /// <summary>Leaves the stream where it was.</summary>
    /// <exception cref="DataFileException">A size is more than the footer has.</exception>
    public static void Check(Stream stream)
    {
        long start = stream.Position;
        if (stream.Length < End) throw new EndOfStreamException();
        byte[] end = new byte[End];
        stream.Position = stream.Length - End;
        stream.ReadExactly(end);
        // Other marks (an encrypted footer) are the package's to refuse.
        if (end.AsSpan(sizeof(int)).SequenceEqual("PAR1"u8))
        {
            int size = BinaryPrimitives.ReadInt32LittleEndian(end);
            if (size <= 0 || size > stream.Length - End)
                throw new DataFileException($"its footer has {size} bytes; expected 1 to {stream.Length - End}");
            byte[] bytes = new byte[size];
            stream.Position = stream.Length - End - size;
            stream.ReadExactly(bytes);
            new ParquetFooter(bytes).SkipStruct(0);
        }
        stream.Position = start;
    }

    private void SkipStruct(int depth)
    {
        if (depth > MostDepth) throw Damaged($"has more than {MostDepth} levels");
        for (byte header = Next(); header != 0; header = Next())
        {
            // The number of a field stands by itself where it is not a little more than the last one.
            if (header >> 4 == 0) Varint();
            int kind = header & 15;
            // Truth values of fields are in their kind.
            if (kind is not (True or False)) Skip(kind, depth);
        }
    }

    private void Skip(int kind, int depth)
    {
        switch (kind)
        {
            case True or False or Byte:
                Advance(1);
                break;
            case >= Int16 and <= Int64:
                Varint();
                break;
            case Double:
                Advance(sizeof(double));
                break;
            case Binary:
                Advance(Varint());
                break;
            case List or Set:
                byte header = Next();
                ulong count = header >> 4 == 15 ? Varint() : (ulong)(header >> 4);
                SkipMany(count, depth, header & 15);
                break;
            case Map:
                ulong pairs = Varint();
                if (pairs == 0) break;
                byte kinds = Next();
                SkipMany(pairs, depth, kinds >> 4, kinds & 15);
                break;
            case Struct:
                SkipStruct(depth + 1);
                break;
            case Uuid:
                Advance(16);
                break;
            default:
                throw Damaged(string.Create(CultureInfo.InvariantCulture, $"has a value of kind {kind}; expected 1 to {Uuid}"));
        }
    }

    private void SkipMany(ulong count, int depth, params ReadOnlySpan<int> kinds)
    {
        if (depth > MostDepth) throw Damaged($"has more than {MostDepth} levels");
        // Each element has a byte at least.
        if (count > (ulong)(_bytes.Length - _at)) throw Damaged($"has a list of {count} elements, and {_bytes.Length - _at} bytes behind");
        for (ulong i = 0; i < count; i++)
        {
            foreach (int kind in kinds) Skip(kind, depth + 1);
        }
    }

    private byte Next()
    {
        Advance(1);
        return _bytes[_at - 1];
    }

    private ulong Varint()
    {
        ulong value = 0;
        for (int i = 0; i < MostVarintBytes; i++)
        {
            byte next = Next();
            value |= (ulong)(next & 127) << (7 * i);
            if (next < 128) return value;
        }
        throw Damaged($"has a number of more than {MostVarintBytes} bytes");
    }

    private void Advance(ulong bytes)
    {
        if (bytes > (ulong)(_bytes.Length - _at)) throw Damaged($"ends inside a value of {bytes} bytes");
        _at += (int)bytes;
    }

    private readonly DataFileException Damaged(string what) => new($"its footer, at byte {_at} of {_bytes.Length}, {what}");
}
