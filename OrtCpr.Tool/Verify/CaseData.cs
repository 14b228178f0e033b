using System.Text.Json;
using OrtCpr.Checkpoints;
using OrtCpr.Graph;

namespace OrtCpr.Tool.Verify;

// The tensors and settings of one reference case. Every stored tensor must be asked for: one that nobody knows fails the case.
internal sealed class CaseData : IDisposable
{
    private readonly SafetensorsFile _file;
    private readonly HashSet<string> _used = new(StringComparer.Ordinal);

    public CaseData(string path)
    {
        Path = path;
        _file = SafetensorsFile.Read(path);
    }

    public string Path { get; }

    public string ModelPath => System.IO.Path.ChangeExtension(Path, ".onnx");

    public string Kind => Text("kind");

    public string Text(string key, string? fallback = null) => _file.Metadata.TryGetValue(key, out string? value) ? value
        : fallback ?? throw new CaseException($"the file has no metadata key '{key}'");

    public JsonElement Json(string key, string fallback)
    {
        using JsonDocument document = JsonDocument.Parse(_file.Metadata.TryGetValue(key, out string? value) ? value : fallback);
        return document.RootElement.Clone();
    }

    public double Number(string key) => double.Parse(Text(key), System.Globalization.CultureInfo.InvariantCulture);

    public bool Has(string name) => _file.Tensors.ContainsKey(name);

    public TensorData Tensor(string name)
    {
        if (!_file.Tensors.TryGetValue(name, out TensorData? data)) throw new CaseException($"the file has no tensor '{name}'");
        _used.Add(name);
        return data;
    }

    // Names behind a prefix.
    public IReadOnlyList<string> Names(string prefix) =>
        [.. _file.Tensors.Keys.Where(n => n.StartsWith(prefix, StringComparison.Ordinal)).Select(n => n[prefix.Length..])
        .Order(StringComparer.Ordinal)];

    // For tensors of a convention that this check does not use.
    public void Ignore(string prefix) => _used.UnionWith(_file.Tensors.Keys.Where(n => n.StartsWith(prefix, StringComparison.Ordinal)));

    public IReadOnlyList<string> Unused => [.. _file.Tensors.Keys.Where(n => !_used.Contains(n)).Order(StringComparer.Ordinal)];

    public void Dispose() => _file.Dispose();

    // Entry `index` of a tensor whose first axis counts steps.
    public static TensorData Slice(TensorData data, int index)
    {
        long[] dims = [.. data.Dimensions.Skip(1)];
        int bytes = data.Bytes.Length / (int)data.Dimensions[0];
        return TensorData.Create(data.Type, dims, data.Bytes.Slice(index * bytes, bytes).ToArray());
    }
}

// A case that cannot be run as it is; the message is its result.
internal sealed class CaseException(string message) : Exception(message);
