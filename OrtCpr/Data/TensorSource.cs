using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>Examples along the first axis of tensors, all of the same number of examples.</summary>
internal sealed class TensorSource : DataSource
{
    private readonly TensorData[] _tensors;
    private readonly DataColumn[] _columns;
    private readonly IDisposable? _owner;

    /// <summary>A source over tensors.</summary>
    /// <param name="tensors">By column name.</param>
    /// <param name="name">What errors call them.</param>
    /// <param name="owner">Disposed with the source; null for none.</param>
    public TensorSource(IReadOnlyDictionary<string, TensorData> tensors, string name, IDisposable? owner)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        var problems = new List<string>();
        if (tensors.Count == 0) problems.Add("there is no tensor");
        problems.AddRange(
            tensors.Where(t => t.Value.Dimensions.Count == 0 || t.Value.Type == ElementType.String || t.Value.Type.BitsPerElement() < 8)
            .Select(t => $"'{t.Key}' is {t.Value}; expected numbers of at least one axis"));
        long[] counts = [.. tensors.Values.Where(t => t.Dimensions.Count > 0).Select(t => t.Dimensions[0]).Distinct()];
        if (problems.Count == 0 && counts.Length > 1)
        {
            problems.Add(
                $"the numbers of examples, along the first axis, differ: {string.Join(", ", tensors.Select(t => $"'{t.Key}' {t.Value}"))}");
        }
        if (problems.Count > 0)
        {
            owner?.Dispose();
            throw new DataFileException($"No examples can be read from {name}: {string.Join("; ", problems)}.");
        }
        _owner = owner;
        KeyValuePair<string, TensorData>[] all = [.. tensors.OrderBy(t => t.Key, StringComparer.Ordinal)];
        _tensors = [.. all.Select(t => t.Value)];
        _columns = [.. all.Select(t => new DataColumn(t.Key, t.Value.Type, [.. t.Value.Dimensions.Skip(1)]))];
        Count = counts[0];
    }

    /// <inheritdoc/>
    public override long Count { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<DataColumn> Columns => _columns;

    /// <inheritdoc/>
    public override void Read(int column, long row, Span<byte> target)
    {
        int size = _columns[column].Size;
        TensorData tensor = _tensors[column];
        tensor.Bytes.Span.Slice(checked((int)(row * size)), size).CopyTo(target);
        // The bytes may be those of a mapped file, which ends with their owner.
        GC.KeepAlive(tensor);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _owner?.Dispose();
        base.Dispose(disposing);
    }
}
