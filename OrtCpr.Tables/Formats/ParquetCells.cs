using System.Globalization;
using System.Runtime.InteropServices;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Tables.Columns;
using Parquet.Data;
using Parquet.Schema;

namespace OrtCpr.Tables.Formats;

/// <summary>Cells of a column of Parquet, whose values stand packed beside levels that say where one is missing and where a row
/// begins.</summary>
internal static class ParquetCells
{
    private delegate (byte[] Values, string?[] Texts, int Count) Unpacking(RawColumnData raw);

    private sealed record Kind(ElementType Type, Unpacking Unpack);

    private static readonly Dictionary<Type, Kind> Kinds = new()
    {
        [typeof(bool)] = Number<bool>(ElementType.Bool),
        [typeof(sbyte)] = Number<sbyte>(ElementType.Int8),
        [typeof(byte)] = Number<byte>(ElementType.UInt8),
        [typeof(short)] = Number<short>(ElementType.Int16),
        [typeof(ushort)] = Number<ushort>(ElementType.UInt16),
        [typeof(int)] = Number<int>(ElementType.Int32),
        [typeof(uint)] = Number<uint>(ElementType.UInt32),
        [typeof(long)] = Number<long>(ElementType.Int64),
        [typeof(ulong)] = Number<ulong>(ElementType.UInt64),
        [typeof(float)] = Number<float>(ElementType.Float),
        [typeof(double)] = Number<double>(ElementType.Double),
        [typeof(decimal)] = Converted<decimal>(v => (double)v),
        [typeof(BigDecimal)] = Converted<BigDecimal>(v => double.Parse(v.ToString(), CultureInfo.InvariantCulture)),
        [typeof(ReadOnlyMemory<char>)] = new(ElementType.String, raw =>
        {
            Span<ReadOnlyMemory<char>> texts = ((RawColumnData<ReadOnlyMemory<char>>)raw).Values;
            string?[] copies = new string?[texts.Length];
            for (int i = 0; i < copies.Length; i++) copies[i] = texts[i].ToString();
            return ([], copies, copies.Length);
        }),
    };

    /// <summary>What a column of a type becomes; null for nothing.</summary>
    public static ElementType? TypeOf(Type type) => Kinds.GetValueOrDefault(type)?.Type;

    private static Kind Number<T>(ElementType type) where T : unmanaged => new(type, raw =>
    {
        Span<T> values = ((RawColumnData<T>)raw).Values;
        return (MemoryMarshal.AsBytes(values).ToArray(), [], values.Length);
    });

    private static Kind Converted<T>(Func<T, double> convert) where T : struct => new(ElementType.Double, raw =>
    {
        Span<T> values = ((RawColumnData<T>)raw).Values;
        double[] numbers = new double[values.Length];
        for (int i = 0; i < numbers.Length; i++) numbers[i] = convert(values[i]);
        return (MemoryMarshal.AsBytes(numbers.AsSpan()).ToArray(), [], numbers.Length);
    });

    /// <summary>The cells of a row group.</summary>
    /// <param name="raw">What the file has.</param>
    /// <param name="leaf">Its column.</param>
    /// <param name="rows">Rows of the group.</param>
    public static Cells Of(RawColumnData raw, DataField leaf, int rows)
    {
        Kind kind = Kinds[leaf.ClrType];
        (byte[] values, string?[] texts, int count) = kind.Unpack(raw);
        int full = leaf.MaxDefinitionLevel;
        if (full == 0) return new Cells(kind.Type, count) { Values = values, Texts = texts };
        ReadOnlySpan<int> definitions = raw.DefinitionLevels;
        int present = 0;
        foreach (int level in definitions) present += level == full ? 1 : 0;
        // Values stand in front, with room for the missing ones behind.
        if (present > count)
            throw new DataFileException($"column '{leaf.Name}' has {count} values, and levels for {present}");
        if (leaf.MaxRepetitionLevel == 0)
        {
            bool[]? missing = present == definitions.Length ? null : new bool[definitions.Length];
            for (int i = 0; i < missing?.Length; i++) missing[i] = definitions[i] != full;
            return Spread(kind.Type, values, texts, missing, definitions.Length);
        }
        return Lists(raw, leaf, rows, kind.Type, values);
    }

    /// <summary>Puts packed values where they belong.</summary>
    private static Cells Spread(ElementType type, byte[] values, string?[] texts, bool[]? missing, int count)
    {
        int size = type == ElementType.String ? 0 : type.BitsPerElement() / 8;
        if (missing is null) return new Cells(type, count) { Values = values[..(count * size)], Texts = texts };
        byte[] spread = new byte[checked(count * size)];
        string?[] spreadTexts = type == ElementType.String ? new string?[count] : [];
        for (int i = 0, next = 0; i < count; i++)
        {
            if (missing[i]) continue;
            if (size > 0) values.AsSpan(next * size, size).CopyTo(spread.AsSpan(i * size));
            else spreadTexts[i] = texts[next];
            next++;
        }
        return new Cells(type, count) { Values = spread, Texts = spreadTexts, Missing = missing };
    }

    // A level says how many of the optional and repeated nodes above a value are there: all of them for a value, one less for a missing
    // element, the number below that of the repeated node for an empty list, still fewer for a missing list.
    private static Cells Lists(RawColumnData raw, DataField leaf, int rows, ElementType type, byte[] values)
    {
        ReadOnlySpan<int> definitions = raw.DefinitionLevels, repetitions = raw.RepetitionLevels;
        int full = leaf.MaxDefinitionLevel, repeated = full - (leaf.IsNullable ? 1 : 0);
        var offsets = new List<int>(rows + 1);
        bool[]? missingLists = null;
        var missing = new List<bool>();
        bool anyMissing = false;
        for (int i = 0; i < definitions.Length; i++)
        {
            if (repetitions[i] == 0)
            {
                offsets.Add(missing.Count);
                if (offsets.Count > rows) break;
                if (definitions[i] < repeated - 1) (missingLists ??= new bool[rows])[offsets.Count - 1] = true;
            }
            else if (offsets.Count == 0)
            {
                throw new DataFileException($"column '{leaf.Name}' begins inside of a list");
            }
            if (definitions[i] < repeated) continue;
            missing.Add(definitions[i] < full);
            anyMissing |= missing[^1];
        }
        offsets.Add(missing.Count);
        Cells elements = Spread(type, values, [], anyMissing ? [.. missing] : null, missing.Count);
        return elements with { Rows = offsets.Count - 1, Offsets = [.. offsets], MissingLists = missingLists };
    }
}
