using OrtCpr.Graph;
using OrtCpr.Graph.Onnx.Proto;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Export;

/// <summary>Finds the source of each initializer. Every step works on what the ones before left over.</summary>
internal sealed class WeightMatcher(IReadOnlyDictionary<string, TensorData> initializers, IReadOnlyDictionary<string, TensorData> weights,
    GraphProto graph)
{
    /// <summary>Fewer than elsewhere: a file that has a tensor too many has told already that two are one.</summary>
    private const long FewestOfTied = 2;

    private readonly Dictionary<string, NodeProto> _readers = Readers(graph);
    private readonly List<ImportedWeight> _found = [];
    private readonly HashSet<string> _open = [.. initializers.Keys];
    private readonly HashSet<string> _unused = [.. weights.Keys];

    public List<string> Problems { get; } = [];

    /// <summary>Initializers without a source.</summary>
    public IReadOnlySet<string> Open => _open;

    /// <summary>Whether a tensor found no place.</summary>
    public bool HasSurplus { get; private set; }

    /// <summary>The new value of each initializer that was found, in its own type.</summary>
    public Dictionary<string, TensorData> Values { get; } = new(StringComparer.Ordinal);

    /// <summary><c>stored</c>: a map that may be out of date; what does not fit in it is passed over.</summary>
    public IReadOnlyList<ImportedWeight> Run(IReadOnlyDictionary<string, string> map, IReadOnlyDictionary<string, string> stored)
    {
        foreach ((string initializer, string source) in map)
        {
            if (!initializers.ContainsKey(initializer))
                Problems.Add($"the map names '{initializer}', which is no floating initializer of the model");
            else if (!weights.ContainsKey(source))
                Problems.Add($"the map gives '{initializer}' the tensor '{source}', which is not in the file");
            else Take(initializer, source, "map");
        }
        foreach ((string initializer, string source) in stored)
        {
            if (_open.Contains(initializer) && _unused.Contains(source) && Fits(initializer, source)) Take(initializer, source, "metadata");
        }
        foreach (RecurrentWeights.Match match in new RecurrentWeights(graph, initializers, weights).Find(_open, _unused, Problems))
            Take(match);
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
            if (Only(weights.Keys.Where(w =>
                TensorTwins.Compare(weights[w], initializers[name]) is TwinKind.Equal or TwinKind.Transposed
                && initializers[name].ElementCount > 1)) is string source)
            {
                Take(name, source, "numbers");
            }
        }
        foreach (string name in _open.Order(StringComparer.Ordinal).ToList())
        {
            if (ModuleOf(name) is string module
                && Only(_unused.Where(w => (w == module || EndsWith(w, module) || EndsWith(module, w)) && Fits(name, w))) is string source)
            {
                Take(name, source, "module of its node");
            }
        }
        foreach (string name in _open.Order(StringComparer.Ordinal).ToList())
        {
            if (initializers[name].ElementCount > 1 && Only(_unused.Where(w => Fits(name, w))) is string source
                && Only(_open.Where(o => Fits(o, source))) == name)
            {
                Take(name, source, "shape");
            }
        }
        FillTwins();
        foreach (string left in _unused.Order(StringComparer.Ordinal).Where(l => !IsTied(l)))
        {
            HasSurplus = true;
            string[] candidates = [.. _open.Where(o => Fits(o, left)).Order(StringComparer.Ordinal).Take(5).Select(o => $"'{o}'")];
            Problems.Add(
                $"'{left}' {Text(weights[left])} has no place; initializers of its shape without a source: "
                + $"{(candidates.Length == 0 ? "none" : string.Join(", ", candidates))}");
        }
        return _found;
    }

    /// <summary>What held the same numbers before does so afterwards: one tensor that an exporter wrote twice.</summary>
    private void FillTwins()
    {
        (string Name, bool IsOpen)[] order = [.. initializers.Keys.Select(n => (n, _open.Contains(n))).OrderBy(n => n.Item2)
            .ThenBy(n => n.n, StringComparer.Ordinal)];
        foreach (Twin<(string Name, bool IsOpen)> twin in TensorTwins.Find(order, o => initializers[o.Name]).ToList())
        {
            if (!twin.Second.IsOpen || !Values.TryGetValue(twin.First.Name, out TensorData? value)) continue;
            TensorData here = initializers[twin.Second.Name];
            bool transposed = twin.Kind == TwinKind.Transposed;
            Values[twin.Second.Name] = TensorData.Create(value.Type, here.Dimensions,
                (transposed ? TensorTwins.Transpose(value) : value).Bytes).ConvertTo(here.Type);
            _open.Remove(twin.Second.Name);
            ImportedWeight first = _found.First(f => f.Initializer == twin.First.Name);
            _found.Add(first with
            {
                Initializer = twin.Second.Name,
                How = $"the numbers that '{twin.First.Name}' held too",
                Transposed = first.Transposed != transposed,
            });
        }
    }

    /// <summary>Whether a tensor without a place holds the numbers of one that has a place, as tied weights do that a
    /// state dict names twice.</summary>
    private bool IsTied(string source)
    {
        string[] placed = [.. weights.Keys.Where(w => !_unused.Contains(w) && weights[w].ElementCount == weights[source].ElementCount)];
        return TensorTwins.Find([.. placed, source], w => weights[w], FewestOfTied).Any(t => t.Second == source);
    }

    private void Take(RecurrentWeights.Match match)
    {
        _open.Remove(match.Initializer);
        _unused.ExceptWith(match.Sources);
        Values[match.Initializer] = match.Value.ConvertTo(initializers[match.Initializer].Type);
        _found.Add(new ImportedWeight
        {
            Initializer = match.Initializer,
            Source = string.Join(", ", match.Sources),
            How = "layer of its recurrent node",
        });
    }

    private void Take(string initializer, string source, string how)
    {
        TensorData here = initializers[initializer], there = weights[source];
        bool same = IsSameButForOnes(here, there);
        bool turned = here.Dimensions.Count == 2 && here.Dimensions.SequenceEqual(there.Dimensions.Reverse());
        _open.Remove(initializer);
        _unused.Remove(source);
        if (!same && !turned)
        {
            Problems.Add($"'{initializer}' {Text(here)} and '{source}' {Text(there)} belong together by {how}, but their shapes differ");
            return;
        }
        // Both fit a square matrix: its numbers tell, else whether the exporter renamed it, which it does with what it
        // transposes.
        bool transposed = !same
            || (turned && (TensorTwins.Compare(there, here) is TwinKind kind ? kind == TwinKind.Transposed : initializer != source
                && IsMultiplied(initializer)));
        Values[initializer] = TensorData.Create(there.Type, here.Dimensions, (transposed ? TensorTwins.Transpose(there) : there).Bytes)
            .ConvertTo(here.Type);
        _found.Add(new ImportedWeight { Initializer = initializer, Source = source, How = how, Transposed = transposed });
    }

    private bool IsMultiplied(string initializer) =>
        !initializer.EndsWith(".weight", StringComparison.Ordinal) && _readers.TryGetValue(initializer, out NodeProto? node)
        && node.OpType == "MatMul";

    /// <summary>The parameter that a node of a module reads: /encoder/fc/MatMul reads encoder.fc.weight, its Add the
    /// bias.</summary>
    private string? ModuleOf(string initializer)
    {
        if (!_readers.TryGetValue(initializer, out NodeProto? node)) return null;
        string kind = initializers[initializer].Dimensions.Count > 1 || node.OpType == "Mul" ? "weight" : "bias";
        return NodeModule.Of(node) is string module ? $"{module}.{kind}" : null;
    }

    private bool Fits(string initializer, string source)
    {
        IReadOnlyList<long> here = initializers[initializer].Dimensions, there = weights[source].Dimensions;
        return IsSameButForOnes(initializers[initializer], weights[source]) || (here.Count == 2 && here.SequenceEqual(there.Reverse()));
    }

    /// <summary>A gain of [C] may have become one of [C,1,1].</summary>
    private static bool IsSameButForOnes(TensorData a, TensorData b) =>
        a.Dimensions.Where(d => d != 1).SequenceEqual(b.Dimensions.Where(d => d != 1));

    private static bool EndsWith(string name, string end) => name.EndsWith($".{end}", StringComparison.Ordinal);

    private static string? Only(IEnumerable<string> names) => names.Take(2).ToArray() is [string one] ? one : null;

    private static string Text(TensorData data) => $"[{string.Join(',', data.Dimensions)}]";

    /// <summary>The first node that reads each name.</summary>
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
