using System.Text.Json;
using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Export;

/// <summary>An initializer and the tensor that it was given.</summary>
public sealed record ImportedWeight
{
    /// <summary>Name in the model.</summary>
    public required string Initializer { get; init; }

    /// <summary>Name in the file of weights; several, with commas between, where a recurrent operator holds directions
    /// or two biases in one.</summary>
    public required string Source { get; init; }

    /// <summary>What it was recognised by.</summary>
    public required string How { get; init; }

    /// <summary>Whether the model holds the transpose.</summary>
    public bool Transposed { get; init; }
}

/// <summary>Puts the weights of a PyTorch state dict (as safetensors) into an exported model, whatever the exporter called them.</summary>
public static class WeightImport
{
    /// <summary>Key among a model's metadata under which <see cref="Import"/> leaves what it found, a JSON object of
    /// initializer → tensor, for the next import into the model or one trained from it.</summary>
    public const string MapKey = "ortcpr.weights";

    /// <summary>Writes a copy of a model with other weights.</summary>
    /// <remarks>An initializer's source is, in this order: the one that <paramref name="map"/> gives; the one that the
    /// model's metadata give (<see cref="MapKey"/>); the tensor of its name; of its name without leading module names;
    /// one that holds its present numbers; that of the module in whose node it is read (<c>/a/b/MatMul</c> reads
    /// <c>a.b.weight</c>; the newer exporter's <c>pkg.torch.onnx.name_scopes</c> say the same); the only one of its
    /// shape where neither side has another. Exporters that rename a weight of a matrix product transpose it. The
    /// weights of LSTM, GRU and RNN nodes are put together of a layer's <c>weight_ih_l0</c>, <c>weight_hh_l0</c>,
    /// <c>bias_ih_l0</c>, <c>bias_hh_l0</c> and their <c>_reverse</c>
    /// twins, with the gates in ONNX's order.</remarks>
    /// <param name="model">Model file.</param>
    /// <param name="weights">Safetensors file; every floating tensor of it must find its place.</param>
    /// <param name="output">The new model file.</param>
    /// <param name="map">Initializer → tensor; null for none.</param>
    /// <returns>What went where.</returns>
    /// <exception cref="OrtCprException">A file can't be read, or tensors fit nowhere; all of them are listed, and
    /// nothing is written.</exception>
    public static IReadOnlyList<ImportedWeight> Import(string model, string weights, string output,
        IReadOnlyDictionary<string, string>? map = null)
    {
        ModelFile file = ModelFile.Load(model);
        using SafetensorsFile source = SafetensorsFile.Read(weights);
        var matcher = new WeightMatcher(
            file.Places.All.Where(p => p.Type.IsFloating()).ToDictionary(p => p.Name, p => p.Read(file), StringComparer.Ordinal),
            source.Tensors.Where(t => t.Value.Type.IsFloating()).ToDictionary(StringComparer.Ordinal),
            file.Proto.Graph);
        IReadOnlyList<ImportedWeight> found = matcher.Run(map ?? new Dictionary<string, string>(), StoredMap(file.Proto));
        if (matcher.Problems.Count > 0)
        {
            throw new CheckpointException(
                $"'{weights}' does not fit '{model}':\n  {string.Join("\n  ", matcher.Problems)}\nGive a map of initializers to tensors "
                + "(--map) for those that are not recognised.");
        }
        ModelProto proto = file.Proto.Clone();
        StringStringEntryProto? stored = proto.MetadataProps.FirstOrDefault(p => p.Key == MapKey);
        if (stored is null) proto.MetadataProps.Add(stored = new StringStringEntryProto { Key = MapKey });
        stored.Value =
            JsonSerializer.Serialize(found.Where(f => !f.Source.Contains(',', StringComparison.Ordinal))
                .ToDictionary(f => f.Initializer, f => f.Source, StringComparer.Ordinal), WeightMapJson.Default.DictionaryStringString);
        ModelFile.Save(proto, output, initializers: matcher.Values, source: file.Folder);
        return found;
    }

    /// <summary>What an earlier import left, as far as it can be read: it only helps.</summary>
    private static Dictionary<string, string> StoredMap(ModelProto proto)
    {
        try
        {
            return proto.MetadataProps.FirstOrDefault(p => p.Key == MapKey) is { } stored
                ? JsonSerializer.Deserialize(stored.Value, WeightMapJson.Default.DictionaryStringString) ?? [] : [];
        }
        catch (JsonException)
        {
            return [];
        }
    }
}
