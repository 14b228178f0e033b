using System.Collections.Immutable;
using Microsoft.ML;
using Microsoft.ML.Data;
using OrtCpr.Graph;
using OrtCpr.Tables.Columns;

namespace OrtCpr.Tables.Formats;

/// <summary>ML.NET's data view, read by one cursor in its own order; parts of some thousand rows.</summary>
internal sealed class DataViewTable : TableReader
{
    private const int RowsAPart = 1 << 14;
    private const string KeyValues = "KeyValues";

    private readonly IDataView _view;
    private readonly DataViewSchema.Column[] _columns;

    public DataViewTable(IDataView view)
    {
        _view = view;
        _columns = [.. view.Schema.Where(c => !c.IsHidden)];
        Fields = [.. _columns.Select(FieldOf)];
    }

    /// <inheritdoc/>
    public override IReadOnlyList<TableField> Fields { get; }

    private static TableField FieldOf(DataViewSchema.Column column)
    {
        var vector = column.Type as VectorDataViewType;
        DataViewType item = vector?.ItemType ?? column.Type;
        ElementType? type = item is KeyDataViewType ? ElementType.Int64 : DataViewColumn.TypeOf(item.RawType);
        if (type is null || item is not (NumberDataViewType or BooleanDataViewType or TextDataViewType or KeyDataViewType))
            return TableField.Refused(column.Name, $"values of type {column.Type}");
        if (vector is not null && type == ElementType.String) return TableField.Refused(column.Name, "vectors of texts");
        return new TableField(column.Name, type.Value)
        {
            IsList = vector is not null,
            Shape = vector is { IsKnownSize: true } ? [.. vector.Dimensions.Select(d => (long)d)] : null,
            KeyNames = item is KeyDataViewType && vector is null ? Names(column) : [],
        };
    }

    // What keys stand for is an annotation, as a rule of texts.
    private static ImmutableArray<string> Names(DataViewSchema.Column column)
    {
        if (column.Annotations.Schema.GetColumnOrNull(KeyValues)?.Type is not VectorDataViewType { ItemType: TextDataViewType }) return [];
        VBuffer<ReadOnlyMemory<char>> names = default;
        column.Annotations.GetValue(KeyValues, ref names);
        return [.. names.DenseValues().Select(n => n.ToString())];
    }

    /// <inheritdoc/>
    public override IEnumerable<Cells[]> Read(IReadOnlyList<int> columns)
    {
        DataViewSchema.Column[] read = [.. columns.Select(c => _columns[c])];
        using DataViewRowCursor cursor = _view.GetRowCursor(read);
        DataViewColumn[] sinks = [.. read.Select(c => DataViewColumn.Of(cursor, c))];
        int rows = 0;
        while (cursor.MoveNext())
        {
            foreach (DataViewColumn sink in sinks) sink.Add();
            if (++rows < RowsAPart) continue;
            yield return [.. sinks.Select(s => s.Take())];
            rows = 0;
        }
        if (rows > 0) yield return [.. sinks.Select(s => s.Take())];
    }
}
