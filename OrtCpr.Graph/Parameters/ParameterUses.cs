using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Parameters;

/// <summary>How the graph uses its initializers: the questions that the classifier asks.</summary>
internal sealed class ParameterUses
{
    private static readonly HashSet<string> Views = new(StringComparer.Ordinal)
        { "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Cast", "Transpose" };

    private static readonly HashSet<string> Pieces = new(StringComparer.Ordinal) { "Slice", "Gather", "Expand" };

    /// <summary>Operator → input that is a bias, or a gain.</summary>
    private static readonly Dictionary<string, int[]> BiasInputs = new(StringComparer.Ordinal)
    {
        ["Conv"] = [2],
        ["ConvTranspose"] = [2],
        ["Gemm"] = [2],
        ["LayerNormalization"] = [2],
        ["BatchNormalization"] = [2],
        ["InstanceNormalization"] = [2],
        ["GroupNormalization"] = [2],
        ["LSTM"] = [3],
        ["GRU"] = [3],
        ["RNN"] = [3],
        ["com.microsoft.BiasGelu"] = [1],
        ["com.microsoft.FastGelu"] = [1],
        ["com.microsoft.SkipLayerNormalization"] = [3, 4],
        ["com.microsoft.Attention"] = [2],
        ["com.microsoft.MultiHeadAttention"] = [3],
    };

    private static readonly Dictionary<string, int[]> GainInputs = new(StringComparer.Ordinal)
    {
        ["LayerNormalization"] = [1],
        ["BatchNormalization"] = [1],
        ["InstanceNormalization"] = [1],
        ["GroupNormalization"] = [1],
        ["RMSNormalization"] = [1],
        ["SimplifiedLayerNormalization"] = [1],
        ["com.microsoft.SimplifiedLayerNormalization"] = [1],
        ["com.microsoft.SkipLayerNormalization"] = [2],
        ["com.microsoft.SkipSimplifiedLayerNormalization"] = [2],
    };

    private readonly Dictionary<Value, List<Node>> _readers;
    private readonly Value _loss;

    /// <summary>Values that reach the loss around every Sin and Cos, and values that reach one of those.</summary>
    private readonly HashSet<Value> _direct;
    private readonly HashSet<Value> _trigonometric = [];

    public ParameterUses(OnnxGraph graph, Value loss)
    {
        _readers = graph.Readers();
        _loss = loss;
        _direct = [loss];
        for (int i = graph.Nodes.Count - 1; i >= 0; i--)
        {
            Node node = graph.Nodes[i];
            bool trigonometry = IsTrigonometry(node);
            if (!trigonometry && node.Outputs.Any(o => o is not null && _direct.Contains(o))) _direct.UnionWith(OnnxGraph.ReadBy(node));
            if (trigonometry || node.Outputs.Any(o => o is not null && _trigonometric.Contains(o)))
                _trigonometric.UnionWith(OnnxGraph.ReadBy(node));
        }
    }

    public bool IsRunningStatistic(Value p) => Readers(p).Count > 0
        && Uses(p).All(u => u.Node.Is("BatchNormalization") && (u.Node.In(3) == u.Through || u.Node.In(4) == u.Through));

    /// <summary>Only as an operand that sets an operator up: Resize, Clip bounds, Dropout ratio, Pow
    /// exponent.</summary>
    public bool OnlySettings(Value p) => Readers(p).Count > 0 && Readers(p).All(n =>
        (n.Is("Resize") && n.In(0) != p) || (n.Is("Clip") && n.In(0) != p) || (n.Is("Dropout") && n.In(0) != p)
        || (n.Is("Pow") && n.In(1) == p && n.In(0) != p));

    /// <summary>p reaches a Sin or Cos, and the loss in no other way; tables of rotary operators count
    /// likewise.</summary>
    public bool OnlyThroughTrigonometry(Value p)
    {
        List<Node> others = [.. Readers(p).Where(n => !IsTrigonometry(n) && !(n.OpType == "RotaryEmbedding" && n.In(0) != p))];
        if (p == _loss || others.Any(n => n.Outputs.Any(o => o is not null && _direct.Contains(o)))) return false;
        return others.Count < Readers(p).Count || others.Any(n => n.Outputs.Any(o => o is not null && _trigonometric.Contains(o)));
    }

    private static bool IsTrigonometry(Node node) => node.Is("Sin") || node.Is("Cos");

    public bool IsBias(Value p, out string reason)
    {
        reason = "";
        var uses = Uses(p).ToList();
        if (uses.Count == 0) return false;
        foreach ((Node node, Value through) in uses)
        {
            if (IsInput(BiasInputs, node, through))
            {
                reason = $"bias input of {node.OpType}";
                continue;
            }
            if (!node.Is("Add") && !node.Is("Sub")) return false;
            if (!LiesAlongChannel(through.Shape, node.Outputs[0]?.Shape)) return false;
            reason = $"added along one axis by {node.OpType}";
        }
        return true;
    }

    public bool IsGain(Value p, out string reason)
    {
        reason = "";
        var uses = Uses(p).ToList();
        if (uses.Count == 0) return false;
        foreach ((Node node, Value through) in uses)
        {
            if (IsInput(GainInputs, node, through))
            {
                reason = $"gain of {node.OpType}";
                continue;
            }
            if (!node.Is("Mul") || !LiesAlongChannel(through.Shape, node.Outputs[0]?.Shape)) return false;
            if (!IsNormalized(node.In(0) == through ? node.In(1) : node.In(0))) return false;
            reason = "gain of a normalisation written out";
        }
        return true;
    }

    /// <summary>Tables gathered by computed indices, then what is added to rows of such tables.</summary>
    public HashSet<Value> Embeddings(IReadOnlyList<Value> candidates)
    {
        var tables = new HashSet<Value>();
        var rows = new HashSet<Value>();
        foreach (Value p in candidates.Where(c => c.Shape!.Rank >= 2))
        {
            foreach ((Node node, Value through) in Uses(p))
            {
                if (!node.Is("Gather") || node.In(0) != through || node.In(1) is not { IsInitializer: false }) continue;
                tables.Add(p);
                rows.Add(node.Outputs[0]!);
            }
        }
        var derived = new Stack<Value>(rows);
        while (derived.TryPop(out Value? row))
        {
            foreach (Node node in Readers(row))
            {
                bool same = node.Is("Cast") || node.Is("Identity") || node.Is("Reshape") || node.Is("Add") || node.Is("Dropout");
                // A residual sum later in the network is no row of a table any more; sums of tables and positions come first.
                if (node.Is("Add") && !node.Inputs.All(i => i is null || rows.Contains(i) || Origin(i) is { IsInitializer: true }))
                    same = false;
                if (same && node.Outputs[0] is Value output && rows.Add(output)) derived.Push(output);
            }
        }
        foreach (Value p in candidates.Where(c => c.Shape!.Rank >= 2 && !tables.Contains(c)))
        {
            foreach ((Node node, Value _) in Uses(p, throughPieces: true))
            {
                if (node.Is("Add") && node.Inputs.Any(i => i is not null && rows.Contains(i))) tables.Add(p);
            }
        }
        return tables;
    }

    /// <summary>The initializer that a chain of views and pieces starts from.</summary>
    private static Value Origin(Value value)
    {
        while (value.Producer is Node node && (Views.Contains(node.OpType) || Pieces.Contains(node.OpType)) && node.In(0) is Value source)
            value = source;
        return value;
    }

    private List<Node> Readers(Value value) => _readers.GetValueOrDefault(value) ?? [];

    /// <summary>The nodes that use p, looking through views of it; <c>Through</c> is the view that they read.</summary>
    private IEnumerable<(Node Node, Value Through)> Uses(Value p, bool throughPieces = false)
    {
        var work = new Stack<Value>([p]);
        while (work.TryPop(out Value? value))
        {
            foreach (Node node in Readers(value))
            {
                bool view = node.Domain.Length == 0 && node.In(0) == value
                    && (Views.Contains(node.OpType) || (throughPieces && Pieces.Contains(node.OpType)));
                if (view && node.Outputs[0] is Value next) work.Push(next);
                else yield return (node, value);
            }
        }
    }

    private static bool IsInput(Dictionary<string, int[]> table, Node node, Value value) =>
        table.TryGetValue(node.QualifiedType, out int[]? inputs) && inputs.Any(i => node.In(i) == value);

    /// <summary>At most one dimension that is not 1, and that one is the last or the channel axis of the
    /// result.</summary>
    private static bool LiesAlongChannel(Shape? shape, Shape? result)
    {
        if (shape is null || shape.Count(d => d.Known != 1) > 1) return false;
        int axis = shape.ToList().FindIndex(d => d.Known != 1);
        if (axis < 0) return true;
        int fromEnd = shape.Rank - 1 - axis;
        return fromEnd == 0 || (result is not null && result.Rank - 1 - fromEnd == 1);
    }

    /// <summary>x · 1/√(mean x² …), by looking a few nodes back for a root and a mean before it.</summary>
    private static bool IsNormalized(Value? value)
    {
        return MadeBy(value, 4, n => n.OpType is "Sqrt" or "Reciprocal" or "Pow" or "Rsqrt") is Node root
            && MadeBy(root.In(0), 4, n => n.Is("ReduceMean")) is not null;
    }

    private static Node? MadeBy(Value? value, int depth, Func<Node, bool> wanted)
    {
        if (value?.Producer is not Node node || depth == 0) return null;
        if (wanted(node)) return node;
        return node.Inputs.Select(i => MadeBy(i, depth - 1, wanted)).FirstOrDefault(n => n is not null);
    }
}
