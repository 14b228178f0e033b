using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Tables.Columns;
using Parquet;
using Parquet.Data;
using Parquet.Meta;
using Parquet.Schema;

namespace OrtCpr.Tables.Formats;

/// <summary>A Parquet file, a part a row group.</summary>
internal sealed class ParquetTable : TableReader
{
    private readonly ParquetReader _reader;
    private readonly DataField?[] _leaves;

    private ParquetTable(ParquetReader reader)
    {
        _reader = reader;
        _leaves = [.. reader.Schema.Fields.Select(Leaf)];
        Fields = [.. reader.Schema.Fields.Select(FieldOf)];
    }

    /// <inheritdoc/>
    public override IReadOnlyList<TableField> Fields { get; }

    /// <summary>Takes the stream.</summary>
    public static ParquetTable Open(Stream stream)
    {
        ParquetFooter.Check(stream);
        return new(Wait(ParquetReader.CreateAsync(stream)));
    }

    // The reader is made for asynchronous streams; those here are files, which answer at once.
    private static T Wait<T>(Task<T> task) => task.GetAwaiter().GetResult();

    /// <summary>The column of the file that has a field's numbers or texts; null for a field of several, or of lists of lists.</summary>
    private static DataField? Leaf(Field field) => field switch
    {
        DataField { MaxRepetitionLevel: <= 1 } data => data,
        ListField { Item: DataField { MaxRepetitionLevel: <= 1 } item } => item,
        _ => null,
    };

    private static TableField FieldOf(Field field)
    {
        if (Leaf(field) is not DataField leaf)
        {
            return TableField.Refused(field.Name, field.SchemaType == SchemaType.List ? "lists of lists or of structures"
                : $"values of type {field.SchemaType}");
        }
        SchemaElement? element = leaf.SchemaElement;
        bool isTime = element?.LogicalType is { TIME: not null } or { TIMESTAMP: not null } or { DATE: not null }
            || element?.ConvertedType is ConvertedType.TIME_MILLIS or ConvertedType.TIME_MICROS or ConvertedType.TIMESTAMP_MILLIS
                or ConvertedType.TIMESTAMP_MICROS or ConvertedType.DATE or ConvertedType.INTERVAL;
        if (isTime) return TableField.Refused(field.Name, "dates or times");
        bool isList = leaf.MaxRepetitionLevel == 1;
        if (ParquetCells.TypeOf(leaf.ClrType) is not ElementType type) return TableField.Refused(field.Name, What(leaf.ClrType));
        return isList && type == ElementType.String ? TableField.Refused(field.Name, "lists of texts")
            : new TableField(field.Name, type) { IsList = isList };
    }

    private static string What(System.Type type) => type == typeof(ReadOnlyMemory<byte>) ? "bytes" : $"values of type {type.Name}";

    /// <inheritdoc/>
    public override IEnumerable<Cells[]> Read(IReadOnlyList<int> columns)
    {
        for (int g = 0; g < _reader.RowGroupCount; g++)
        {
            using ParquetRowGroupReader group = _reader.OpenRowGroupReader(g);
            var part = new Cells[columns.Count];
            for (int c = 0; c < part.Length; c++) part[c] = ReadColumn(group, columns[c], g);
            yield return part;
        }
    }

    private Cells ReadColumn(ParquetRowGroupReader group, int column, int number)
    {
        DataField leaf = _leaves[column]!;
        using RawColumnData raw = Wait(group.ReadRawColumnDataBaseAsync(leaf).AsTask());
        Cells cells = ParquetCells.Of(raw, leaf, checked((int)group.RowCount));
        return cells.Rows == group.RowCount ? cells
            : throw new DataFileException($"column '{Fields[column].Name}' has {cells.Rows} cells in row group {number}; expected "
                + $"{group.RowCount}, as many as the group has rows");
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _reader.DisposeAsync().AsTask().GetAwaiter().GetResult();
        base.Dispose(disposing);
    }
}
