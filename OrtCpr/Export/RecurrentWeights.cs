using System.Text.RegularExpressions;
using OrtCpr.Graph;
using OrtCpr.Graph.Onnx.Proto;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Export;

/// <summary>Puts the weights of LSTM, GRU and RNN nodes together from a PyTorch layer's: directions stacked, both
/// biases in one row, gates reordered (LSTM i,f,g,o → i,o,f,c; GRU r,z,n → z,r,h).</summary>
internal sealed partial class RecurrentWeights(GraphProto graph, IReadOnlyDictionary<string, TensorData> initializers,
    IReadOnlyDictionary<string, TensorData> weights)
{
    private static readonly Dictionary<string, int[]> GateOrder = new(StringComparer.Ordinal)
    { ["LSTM"] = [0, 3, 1, 2], ["GRU"] = [1, 0, 2], ["RNN"] = [0] };

    public sealed record Match(string Initializer, IReadOnlyList<string> Sources, TensorData Value);

    /// <summary>A layer of a module, as the state dict names it: prefix lstm., number 0.</summary>
    private sealed record Layer(string Prefix, int Number)
    {
        public string Name(string kind, int direction) => $"{Prefix}{kind}_l{Number}{(direction == 0 ? "" : "_reverse")}";
    }

    private sealed record Place(NodeProto Node, int Index, int[] Order, int Directions);

    public List<Match> Find(IReadOnlySet<string> open, IReadOnlySet<string> unused, List<string> problems)
    {
        List<Layer> free = [.. unused.Select(n => LayerName().Match(n)).Where(m => m.Success)
            .Select(m => new Layer(m.Groups[1].Value, int.Parse(m.Groups[2].Value, null)))];
        var found = new List<Match>();
        List<Place> places = [.. Places().Where(p => open.Contains(p.Node.Input[1]) && open.Contains(p.Node.Input[2]))];
        foreach (Func<Place, Layer, bool> fits in new Func<Place, Layer, bool>[] { IsNamed, HoldsNumbers, (_, _) => true })
        {
            foreach (Place place in places.ToList())
            {
                Layer[] candidates = [.. free.Where(l => Parts(place, l) is not null && fits(place, l))];
                // By shape alone, a place must be the only one for its layer as well.
                if (candidates is not [Layer layer] || places.Count(p => Parts(p, layer) is not null && fits(p, layer)) != 1) continue;
                if (place.Node.OpType == "GRU" && place.Node.Attribute.FirstOrDefault(a => a.Name == "linear_before_reset")?.I != 1)
                {
                    problems.Add(
                        $"node '{place.Node.Name}' (GRU) has linear_before_reset = 0, a recurrence that PyTorch's GRU "
                        + $"('{layer.Prefix}weight_ih_l{layer.Number}') does not have; export it again");
                }
                found.AddRange(Values(place, layer));
                places.Remove(place);
                free.Remove(layer);
            }
        }
        return found;
    }

    private IEnumerable<Place> Places()
    {
        var counts = new Dictionary<(string, string?), int>();
        foreach (NodeProto node in graph.Node)
        {
            if (node.Domain.Length > 0 || !GateOrder.TryGetValue(node.OpType, out int[]? order) || node.Input.Count < 3) continue;
            int index = counts[(node.OpType, NodeModule.Of(node))] = counts.GetValueOrDefault((node.OpType, NodeModule.Of(node)), -1) + 1;
            if (!node.Input.Skip(1).Take(2).All(initializers.ContainsKey) || initializers[node.Input[1]].Dimensions.Count != 3) continue;
            yield return new Place(node, index, order, (int)initializers[node.Input[1]].Dimensions[0]);
        }
    }

    /// <summary>The layers of a module are its nodes in their order.</summary>
    private static bool IsNamed(Place place, Layer layer) => place.Index == layer.Number && NodeModule.Of(place.Node) is string module
        && ($"{module}." == layer.Prefix || layer.Prefix.EndsWith($".{module}.", StringComparison.Ordinal)
            || (layer.Prefix.Length > 0 && module.EndsWith($".{layer.Prefix}"[..^1], StringComparison.Ordinal)));

    private bool HoldsNumbers(Place place, Layer layer) =>
        Values(place, layer)
        .All(m => TensorTwins.Compare(m.Value.ConvertTo(initializers[m.Initializer].Type), initializers[m.Initializer]) == TwinKind.Equal);

    /// <summary>The tensors that make W, R and B up; null where the layer's have other shapes.</summary>
    private List<(string Initializer, string[] Names)>? Parts(Place place, Layer layer)
    {
        if (weights.ContainsKey(layer.Name("weight_ih", 1)) != place.Directions > 1) return null;
        var found = new List<(string, string[])>();
        foreach ((int input, string[] kinds) in new[] { (1, new[] { "weight_ih" }), (2, ["weight_hh"]), (3, ["bias_ih", "bias_hh"]) })
        {
            if (input >= place.Node.Input.Count || !initializers.TryGetValue(place.Node.Input[input], out TensorData? like)) continue;
            string[] names = [.. Enumerable.Range(0, place.Directions).SelectMany(d => kinds.Select(k => layer.Name(k, d)))];
            // A layer without biases leaves the node's as they are.
            if (input == 3 && !names.Any(weights.ContainsKey)) continue;
            if (!names.All(weights.ContainsKey)) return null;
            TensorData[] parts = [.. names.Select(n => weights[n])];
            if (parts.Any(p =>
                p.Type != parts[0].Type || p.Dimensions.Count != (input == 3 ? 1 : 2) || p.Dimensions[0] % place.Order.Length != 0))
            {
                return null;
            }
            if (input != 3 && parts.Any(p => !p.Dimensions.SequenceEqual(like.Dimensions.Skip(1)))) return null;
            if (parts.Sum(p => p.ElementCount) != like.ElementCount) return null;
            found.Add((place.Node.Input[input], names));
        }
        return found;
    }

    /// <summary>What W, R and B become, of tensors that fit.</summary>
    private IEnumerable<Match> Values(Place place, Layer layer) => Parts(place, layer)!.Select(p =>
    {
        TensorData[] parts = [.. p.Names.Select(n => weights[n])];
        byte[] bytes = new byte[parts.Sum(t => t.Bytes.Length)];
        int at = 0;
        foreach (TensorData part in parts)
        {
            int gate = part.Bytes.Length / place.Order.Length;
            foreach (int g in place.Order)
            {
                part.Bytes.Span.Slice(g * gate, gate).CopyTo(bytes.AsSpan(at));
                at += gate;
            }
        }
        return new Match(p.Initializer, p.Names, TensorData.Create(parts[0].Type, initializers[p.Initializer].Dimensions, bytes));
    });

    [GeneratedRegex(@"^(|.*\.)weight_ih_l(\d+)$")]
    private static partial Regex LayerName();
}
