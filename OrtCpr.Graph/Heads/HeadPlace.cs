using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;

namespace OrtCpr.Graph.Heads;

/// <summary>Where a head goes.</summary>
/// <param name="Features">What it reads.</param>
/// <param name="Cut">What it stands in the place of: outputs that depend on this belong to the old head.</param>
/// <param name="Linear">The layer that it replaces; null where it replaces none.</param>
/// <param name="Output">The output that it is in the place of; null where it replaces no layer.</param>
/// <param name="Width">Inputs of the replaced layer by its weight; null where there is none, or it does not say.</param>
internal sealed record HeadPlace(Value Features, Value Cut, Node? Linear, Value? Output, long? Width)
{
    /// <summary>Nodes behind a last layer that are dropped with it.</summary>
    private static readonly string[] Ends =
        ["Softmax", "LogSoftmax", "Log", "Sigmoid", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Cast", "Dropout"];

    /// <summary>Means over height and width, which can stand behind a 1×1 convolution as well as in front of it.</summary>
    private static readonly string[] Averages = ["GlobalAveragePool", "ReduceMean"];

    private const int ListedNodes = 5, ListedLayers = 8;

    /// <summary>A convolution's kernel covers its input: all of it, channels × height × width, is one vector.</summary>
    public bool CoversInput { get; private init; }

    /// <summary>A convolution of 1 × 1 taps whose result keeps height and width: a value for each pixel.</summary>
    public bool IsPerPixel { get; private init; }

    /// <summary>Finds the place.</summary>
    /// <param name="graph">With shapes, in order.</param>
    /// <param name="at">An output, a node or a tensor; null for the first floating output.</param>
    /// <param name="append">No layer is looked for.</param>
    /// <param name="problems">Gets what is wrong; the result is null then.</param>
    public static HeadPlace? Find(OnnxGraph graph, string? at, bool append, List<string> problems)
    {
        HashSet<Value> moving = Moving(graph);
        Value? output = graph.Outputs.FirstOrDefault(o => at is null ? o.Type.IsFloating() : o.Name == at);
        if (output is not null)
        {
            if (!append && Behind(output, moving) is HeadPlace found) return found;
            if (append || at is not null || output.Shape?.Rank is 3 or 4) return new(output, output, null, null, null);
            problems.Add($"no linear layer (Gemm, MatMul, or a convolution that covers its input) ends at output '{output.Name}' "
                + $"{output.Shape?.ToString() ?? "of unknown rank"}, whose last nodes are {LastNodes(output)}. Name the output, a node "
                + "or a tensor that the head shall read");
            return null;
        }
        if (at is null)
        {
            string outputs = string.Join(", ", graph.Outputs.Select(o => $"'{o.Name}'"));
            problems.Add($"the model has no floating output; its outputs are {outputs}. Name the tensor that the head shall read");
            return null;
        }
        if (graph.Nodes.FirstOrDefault(n => n.Name == at) is { Outputs: [Value result, ..] } node)
        {
            if (append || Layer(node, result, moving) is not HeadPlace layer) return new(result, result, null, null, null);
            return layer with { Output = FirstBehind(graph, result) };
        }
        Value? tensor = graph.Nodes.SelectMany(n => n.Outputs).OfType<Value>().Concat(graph.Inputs).FirstOrDefault(v => v.Name == at);
        if (tensor is not null) return new(tensor, tensor, null, null, null);
        string[] tensors = [.. graph.Nodes.SelectMany(n => n.Outputs.OfType<Value>().Select(o => o.Name).Append(n.Name)).Distinct()];
        string[] layers = [.. graph.Nodes.Where(n => n.Outputs is [Value y, ..] && Layer(n, y, moving) is not null)
            .Select(n => $"'{(n.Name.Length > 0 ? n.Name : n.Outputs[0]!.Name)}'").Reverse().Take(ListedLayers)];
        problems.Add($"'{at}' is no output, node or tensor of the model.{NearNames.Text(at, tensors)} Its outputs: "
            + $"{string.Join(", ", graph.Outputs.Select(o => $"'{o.Name}'"))}; its last linear layers: "
            + $"{(layers.Length == 0 ? "none" : string.Join(", ", layers))}");
        return null;
    }

    /// <summary>Values that depend on a value.</summary>
    public static HashSet<Value> Dependent(OnnxGraph graph, Value value)
    {
        var dependent = new HashSet<Value> { value };
        foreach (Node node in graph.Nodes.Where(n => OnnxGraph.ReadBy(n).Any(dependent.Contains)))
            dependent.UnionWith(node.Outputs.OfType<Value>());
        return dependent;
    }

    /// <summary>Values that depend on an input of the model: what does not is a weight, however it is written.</summary>
    private static HashSet<Value> Moving(OnnxGraph graph)
    {
        HashSet<Value> moving = [.. graph.Inputs];
        foreach (Node node in graph.Nodes.Where(n => OnnxGraph.ReadBy(n).Any(moving.Contains)))
            moving.UnionWith(node.Outputs.OfType<Value>());
        return moving;
    }

    private static Value? FirstBehind(OnnxGraph graph, Value result)
    {
        HashSet<Value> dependent = Dependent(graph, result);
        return graph.Outputs.FirstOrDefault(dependent.Contains);
    }

    private static HeadPlace? Behind(Value output, HashSet<Value> moving)
    {
        bool averaged = false;
        for (Value value = output; value.Producer is Node node; value = node.Inputs[0]!)
        {
            if (Layer(node, value, moving) is HeadPlace layer)
            {
                // A mean of anything else than pixels may run over the classes.
                if (averaged && !layer.Linear!.Is("Conv")) return null;
                return Unflattened(layer with { Output = output, IsPerPixel = layer.IsPerPixel && !averaged });
            }
            if (node.Domain.Length > 0 || node.In(0) is not Value before || !moving.Contains(before)) return null;
            if (Averages.Contains(node.OpType)) averaged = true;
            else if (!Ends.Contains(node.OpType)) return null;
        }
        return null;
    }

    /// <summary>A layer that exporters write on [batch · tokens, width], between two Reshapes, reads what is in front of the
    /// first.</summary>
    private static HeadPlace Unflattened(HeadPlace layer)
    {
        if (layer.Output!.Shape?.Rank != 3 || layer.Features.Shape?.Rank != 2 || layer.Features.Producer is not Node reshape
            || !reshape.Is("Reshape") || reshape.Inputs[0] is not { Shape.Rank: 3 } tokens)
        {
            return layer;
        }
        return layer with { Features = tokens };
    }

    /// <summary>The linear layer that a node is, or whose bias it adds.</summary>
    private static HeadPlace? Layer(Node node, Value result, HashSet<Value> moving)
    {
        if (node.Is("Add"))
        {
            if (node.Inputs is not [Value a, Value b] || moving.Contains(a) == moving.Contains(b)) return null;
            (Value product, Value bias) = moving.Contains(a) ? (a, b) : (b, a);
            bool isVector = bias.Shape is Shape shape && shape.Count(d => d.Known != 1) <= 1;
            return isVector && product.Producer is Node inner && !inner.Is("Add") && Layer(inner, product, moving) is HeadPlace layer
                ? layer with { Cut = result } : null;
        }
        if (node.Inputs is not [Value x, Value weight, ..] || !moving.Contains(x) || moving.Contains(weight)) return null;
        if (node.Is("Conv")) return Convolution(node, x, weight);
        bool transposed = node.Is("Gemm") && node.Int("transB", 0) != 0;
        if (node.Is("Gemm") ? node.Int("transA", 0) != 0 : !node.Is("MatMul"))
        {
            return node.QualifiedType == "com.microsoft.MatMulNBits" ? new(x, result, node, null, node.Int("K", 0)) : null;
        }
        return weight.Shape is { Rank: 2 } dims ? new(x, result, node, null, dims[transposed ? 1 : 0].Known) : null;
    }

    private static HeadPlace? Convolution(Node node, Value x, Value weight)
    {
        if (weight.Shape is not { Rank: > 2 } w || w.Sizes is not long[] sizes || node.Int("group", 1) != 1) return null;
        long[] kernel = sizes[2..];
        bool padded = node.Ints("pads")?.Any(p => p != 0) == true
            || node.Text("auto_pad", "NOTSET").StartsWith("SAME", StringComparison.Ordinal);
        bool covers = !padded && x.Shape is Shape shape && shape.Rank == sizes.Length
            && kernel.Zip(shape.Skip(2), (k, d) => d.Known == k).All(equal => equal);
        HeadPlace place = new(x, node.Outputs[0]!, node, null, covers ? sizes.Skip(1).Aggregate((p, d) => p * d) : sizes[1])
        {
            CoversInput = covers,
            IsPerPixel = !covers,
        };
        return covers || (sizes.Length == 4 && kernel.All(k => k == 1)) ? place : null;
    }

    private static string LastNodes(Value output)
    {
        var nodes = new List<string>();
        for (Value? value = output; value?.Producer is Node node && nodes.Count < ListedNodes; value = node.In(0))
            nodes.Add($"{node.OpType} '{(node.Name.Length > 0 ? node.Name : value.Name)}'");
        return nodes.Count == 0 ? "none (it is an input)" : string.Join(", ", nodes);
    }
}
