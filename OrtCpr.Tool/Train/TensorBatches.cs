using OrtCpr.Checkpoints;
using OrtCpr.Graph;

namespace OrtCpr.Tool.Train;

// Examples along the first axis of the tensors of a safetensors file, cut into shuffled batches. Owns the file.
internal sealed class TensorBatches : IDisposable
{
    private readonly SafetensorsFile _file;
    private readonly string _path;
    private readonly int _size;
    private readonly int _seed;
    private readonly int _examples;

    private TensorBatches(SafetensorsFile file, string path, int size, int seed, int examples)
    {
        _file = file;
        _path = path;
        _size = size;
        _seed = seed;
        _examples = examples;
    }

    public long BatchCount => (_examples + _size - 1) / _size;

    public static TensorBatches Open(string path, int size, int seed)
    {
        if (size < 1) throw new ToolException($"--batch-size is {size}; expected at least 1.");
        SafetensorsFile file = SafetensorsFile.Read(path);
        long[] counts = [.. file.Tensors.Values.Select(t => t.Dimensions.Count == 0 ? 0 : t.Dimensions[0]).Distinct()];
        if (counts is [> 0 and <= int.MaxValue]) return new TensorBatches(file, path, size, seed, (int)counts[0]);
        string found = string.Join(", ", file.Tensors.Select(t => $"'{t.Key}' {t.Value}"));
        file.Dispose();
        throw new ToolException($"'{path}': expected tensors with the same number of examples, at least 1, along their first axis; found {(found.Length == 0 ? "no tensor" : found)}.");
    }

    // Refuses a file that lacks an input, before anything is trained.
    public void Check(IReadOnlyList<BatchInput> inputs)
    {
        string[] missing = [.. inputs.Where(i => !_file.Tensors.ContainsKey(i.Name)).Select(i => i.ToString())];
        if (missing.Length > 0) throw new ToolException($"'{_path}' lacks {string.Join(", ", missing)}; it has {string.Join(", ", _file.Tensors.Keys.Order(StringComparer.Ordinal))}.");
        string[] extra = [.. _file.Tensors.Keys.Where(k => inputs.All(i => i.Name != k)).Order(StringComparer.Ordinal)];
        if (extra.Length > 0) throw new ToolException($"'{_path}' has tensors that are no inputs of the model: {string.Join(", ", extra)}; inputs are {string.Join(", ", inputs)}.");
    }

    // The batches of an epoch, in an order that depends on seed and epoch only.
    public IEnumerable<Batch> Epoch(long epoch)
    {
        int[] order = [.. Enumerable.Range(0, _examples)];
        new Random(HashOf(_seed, epoch)).Shuffle(order);
        for (int start = 0; start < _examples; start += _size)
        {
            int[] rows = order[start..Math.Min(_examples, start + _size)];
            var batch = new Batch();
            foreach ((string name, TensorData data) in _file.Tensors) batch.Add(name, Rows(data, rows));
            yield return batch;
        }
    }

    public void Dispose() => _file.Dispose();

    private static TensorData Rows(TensorData data, int[] rows)
    {
        int size = (int)(data.Bytes.Length / data.Dimensions[0]);
        byte[] bytes = new byte[size * rows.Length];
        for (int i = 0; i < rows.Length; i++) data.Bytes.Span.Slice(rows[i] * size, size).CopyTo(bytes.AsSpan(i * size));
        return TensorData.Create(data.Type, [rows.Length, .. data.Dimensions.Skip(1)], bytes);
    }

    // Not HashCode, which differs from process to process.
    private static int HashOf(int seed, long epoch) => unchecked((int)(((seed * 6364136223846793005L) + (epoch * 1442695040888963407L) + 1) >> 20));
}
