using System.Text.Json;
using Apache.Arrow;
using Apache.Arrow.Compression;
using Apache.Arrow.Ipc;
using Apache.Arrow.Types;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Tables.Columns;

namespace OrtCpr.Tables.Formats;

/// <summary>An Arrow IPC file (Feather of version 2 is the same) or stream, a part a record batch.</summary>
internal sealed class ArrowTable : TableReader
{
    private readonly ArrowStreamReader _reader;
    private readonly Schema _schema;

    private ArrowTable(ArrowStreamReader reader)
    {
        _reader = reader;
        _schema = reader.GetSchema().AsTask().GetAwaiter().GetResult();
        Fields = [.. _schema.FieldsList.Select(FieldOf)];
    }

    /// <inheritdoc/>
    public override IReadOnlyList<TableField> Fields { get; }

    /// <summary>Takes the stream.</summary>
    /// <param name="stream">At its beginning.</param>
    /// <param name="isFile">Whether it has the file's form, with a footer; else it is a stream of messages.</param>
    public static ArrowTable Open(Stream stream, bool isFile)
    {
        ArrowFrames.Check(stream, isFile);
        // What a file has more than a stream is a mark in front, and a footer that says where each message is.
        if (isFile) stream.Position = ArrowFrames.FileMark;
        return new(new ArrowStreamReader(stream, new CompressionCodecFactory()));
    }

    private static TableField FieldOf(Field field)
    {
        IArrowType type = field.DataType is DictionaryType dictionary ? dictionary.ValueType : field.DataType;
        if (ArrowCells.TypeOf(type) is ElementType single) return new TableField(field.Name, single);
        if (type is FixedSizeListType or ListType or LargeListType && field.DataType is not DictionaryType)
        {
            var sizes = new List<long>();
            IArrowType item = type;
            for (; item is FixedSizeListType list; item = list.ValueDataType) sizes.Add(list.ListSize);
            bool isFixed = sizes.Count > 0;
            if (!isFixed) item = type is ListType some ? some.ValueDataType : ((LargeListType)type).ValueDataType;
            if (ArrowCells.TypeOf(item) is ElementType element and not ElementType.String)
                return new TableField(field.Name, element) { IsList = true, Shape = isFixed ? ShapeOf(field) ?? [.. sizes] : null };
            return TableField.Refused(field.Name, $"lists of type {item.Name}");
        }
        return TableField.Refused(field.Name, $"values of type {type.Name}");
    }

    // The canonical extension for tensors of one shape: lists of a fixed size with the shape beside.
    private static IReadOnlyList<long>? ShapeOf(Field field)
    {
        if (field.Metadata?.GetValueOrDefault("ARROW:extension:name") != "arrow.fixed_shape_tensor") return null;
        using JsonDocument tensor = JsonDocument.Parse(field.Metadata.GetValueOrDefault("ARROW:extension:metadata") ?? "{}");
        if (tensor.RootElement.TryGetProperty("permutation", out _) || !tensor.RootElement.TryGetProperty("shape", out JsonElement shape))
            return null;
        long[] sizes = [.. shape.EnumerateArray().Select(s => s.GetInt64())];
        return sizes.Aggregate(1L, (n, s) => checked(n * s)) == ((FixedSizeListType)field.DataType).ListSize ? sizes : null;
    }

    /// <inheritdoc/>
    public override IEnumerable<Cells[]> Read(IReadOnlyList<int> columns)
    {
        int number = 0;
        while (_reader.ReadNextRecordBatch() is RecordBatch batch)
        {
            using (batch)
            {
                if (batch.ColumnCount != Fields.Count)
                    throw new DataFileException($"record batch {number} has {batch.ColumnCount} columns; expected {Fields.Count}");
                var part = new Cells[columns.Count];
                if (Enumerable.Range(0, Fields.Count).FirstOrDefault(c => batch.Column(c).Length != batch.Length, -1) is int wrong and >= 0)
                {
                    throw new DataFileException($"column '{Fields[wrong].Name}' has {batch.Column(wrong).Length} cells in record batch "
                        + $"{number}; expected {batch.Length}");
                }
                for (int c = 0; c < part.Length; c++) part[c] = ArrowCells.Of(batch.Column(columns[c]));
                yield return part;
            }
            number++;
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _reader.Dispose();
        base.Dispose(disposing);
    }
}
