using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Export;

/// <summary>An initializer and the tensor that it was given.</summary>
/// <param name="Initializer">Name in the model.</param>
/// <param name="Source">Name in the file of weights.</param>
/// <param name="How">What it was recognised by.</param>
/// <param name="Transposed">Whether the model holds the transpose.</param>
public sealed record ImportedWeight(string Initializer, string Source, string How, bool Transposed);

/// <summary>Puts the weights of a PyTorch state dict (as safetensors) into an exported model, whatever the exporter called them.</summary>
public static class WeightImport
{
    /// <summary>Writes a copy of a model with other weights.</summary>
    /// <remarks>An initializer's source is, in this order: the one that <paramref name="map"/> gives; the tensor of its name; of its name without leading
    /// module names; one that holds its present numbers; that of the module in whose node it is read (<c>/a/b/MatMul</c> reads <c>a.b.weight</c>); the only
    /// one of its shape where neither side has another. Exporters that rename a weight of a matrix product transpose it.</remarks>
    /// <param name="model">Model file.</param>
    /// <param name="weights">Safetensors file; every floating tensor of it must find its place.</param>
    /// <param name="output">The new model file.</param>
    /// <param name="map">Initializer → tensor; null for none.</param>
    /// <returns>What went where.</returns>
    /// <exception cref="OrtCprException">A file can't be read, or tensors fit nowhere; all of them are listed, and nothing is written.</exception>
    public static IReadOnlyList<ImportedWeight> Import(string model, string weights, string output, IReadOnlyDictionary<string, string>? map = null)
    {
        ModelFile file = ModelFile.Load(model);
        using SafetensorsFile source = SafetensorsFile.Read(weights);
        var matcher = new WeightMatcher(
            ModelTensors.Initializers(file.Proto.Graph).DistinctBy(t => t.Name).Where(t => ((ElementType)t.DataType).IsFloating()).ToDictionary(t => t.Name, file.ReadInitializer, StringComparer.Ordinal),
            source.Tensors.Where(t => t.Value.Type.IsFloating()).ToDictionary(StringComparer.Ordinal),
            Readers(file.Proto.Graph));
        IReadOnlyList<ImportedWeight> found = matcher.Run(map ?? new Dictionary<string, string>());
        if (matcher.Problems.Count > 0)
            throw new CheckpointException($"'{weights}' does not fit '{model}':\n  {string.Join("\n  ", matcher.Problems)}\nGive a map of initializers to tensors (--map) for those that are not recognised.");
        Dictionary<string, TensorData> values = found.ToDictionary(f => f.Initializer, f => matcher.ValueOf(f), StringComparer.Ordinal);
        ModelFile.Save(file.Proto.Clone(), output, initializers: values, source: file.Folder);
        return found;
    }

    // The first node that reads each name.
    private static Dictionary<string, NodeProto> Readers(GraphProto graph)
    {
        var readers = new Dictionary<string, NodeProto>(StringComparer.Ordinal);
        foreach (NodeProto node in graph.Node)
        {
            foreach (string input in node.Input) readers.TryAdd(input, node);
        }
        return readers;
    }
}

// Finds the source of each initializer. Every step works on what the ones before left over.
internal sealed class WeightMatcher(IReadOnlyDictionary<string, TensorData> initializers, IReadOnlyDictionary<string, TensorData> weights, IReadOnlyDictionary<string, NodeProto> readers)
{
    private readonly List<ImportedWeight> _found = [];
    private readonly HashSet<string> _open = [.. initializers.Keys];
    private readonly HashSet<string> _unused = [.. weights.Keys];

    public List<string> Problems { get; } = [];

    public IReadOnlyList<ImportedWeight> Run(IReadOnlyDictionary<string, string> map)
    {
        foreach ((string initializer, string source) in map)
        {
            if (!initializers.ContainsKey(initializer)) Problems.Add($"the map names '{initializer}', which is no floating initializer of the model");
            else if (!weights.ContainsKey(source)) Problems.Add($"the map gives '{initializer}' the tensor '{source}', which is not in the file");
            else Take(initializer, source, "map");
        }
        foreach (string name in _open.Order(StringComparer.Ordinal).ToList())
        {
            if (weights.ContainsKey(name)) Take(name, name, "name");
        }
        foreach (string name in _open.Order(StringComparer.Ordinal).ToList())
        {
            if (Only(_unused.Where(w => EndsWith(name, w) || EndsWith(w, name))) is string source) Take(name, source, "end of the name");
        }
        foreach (string name in _open.Order(StringComparer.Ordinal).ToList())
        {
            if (Only(weights.Keys.Where(w => TensorTwins.Compare(weights[w], initializers[name]) is TwinKind.Equal or TwinKind.Transposed && initializers[name].ElementCount > 1)) is string source) Take(name, source, "numbers");
        }
        foreach (string name in _open.Order(StringComparer.Ordinal).ToList())
        {
            if (ModuleOf(name) is string module && Only(_unused.Where(w => (w == module || EndsWith(w, module) || EndsWith(module, w)) && Fits(name, w))) is string source) Take(name, source, "module of its node");
        }
        foreach (string name in _open.Order(StringComparer.Ordinal).ToList())
        {
            if (initializers[name].ElementCount > 1 && Only(_unused.Where(w => Fits(name, w))) is string source && Only(_open.Where(o => Fits(o, source))) == name) Take(name, source, "shape");
        }
        foreach (string left in _unused.Order(StringComparer.Ordinal))
        {
            string[] candidates = [.. _open.Where(o => Fits(o, left)).Order(StringComparer.Ordinal).Take(5).Select(o => $"'{o}'")];
            Problems.Add($"'{left}' {Text(weights[left])} has no place; initializers of its shape without a source: {(candidates.Length == 0 ? "none" : string.Join(", ", candidates))}");
        }
        return _found;
    }

    public TensorData ValueOf(ImportedWeight weight)
    {
        TensorData value = weights[weight.Source], like = initializers[weight.Initializer];
        return (weight.Transposed ? TensorTwins.Transpose(value) : value).ConvertTo(like.Type);
    }

    private void Take(string initializer, string source, string how)
    {
        TensorData here = initializers[initializer], there = weights[source];
        bool same = here.Dimensions.SequenceEqual(there.Dimensions), turned = here.Dimensions.Count == 2 && here.Dimensions.SequenceEqual(there.Dimensions.Reverse());
        _open.Remove(initializer);
        _unused.Remove(source);
        if (!same && !turned)
        {
            Problems.Add($"'{initializer}' {Text(here)} and '{source}' {Text(there)} belong together by {how}, but their shapes differ");
            return;
        }
        // Both fit a square matrix: its numbers tell, else whether the exporter renamed it, which it does with what it transposes.
        bool transposed = !same || (turned && (TensorTwins.Compare(there, here) is TwinKind kind ? kind == TwinKind.Transposed : initializer != source && IsMultiplied(initializer)));
        _found.Add(new ImportedWeight(initializer, source, how, transposed));
    }

    private bool IsMultiplied(string initializer) => !initializer.EndsWith(".weight", StringComparison.Ordinal) && readers.TryGetValue(initializer, out NodeProto? node) && node.OpType == "MatMul";

    // The parameter that a node of a module reads: /encoder/fc/MatMul reads encoder.fc.weight, its Add the bias.
    private string? ModuleOf(string initializer)
    {
        if (!readers.TryGetValue(initializer, out NodeProto? node)) return null;
        string[] path = node.Name.Split('/', StringSplitOptions.RemoveEmptyEntries);
        string kind = initializers[initializer].Dimensions.Count > 1 || node.OpType == "Mul" ? "weight" : "bias";
        return path.Length < 2 ? null : $"{string.Join('.', path[..^1])}.{kind}";
    }

    private bool Fits(string initializer, string source)
    {
        IReadOnlyList<long> here = initializers[initializer].Dimensions, there = weights[source].Dimensions;
        return here.SequenceEqual(there) || (here.Count == 2 && here.SequenceEqual(there.Reverse()));
    }

    private static bool EndsWith(string name, string end) => name.EndsWith($".{end}", StringComparison.Ordinal);

    private static string? Only(IEnumerable<string> names) => names.Take(2).ToArray() is [string one] ? one : null;

    private static string Text(TensorData data) => $"[{string.Join(',', data.Dimensions)}]";
}
