using System.Collections.Immutable;
using System.Text.Json;
using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;
using OrtCpr.Graph.Parameters;

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

/// <summary>What an import of weights may leave open, and what it is told by name.</summary>
public sealed record WeightImportOptions
{
    /// <summary>Initializer → tensor. Default: none.</summary>
    public ImmutableDictionary<string, string> Map { get; init; } = ImmutableDictionary.Create<string, string>(StringComparer.Ordinal);

    /// <summary>Names of tensors of the file that are not for this model. Default: none.</summary>
    public ImmutableArray<NamePattern> Ignore { get; init; } = [];

    /// <summary>Names of the model's tensors that may keep the numbers that they have; <c>*</c> for all. Default: none, so
    /// that each tensor that training would change must find its source.</summary>
    public ImmutableArray<NamePattern> AllowMissing { get; init; } = [];
}

/// <summary>Puts the weights of a PyTorch state dict (as safetensors) into an exported model, whatever the exporter called them.</summary>
public static class WeightImport
{
    /// <summary>Key among a model's metadata under which <see cref="WeightImport"/> leaves what it found, a JSON object of
    /// initializer → tensor, for the next import into the model or one trained from it.</summary>
    public const string MapKey = "ortcpr.weights";

    /// <summary>Writes a copy of a model with other weights.</summary>
    /// <remarks>An initializer's source is, in this order: the one that the map gives; the one that the
    /// model's metadata give (<see cref="MapKey"/>); the tensor of its name; of its name without leading module names;
    /// one that holds its present numbers; that of the module in whose node it is read (<c>/a/b/MatMul</c> reads
    /// <c>a.b.weight</c>; the newer exporter's <c>pkg.torch.onnx.name_scopes</c> say the same); the only one of its
    /// shape where neither side has another. Exporters that rename a weight of a matrix product transpose it. The
    /// weights of LSTM, GRU and RNN nodes are put together of a layer's <c>weight_ih_l0</c>, <c>weight_hh_l0</c>,
    /// <c>bias_ih_l0</c>, <c>bias_hh_l0</c> and their <c>_reverse</c>
    /// twins, with the gates in ONNX's order. An initializer without a source that held the numbers of another one, also
    /// transposed, gets that one's; a tensor without a place that holds those of one with a place is one tied to it.</remarks>
    /// <param name="model">Model file.</param>
    /// <param name="weights">Safetensors file; every floating tensor of it must find its place, and every tensor that
    /// training would change, and every running statistic, its source.</param>
    /// <param name="output">The new model file.</param>
    /// <returns>What went where.</returns>
    /// <exception cref="OrtCprException">A file can't be read, or tensors are left over; all of them are listed, and
    /// nothing is written.</exception>
    public static IReadOnlyList<ImportedWeight> Import(string model, string weights, string output) =>
        Import(model, weights, output, new WeightImportOptions());

    /// <summary>Writes a copy of a model with other weights, some of them by a map.</summary>
    /// <param name="model">Model file.</param>
    /// <param name="weights">Safetensors file; every floating tensor of it must find its place, and every tensor that
    /// training would change, and every running statistic, its source.</param>
    /// <param name="output">The new model file.</param>
    /// <param name="map">Initializer → tensor.</param>
    /// <returns>What went where.</returns>
    /// <exception cref="OrtCprException">A file can't be read, or tensors are left over; all of them are listed, and
    /// nothing is written.</exception>
    public static IReadOnlyList<ImportedWeight> Import(string model, string weights, string output,
        IReadOnlyDictionary<string, string> map)
    {
        ArgumentNullException.ThrowIfNull(map);
        return Import(model, weights, output, new WeightImportOptions { Map = map.ToImmutableDictionary(StringComparer.Ordinal) });
    }

    /// <summary>Writes a copy of a model with other weights, where tensors of either side may be left over.</summary>
    /// <param name="model">Model file.</param>
    /// <param name="weights">Safetensors file.</param>
    /// <param name="output">The new model file.</param>
    /// <param name="options">What may be left over, and the map.</param>
    /// <returns>What went where.</returns>
    /// <exception cref="OrtCprException">A file can't be read, or tensors are left over that may not; all of them are
    /// listed, and nothing is written.</exception>
    public static IReadOnlyList<ImportedWeight> Import(string model, string weights, string output, WeightImportOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        ModelFile file = ModelFile.Load(model);
        using SafetensorsFile source = SafetensorsFile.Read(weights);
        if (!source.Tensors.Values.Any(t => t.Type.IsFloating()))
        {
            throw new CheckpointException($"'{weights}' has no floating tensor, {(source.Tensors.Count == 0 ? "and no other one"
                : $"but {string.Join(", ", source.Tensors.Keys.Order(StringComparer.Ordinal).Take(5))}")}; expected a state dict's "
                + "weights. Save it again, with the model's state_dict() and not an empty one.");
        }
        string[] idle = [.. options.Ignore.Where(p => !source.Tensors.Keys.Any(p.Matches)).Select(p => $"'{p.Text}'")];
        if (idle.Length > 0)
        {
            throw new CheckpointException($"{string.Join(", ", idle)}: no tensor of '{weights}' has such a name to be ignored. It has "
                + $"{string.Join(", ", source.Tensors.Keys.Order(StringComparer.Ordinal).Take(20))}"
                + $"{(source.Tensors.Count > 20 ? ", …" : "")}.");
        }
        var matcher = new WeightMatcher(
            file.Places.All.Where(p => p.Type.IsFloating()).ToDictionary(p => p.Name, p => p.Read(file), StringComparer.Ordinal),
            source.Tensors.Where(t => t.Value.Type.IsFloating() && !options.Ignore.Any(p => p.Matches(t.Key)))
                .ToDictionary(StringComparer.Ordinal),
            file.Proto.Graph);
        IReadOnlyList<ImportedWeight> found = matcher.Run(options.Map, StoredMap(file.Proto));
        string[] missing = matcher.Open.Count == 0 ? []
            : [.. Needed(model, file).Where(n => matcher.Open.Contains(n) && !options.AllowMissing.Any(p => p.Matches(n)))
                .Select(n => $"'{n}' [{string.Join(',', file.Places.Find(n)!.Dimensions)}] of the model has no source")];
        if (matcher.Problems.Count + missing.Length > 0)
        {
            string[] ways =
            [
                "Give a map of initializers to tensors (--map) for those that are not recognised.",
                .. matcher.HasSurplus ? ["Name tensors that are not for this model to ignore them (WeightImportOptions.Ignore, --ignore)."]
                    : Array.Empty<string>(),
                .. missing.Length > 0 ? ["Name the model's tensors that keep the numbers that they have "
                    + "(WeightImportOptions.AllowMissing, --allow-missing)."] : Array.Empty<string>(),
            ];
            throw new CheckpointException(
                $"'{weights}' does not fit '{model}':\n  {string.Join("\n  ", matcher.Problems.Concat(missing))}\n"
                + $"{string.Join(' ', ways)}");
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

    /// <summary>Names of what training changes, running statistics included. A model that can't be trained has only the
    /// look of its tensors to go by.</summary>
    private static IEnumerable<string> Needed(string path, ModelFile file)
    {
        try
        {
            if (ModelInspector.Inspect(path).Parameters is ParameterTable table)
                return [.. table.All.Where(p => p.Trained || p.Role == ParameterRole.RunningStatistic).Select(p => p.Name)];
        }
        catch (OrtCprException)
        {
        }
        return [.. file.Places.All.Where(p => p.Type.IsFloating() && !p.IsConstant && p.Dimensions.Count > 0
            && p.Dimensions.Aggregate(1L, (n, d) => n * d) > 1).Select(p => p.Name)];
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
