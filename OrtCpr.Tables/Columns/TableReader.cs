namespace OrtCpr.Tables.Columns;

/// <summary>A table that is read once from the front to the end. Each format makes one.</summary>
internal abstract class TableReader : IDisposable
{
    /// <summary>The columns in the order of the table.</summary>
    public abstract IReadOnlyList<TableField> Fields { get; }

    /// <summary>The cells of some columns, part by part; parts hold rows in the order of the table.</summary>
    /// <param name="columns">Positions in <see cref="Fields"/>.</param>
    public abstract IEnumerable<Cells[]> Read(IReadOnlyList<int> columns);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Gives back files.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }
}
