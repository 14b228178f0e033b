using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Apache.Arrow;
using Apache.Arrow.Types;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Tables.Columns;

namespace OrtCpr.Tables.Formats;

/// <summary>Cells of an Arrow array.</summary>
internal static class ArrowCells
{
    private sealed record Kind(ElementType Type, Func<IArrowArray, bool[]?, Cells> Read);

    private static readonly Dictionary<ArrowTypeId, Kind> Kinds = new()
    {
        [ArrowTypeId.Int8] = Number<sbyte>(ElementType.Int8),
        [ArrowTypeId.UInt8] = Number<byte>(ElementType.UInt8),
        [ArrowTypeId.Int16] = Number<short>(ElementType.Int16),
        [ArrowTypeId.UInt16] = Number<ushort>(ElementType.UInt16),
        [ArrowTypeId.Int32] = Number<int>(ElementType.Int32),
        [ArrowTypeId.UInt32] = Number<uint>(ElementType.UInt32),
        [ArrowTypeId.Int64] = Number<long>(ElementType.Int64),
        [ArrowTypeId.UInt64] = Number<ulong>(ElementType.UInt64),
        [ArrowTypeId.HalfFloat] = Number<Half>(ElementType.Float16),
        [ArrowTypeId.Float] = Number<float>(ElementType.Float),
        [ArrowTypeId.Double] = Number<double>(ElementType.Double),
        [ArrowTypeId.Boolean] = new(ElementType.Bool, (array, missing) => Each(ElementType.Bool, array, missing,
            i => (byte)(((BooleanArray)array).GetValue(i) == true ? 1 : 0))),
        [ArrowTypeId.Decimal32] = Decimal(array => ((Decimal32Array)array).GetString),
        [ArrowTypeId.Decimal64] = Decimal(array => ((Decimal64Array)array).GetString),
        [ArrowTypeId.Decimal128] = Decimal(array => ((Decimal128Array)array).GetString),
        [ArrowTypeId.Decimal256] = Decimal(array => ((Decimal256Array)array).GetString),
        // By bytes: the package's GetString does not look whether they lie in the buffer.
        [ArrowTypeId.String] = Text(array => i => Encoding.UTF8.GetString(((StringArray)array).GetBytes(i, out _))),
        [ArrowTypeId.LargeString] = Text(array => i => Encoding.UTF8.GetString(((LargeStringArray)array).GetBytes(i, out _))),
        [ArrowTypeId.StringView] = Text(array => i => Encoding.UTF8.GetString(((StringViewArray)array).GetBytes(i, out _))),
    };

    /// <summary>What a type of single values becomes; null for nothing.</summary>
    public static ElementType? TypeOf(IArrowType type) => Kinds.GetValueOrDefault(type.TypeId)?.Type;

    private static Kind Number<T>(ElementType type) where T : unmanaged, IEquatable<T> =>
        new(type, (array, missing) => Cells.OfNumbers(type, ((PrimitiveArray<T>)array).Values, missing));

    private static Kind Decimal(Func<IArrowArray, Func<int, string?>> text) => new(ElementType.Double, (array, missing) =>
    {
        Func<int, string?> of = text(array);
        return Each(ElementType.Double, array, missing, i => double.Parse(of(i) ?? "", CultureInfo.InvariantCulture));
    });

    private static Kind Text(Func<IArrowArray, Func<int, string?>> text) => new(ElementType.String, (array, missing) =>
    {
        Func<int, string?> of = text(array);
        string?[] texts = new string?[array.Length];
        for (int i = 0; i < texts.Length; i++) texts[i] = missing?[i] == true ? null : of(i);
        return new Cells(ElementType.String, texts.Length) { Texts = texts };
    });

    private static Cells Each<T>(ElementType type, IArrowArray array, bool[]? missing, Func<int, T> value) where T : unmanaged
    {
        var values = new T[array.Length];
        for (int i = 0; i < values.Length; i++) values[i] = missing?[i] == true ? default : value(i);
        return Cells.OfNumbers<T>(type, values, missing);
    }

    /// <summary>The cells of an array of a type that <see cref="TypeOf"/> knows, of lists of such, or encoded by a dictionary of
    /// such.</summary>
    public static Cells Of(IArrowArray array)
    {
        CheckLength(array);
        bool[]? missing = Missing(array);
        return array switch
        {
            DictionaryArray dictionary => Decoded(dictionary, missing),
            FixedSizeListArray list => Lists(list, ((FixedSizeListType)list.Data.DataType).ListSize, missing),
            ListArray list => Lists(list.Values, [.. list.ValueOffsets], missing),
            LargeListArray list => Lists(list.Values, [.. list.ValueOffsets.ToArray().Select(o => checked((int)o))], missing),
            _ => Kinds[array.Data.DataType.TypeId].Read(array, missing),
        };
    }

    /// <summary>A length that no buffer has room for is refused before anything of that length is made.</summary>
    private static void CheckLength(IArrowArray array)
    {
        long most = array is FixedSizeListArray list
            ? (((FixedSizeListType)list.Data.DataType).ListSize is int size and > 0 ? list.Values.Length / size : 0)
            : array.Data.Buffers.Select(b => 8L * b.Length).DefaultIfEmpty(0).Max();
        if (array.Length > most || array.Length < 0)
            throw new DataFileException($"an array of {array.Data.DataType.Name} has {array.Length} cells, and room for {most}");
    }

    private static bool[]? Missing(IArrowArray array)
    {
        if (array.NullCount == 0) return null;
        bool[] missing = new bool[array.Length];
        for (int i = 0; i < missing.Length; i++) missing[i] = array.IsNull(i);
        return missing;
    }

    private static Cells Decoded(DictionaryArray array, bool[]? missing)
    {
        Cells indices = Of(array.Indices), entries = Of(array.Dictionary);
        missing ??= indices.Missing;
        long[] at = new long[indices.Rows];
        Numbers.Convert(indices.Values, indices.Type, MemoryMarshal.AsBytes(at.AsSpan()), ElementType.Int64);
        bool isText = entries.Type == ElementType.String;
        int size = isText ? 0 : entries.Size;
        byte[] values = new byte[checked(at.Length * size)];
        string?[] texts = isText ? new string?[at.Length] : [];
        for (int i = 0; i < at.Length; i++)
        {
            if (missing?[i] == true) continue;
            if (at[i] < 0 || at[i] >= entries.Rows)
                throw new DataFileException($"row {i + 1} of a part has entry {at[i]} of a dictionary of {entries.Rows}");
            if (isText) texts[i] = entries.Texts[at[i]];
            else if (entries.Missing?[at[i]] == true) (missing ??= new bool[at.Length])[i] = true;
            else entries.Values.AsSpan((int)at[i] * size, size).CopyTo(values.AsSpan(i * size));
        }
        return new Cells(entries.Type, at.Length) { Values = values, Texts = texts, Missing = missing };
    }

    private static Cells Lists(FixedSizeListArray array, int size, bool[]? missing)
    {
        IArrowArray values = array.Values;
        while (values is FixedSizeListArray inner)
        {
            size = checked(size * ((FixedSizeListType)inner.Data.DataType).ListSize);
            values = inner.Values;
        }
        return Lists(values, [.. Enumerable.Range(0, array.Length + 1).Select(i => checked((array.Offset + i) * size))], missing);
    }

    private static Cells Lists(IArrowArray values, int[] offsets, bool[]? missing)
    {
        Cells elements = Of(values);
        // No offset at all stands for no list.
        if (offsets.Length == 0) offsets = [0];
        int wrong = System.Array.FindIndex(offsets, o => o < 0 || o > elements.Rows);
        for (int i = 1; wrong < 0 && i < offsets.Length; i++)
        {
            if (offsets[i] < offsets[i - 1]) wrong = i;
        }
        if (wrong >= 0)
            throw new DataFileException($"list {wrong} of a part ends at element {offsets[wrong]} of {elements.Rows}, or before it begins");
        return elements with { Rows = offsets.Length - 1, Offsets = offsets, MissingLists = missing };
    }
}
