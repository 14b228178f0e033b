using System.Buffers.Binary;
using OrtCpr.Data;

namespace OrtCpr.Tables.Formats;

/// <summary>A table of a flat buffer: a number that says how far in front its list of fields begins; the list has its own size, the
/// table's size, and where each field lies in the table.</summary>
internal readonly ref struct FlatTable
{
    private const int FirstField = 2;

    private readonly ReadOnlySpan<byte> _bytes;
    private readonly int _at;

    private FlatTable(ReadOnlySpan<byte> bytes, int at)
    {
        _bytes = bytes;
        _at = at;
    }

    /// <summary>The table that a flat buffer begins with.</summary>
    public static FlatTable Root(ReadOnlySpan<byte> bytes) => new(bytes, BinaryPrimitives.ReadInt32LittleEndian(bytes));

    /// <summary>Where a field lies; null for one that is left out.</summary>
    public int? Find(int field)
    {
        int list = checked(_at - BinaryPrimitives.ReadInt32LittleEndian(_bytes[_at..]));
        int place = sizeof(ushort) * (FirstField + field);
        if (BinaryPrimitives.ReadUInt16LittleEndian(_bytes[list..]) < place + sizeof(ushort)) return null;
        int offset = BinaryPrimitives.ReadUInt16LittleEndian(_bytes[(list + place)..]);
        return offset == 0 ? null : _at + offset;
    }

    /// <summary>A number of one byte, 0 by default.</summary>
    public byte Byte(int field) => Find(field) is int at ? _bytes[at] : (byte)0;

    /// <summary>A number of eight bytes, 0 by default.</summary>
    public long Long(int field) => Find(field) is int at ? BinaryPrimitives.ReadInt64LittleEndian(_bytes[at..]) : 0;

    /// <summary>A table that a field refers to.</summary>
    public FlatTable Table(int field) => new(_bytes, Follow(Find(field) ?? throw Missing(field)));

    /// <summary>How many elements a list has, for which there is room.</summary>
    /// <param name="field">The field that refers to it.</param>
    /// <param name="size">Bytes of an element.</param>
    public int Count(int field, int size)
    {
        if (Find(field) is not int at) return 0;
        int list = Follow(at), count = BinaryPrimitives.ReadInt32LittleEndian(_bytes[list..]);
        if (count < 0 || (long)count * size > _bytes.Length - list - sizeof(int))
        {
            throw new DataFileException($"a message has a list of {count} elements of {size} bytes, and {_bytes.Length - list} bytes "
                + "behind");
        }
        return count;
    }

    /// <summary>A table of a list of tables.</summary>
    public FlatTable Element(int field, int index) =>
        new(_bytes, Follow(Follow(Find(field) ?? throw Missing(field)) + (sizeof(int) * (1 + index))));

    /// <summary>A number of eight bytes in a list of structures, whose room <see cref="Count"/> has checked.</summary>
    /// <param name="field">The field that refers to the list.</param>
    /// <param name="index">The structure.</param>
    /// <param name="size">Bytes of a structure.</param>
    /// <param name="offset">Where the number lies in it.</param>
    public long LongOf(int field, int index, int size, int offset)
    {
        int list = Follow(Find(field) ?? throw Missing(field));
        return BinaryPrimitives.ReadInt64LittleEndian(_bytes[checked(list + sizeof(int) + (index * size) + offset)..]);
    }

    private int Follow(int at) => checked(at + BinaryPrimitives.ReadInt32LittleEndian(_bytes[at..]));

    private static DataFileException Missing(int field) => new($"a message lacks field {field} of its metadata");
}
