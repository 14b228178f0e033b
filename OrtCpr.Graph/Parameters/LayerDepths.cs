using System.Globalization;
using System.Text.RegularExpressions;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Graph.Parameters;

/// <summary>In which layer each parameter is, counted from the head. Layers are told by patterns, else by the numbers in names
/// (<c>encoder.layer.3.…</c>), else by the order of the matrices in the graph.</summary>
internal sealed partial class LayerDepths
{
    private readonly Dictionary<string, (int Position, string Node)> _uses;
    private readonly ParameterInfo[] _inOrder;

    private LayerDepths(OnnxGraph graph, IReadOnlyList<ParameterInfo> trained)
    {
        _uses = UsesOf(graph);
        // A matrix before the bias that the same node reads.
        _inOrder = [.. trained.OrderBy(PositionOf).ThenBy(p => p.Role != ParameterRole.Weight)];
    }

    /// <summary>The number of layers between a parameter and the head, by name.</summary>
    /// <param name="graph">In order, with the loss or without.</param>
    /// <param name="trained">The parameters in question.</param>
    /// <param name="layers">Patterns for names of parameters or of the nodes that read them: a pattern is a layer, and where it has
    /// several *, each text that the first stands for. Empty for the model's own numbers.</param>
    /// <exception cref="OptionException">A pattern matches nothing.</exception>
    public static IReadOnlyDictionary<string, int> Of(OnnxGraph graph, IReadOnlyList<ParameterInfo> trained,
        IReadOnlyList<NamePattern> layers)
    {
        var depths = new LayerDepths(graph, trained);
        Func<ParameterInfo, string?> layerOf = layers.Count > 0 ? depths.ByPatterns(layers) : depths.ByNumbers() ?? depths.ByMatrices();
        return depths.FromTheHead(layerOf);
    }

    /// <summary>The parameters and the optimizer of a job whose learning rates fall with the depth: a group for each layer of each
    /// rule, from the head down.</summary>
    /// <param name="graph">In order, with the loss or without.</param>
    /// <param name="parameters">All of the model.</param>
    /// <param name="options">Has a <see cref="OptimizerOptions.LayerDecay"/>; what comes back has none.</param>
    /// <exception cref="OptionException">A pattern matches nothing.</exception>
    public static (ParameterTable Parameters, OptimizerOptions Options) Grouped(OnnxGraph graph, ParameterTable parameters,
        OptimizerOptions options)
    {
        LayerDecay decay = options.LayerDecay!;
        IReadOnlyDictionary<string, int> depths = Of(graph, parameters.Trained, decay.Layers);
        (int Depth, int Group)[] groups = [.. parameters.Trained.Select(p => (depths[p.Name], p.Group)).Distinct().Order()];
        ParameterInfo[] all = [.. parameters.All.Select(p => p.Trained
            ? p with { Group = Array.IndexOf(groups, (depths[p.Name], p.Group)) } : p)];
        return (new ParameterTable(all), options with
        {
            LayerDecay = null,
            Groups = [.. groups.Select(g => options.Groups[g.Group] with
            {
                LearningRate = options.Groups[g.Group].LearningRate * Math.Pow(decay.Factor, g.Depth),
            })],
        });
    }

    /// <summary>What stands in no layer is below the first, above the last, or where what is computed before it is.</summary>
    private Dictionary<string, int> FromTheHead(Func<ParameterInfo, string?> layerOf)
    {
        var order = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (string layer in _inOrder.Select(layerOf).OfType<string>()) order.TryAdd(layer, order.Count + 1);
        int last = Array.FindLastIndex(_inOrder, p => layerOf(p) is not null), at = 0;
        var height = new Dictionary<string, int>(StringComparer.Ordinal);
        for (int i = 0; i < _inOrder.Length; i++)
        {
            if (layerOf(_inOrder[i]) is string layer) at = order[layer];
            height[_inOrder[i].Name] = i > last ? order.Count + 1 : at;
        }
        int top = height.Values.Max();
        return height.ToDictionary(h => h.Key, h => top - h.Value, StringComparer.Ordinal);
    }

    private Func<ParameterInfo, string?> ByPatterns(IReadOnlyList<NamePattern> layers)
    {
        string? LayerOf(ParameterInfo parameter)
        {
            for (int i = 0; i < layers.Count; i++)
            {
                if ((layers[i].Captured(parameter.Name) ?? layers[i].Captured(NodeOf(parameter))) is string part)
                    return $"{i.ToString(CultureInfo.InvariantCulture)} {part}";
            }
            return null;
        }

        string[] idle = [.. layers.Where(l => !_inOrder.Any(p => l.Matches(p.Name) || l.Matches(NodeOf(p)))).Select(l => $"'{l}'")];
        if (idle.Length > 0)
        {
            throw new OptionException($"LayerDecay.Layers: {string.Join(", ", idle)} match neither a trained parameter nor a node that "
                + $"reads one. Parameters: {string.Join(", ", _inOrder.Take(8).Select(p => p.Name))}; nodes: "
                + $"{string.Join(", ", _inOrder.Take(8).Select(NodeOf).Where(n => n.Length > 0))}.");
        }
        return LayerOf;
    }

    /// <summary>By the first number in a name that has others beside it; null where there are none.</summary>
    private Func<ParameterInfo, string?>? ByNumbers()
    {
        Dictionary<string, (string Prefix, string Number)[]> scopes = _inOrder.ToDictionary(p => p.Name, ScopesOf, StringComparer.Ordinal);
        HashSet<string> numbered = [.. scopes.Values.SelectMany(s => s).GroupBy(s => s.Prefix, StringComparer.Ordinal)
            .Where(g => g.Select(s => s.Number).Distinct(StringComparer.Ordinal).Count() > 1).Select(g => g.Key)];
        if (numbered.Count == 0) return null;
        return parameter => scopes[parameter.Name].Where(s => numbered.Contains(s.Prefix)).Select(s => s.Prefix + s.Number)
            .FirstOrDefault();
    }

    /// <summary>With each matrix goes what stands behind it.</summary>
    private Func<ParameterInfo, string?> ByMatrices()
    {
        var layers = new Dictionary<string, string>(StringComparer.Ordinal);
        string? at = null;
        foreach (ParameterInfo parameter in _inOrder)
        {
            if (parameter.Role == ParameterRole.Weight) at = parameter.Name;
            if (at is not null) layers[parameter.Name] = at;
        }
        return parameter => layers.GetValueOrDefault(parameter.Name);
    }

    /// <summary>Names that an exporter made up tell nothing; the node's name has the module's then.</summary>
    private (string Prefix, string Number)[] ScopesOf(ParameterInfo parameter)
    {
        string[] names = ExporterNames.IsConstant(parameter.Name) ? [NodeOf(parameter)] : [parameter.Name, NodeOf(parameter)];
        return [.. names.SelectMany(n => Numbered().Matches(n).Select(m => (n[..m.Index], m.Value)))];
    }

    private int PositionOf(ParameterInfo parameter) => _uses.TryGetValue(parameter.Name, out (int Position, string Node) use)
        ? use.Position : int.MaxValue;

    private string NodeOf(ParameterInfo parameter) => _uses.TryGetValue(parameter.Name, out (int Position, string Node) use)
        ? use.Node : "";

    /// <summary>Where each initializer first meets what depends on the batch, through nodes that only change its form.</summary>
    private static Dictionary<string, (int Position, string Node)> UsesOf(OnnxGraph graph)
    {
        var dependent = new HashSet<Value>(graph.Inputs);
        foreach (Node node in graph.Nodes.Where(n => OnnxGraph.ReadBy(n).Any(dependent.Contains)))
            dependent.UnionWith(node.Outputs.OfType<Value>());
        var uses = new Dictionary<Value, (int Position, string Node)>();
        for (int i = graph.Nodes.Count - 1; i >= 0; i--)
        {
            Node node = graph.Nodes[i];
            (int Position, string Node)[] places = node.Outputs.Any(o => o is not null && dependent.Contains(o)) ? [(i, node.Name)]
                : [.. node.Outputs.OfType<Value>().Where(uses.ContainsKey).Select(o => uses[o])];
            if (places.Length == 0) continue;
            foreach (Value read in OnnxGraph.ReadBy(node))
            {
                (int Position, string Node) first = places.MinBy(p => p.Position);
                if (!uses.TryGetValue(read, out (int Position, string Node) known) || first.Position < known.Position) uses[read] = first;
            }
        }
        return uses.Where(u => u.Key.Producer is null).DistinctBy(u => u.Key.Name)
            .ToDictionary(u => u.Key.Name, u => u.Value, StringComparer.Ordinal);
    }

    // Behind a letter or at a segment's start, and up to its end: layer.3.weight, layer3/conv, stage1_conv0, but not 1x1.
    [GeneratedRegex(@"\d+(?=$|[._/:\-])", RegexOptions.CultureInvariant)]
    private static partial Regex Numbered();
}
