using Microsoft.ML;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Tables.Formats;
using OrtCpr.Tables.Reading;

namespace OrtCpr.Tables;

/// <summary>A typed table as examples, as <see cref="DataSource.FromCsv"/> reads one of text: the chosen columns of numbers are
/// <c>features</c> Float [number of them]; a column of lists is one of its own, of its name and element type; the label is
/// <c>label</c>, Int64 for a class, Float [1] for a number, or its lists.</summary>
/// <remarks>The table is read once, when it is opened, and the chosen columns are held in memory: 4 bytes a feature, lists in
/// the size of their elements. Lists of different lengths are padded behind (<see cref="DataColumn.PaddedAxis"/>) with 0, those
/// of a label of whole numbers with −100, which losses leave out. Booleans are 0 and 1, decimals become the nearest floating
/// number, keys of ML.NET count from 0. Dates, times, bytes, structures and lists of lists are refused where they are
/// chosen.</remarks>
public sealed class TableSource : DataSource
{
    private readonly TableData _data;

    private TableSource(TableData data, TableOptions options) => (_data, Options) = (data, options);

    /// <inheritdoc/>
    public override long Count => _data.Count;

    /// <inheritdoc/>
    public override IReadOnlyList<DataColumn> Columns => _data.Columns;

    /// <summary>The options with what the table has said: features, classes and categories in their order. Another table that
    /// is opened with them is read alike, whatever comes first in it.</summary>
    public TableOptions Options { get; }

    /// <summary>A Parquet file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="options">Columns; null for all as features.</param>
    /// <exception cref="FileAccessException">The file can't be read.</exception>
    /// <exception cref="DataFileException">It is no Parquet file, damaged or encrypted; a column is missing or has what nothing
    /// is made of; a cell is missing, not finite or none of the classes. At most ten places are named.</exception>
    public static TableSource FromParquet(string path, TableOptions? options = null) =>
        FromFormat(path, TableFormat.Parquet, options);

    /// <summary>An Arrow IPC file (<c>.arrow</c>, or Feather of version 2) or stream (<c>.arrows</c>), buffers compressed by LZ4
    /// or Zstandard or plain. Which of the two it is, the file itself tells.</summary>
    /// <param name="path">The file.</param>
    /// <param name="options">Columns; null for all as features.</param>
    /// <exception cref="FileAccessException">The file can't be read.</exception>
    /// <exception cref="DataFileException">As of <see cref="FromParquet"/>.</exception>
    public static TableSource FromArrow(string path, TableOptions? options = null) => FromFormat(path, TableFormat.Arrow, options);

    /// <summary>A data view of ML.NET, read by one cursor; hidden columns are left out.</summary>
    /// <param name="view">The view. It is not kept.</param>
    /// <param name="options">Columns; null for all as features.</param>
    /// <exception cref="DataFileException">As of <see cref="FromParquet"/>. What the view itself throws passes
    /// through.</exception>
    public static TableSource FromDataView(IDataView view, TableOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(view);
        using var table = new DataViewTable(view);
        (TableData data, TableOptions read) = new TableReading("the data view", options ?? new TableOptions()).Run(table);
        return new(data, read);
    }

    /// <summary>A file of a format.</summary>
    internal static TableSource FromFormat(string path, TableFormat format, TableOptions? options)
    {
        ArgumentNullException.ThrowIfNull(path);
        (TableData data, TableOptions read) = format.Read(path,
            table => new TableReading($"'{path}'", options ?? new TableOptions()).Run(table));
        return new(data, read);
    }

    /// <inheritdoc/>
    public override int LengthOf(long row) => _data.LengthOf(row);

    /// <inheritdoc/>
    public override void Read(int column, long row, Span<byte> target) => _data.Read(column, row, target);
}
