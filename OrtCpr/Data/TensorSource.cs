using OrtCpr.Checkpoints;
using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>Examples along the first axis of tensors, all of the same number of examples.</summary>
public sealed class TensorSource : DataSource
{
    private readonly TensorData[] _tensors;
    private readonly DataColumn[] _columns;
    private readonly IDisposable? _owner;

    /// <summary>A source over tensors in memory.</summary>
    /// <param name="tensors">By column name; at least one.</param>
    /// <exception cref="DataFileException">There is none, one is a scalar or of texts, or their numbers of examples differ.</exception>
    public TensorSource(IReadOnlyDictionary<string, TensorData> tensors) : this(tensors, "the tensors", null)
    {
    }

    private TensorSource(IReadOnlyDictionary<string, TensorData> tensors, string name, IDisposable? owner)
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

    /// <summary>A safetensors file; its tensors are read when they are used.</summary>
    /// <exception cref="FileAccessException">The file can't be read.</exception>
    /// <exception cref="SafetensorsException">It is no safetensors file.</exception>
    /// <exception cref="DataFileException">Its tensors are no examples.</exception>
    public static TensorSource FromSafetensors(string path)
    {
        SafetensorsFile file = SafetensorsFile.Read(path);
        return new TensorSource(file.Tensors, $"'{path}'", file);
    }

    /// <summary>NumPy's <c>.npz</c>, a column an array, or <c>.npy</c>, one column of the file's name.</summary>
    /// <exception cref="FileAccessException">The file can't be read.</exception>
    /// <exception cref="DataFileException">It breaks the format, or its arrays are no examples.</exception>
    public static TensorSource FromNumpy(string path) => new(NumpyFile.Read(path), $"'{path}'", null);

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
