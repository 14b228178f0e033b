using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Parameters;

/// <summary>How the graph uses its initializers, in bodies too: the questions that the classifier asks.</summary>
internal sealed class ParameterUses
{
    /// <summary>What gives rows of a table or copies of them.</summary>
    private static readonly string[] Pieces = ["Slice", "Gather", "Expand"];

    /// <summary>What takes a vector apart: one bias for queries, keys and values.</summary>
    private static readonly string[] Parts = ["Slice", "Split"];

    private readonly Dictionary<Value, List<Node>> _readers = [];

    /// <summary>Inputs of the bodies of Loop and Scan, by the value that is their first or the scanned one.</summary>
    private readonly Dictionary<Value, List<Value>> _intoBodies = [];

    /// <summary>What depends on tensors of the file that may be parameters.</summary>
    private readonly HashSet<Value> _dependent;

    private readonly HashSet<Value> _inputs;
    private readonly Value _loss;

    /// <summary>Values that reach the loss around every Sin and Cos, and values that reach one of those.</summary>
    private readonly HashSet<Value> _direct;
    private readonly HashSet<Value> _trigonometric = [];

    public ParameterUses(OnnxGraph graph, Value loss)
    {
        AddReaders(graph);
        _dependent = [.. graph.Initializers.Where(i => i.Type.IsFloating() && i.Place is not null && i.Data!.ElementCount > 1)];
        AddDependent(graph);
        _inputs = [.. graph.Inputs];
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

    private void AddReaders(OnnxGraph graph)
    {
        foreach (Node node in graph.Nodes)
        {
            foreach (Value input in node.Inputs.OfType<Value>().Distinct()) Listed(_readers, input).Add(node);
            foreach (OnnxGraph body in node.Subgraphs) AddReaders(body);
            if (!node.Is("Loop") && !node.Is("Scan")) continue;
            OnnxGraph iterated = node.Subgraphs.First();
            for (int i = 0; i < Math.Min(iterated.Inputs.Count, node.Inputs.Count); i++)
            {
                if (node.Inputs[i] is Value outer) Listed(_intoBodies, outer).Add(iterated.Inputs[i]);
            }
        }
    }

    private void AddDependent(OnnxGraph graph)
    {
        foreach (Node node in graph.Nodes)
        {
            foreach (OnnxGraph body in node.Subgraphs) AddDependent(body);
            if (OnnxGraph.ReadBy(node).Any(_dependent.Contains)) _dependent.UnionWith(node.Outputs.OfType<Value>());
        }
    }

    private static List<T> Listed<T>(Dictionary<Value, List<T>> lists, Value key)
    {
        if (!lists.TryGetValue(key, out List<T>? list)) lists[key] = list = [];
        return list;
    }

    public bool IsRunningStatistic(Value p) => All(p, OperandRole.Statistic);

    /// <summary>Only as an operand that sets an operator up.</summary>
    public bool OnlySettings(Value p) => All(p, OperandRole.Setting);

    private bool All(Value p, OperandRole role)
    {
        (Node Node, Value Through)[] uses = [.. Uses(p)];
        return uses.Length > 0 && uses.All(u => OperandRoles.Of(u.Node, u.Through) == role);
    }

    /// <summary>p reaches a Sin or Cos, and the loss in no other way; tables of rotary operators count
    /// likewise.</summary>
    public bool OnlyThroughTrigonometry(Value p)
    {
        List<Node> others = [.. Readers(p).Where(n => !IsTrigonometry(n) && !(n.OpType == "RotaryEmbedding" && n.In(0) != p))];
        if (p == _loss || others.Any(n => n.Outputs.Any(o => o is not null && _direct.Contains(o)))) return false;
        return others.Count < Readers(p).Count || others.Any(n => n.Outputs.Any(o => o is not null && _trigonometric.Contains(o)));
    }

    private static bool IsTrigonometry(Node node) => node.Is("Sin") || node.Is("Cos");

    /// <summary>A constant of the program that stands where a parameter would: a product's matrix, a bias, a gain, a
    /// table. What a loop begins with is a state, not a parameter.</summary>
    public bool StandsAsParameter(Value p)
    {
        foreach ((Node node, Value through) in Uses(p, intoBodies: false))
        {
            switch (OperandRoles.Of(node, through))
            {
                // A product of two constants, or the indices' own arithmetic, is nobody's layer.
                case OperandRole.Weight when node.Inputs.Any(i => i is not null && i != through && !IsConstant(i)):
                case OperandRole.Bias or OperandRole.Gain:
                    return true;
                case OperandRole.Table when p.Shape!.Rank >= 2 && node.In(1) is Value indices && !IsConstant(indices):
                    return true;
            }
            if (IsAdded(node) || node.Is("Mul"))
            {
                // What is done to an input of the model itself is preparation of the data: a mean taken off, a scale.
                Value? other = node.In(0) == through ? node.In(1) : node.In(0);
                if (other is not null && LiesAlongChannel(through.Shape, node.Outputs[0]?.Shape ?? other.Shape)
                    && !_inputs.Contains(Source(other)) && !IsConstant(other))
                {
                    return true;
                }
            }
        }
        return false;
    }

    /// <summary>A scalar that multiplies, or is added to, what depends on parameters: one on an input of the model is
    /// preparation of the data.</summary>
    public bool ScalesOrShifts(Value p)
    {
        foreach ((Node node, Value through) in Uses(p))
        {
            if (!IsAdded(node) && !node.Is("Mul") && !(node.Is("Div") && node.In(1) == through)) continue;
            Value? other = node.In(0) == through ? node.In(1) : node.In(0);
            if (other is not null && _dependent.Contains(other) && !IsEpsilon(p, node)) return true;
        }
        return false;
    }

    /// <summary>The small number under the root, or in the denominator, of a normalisation written out.</summary>
    private bool IsEpsilon(Value p, Node sum) => sum.Is("Add") && p.Data is { } data && Math.Abs(data.ToDoubles()[0]) <= 1e-3
        && sum.Outputs[0] is Value output && Readers(output).Any(n => n.Is("Sqrt") || n.Is("Pow") || n.Is("Reciprocal") || n.Is("Log")
            || (n.Is("Div") && n.In(1) == output));

    public bool IsBias(Value p, out string reason)
    {
        reason = "";
        var uses = Uses(p, Parts).ToList();
        if (uses.Count == 0) return false;
        foreach ((Node node, Value through) in uses)
        {
            if (OperandRoles.Of(node, through) == OperandRole.Bias)
            {
                reason = $"bias input of {node.OpType}";
                continue;
            }
            if (!IsAdded(node)) return false;
            if (!LiesAlongChannel(through.Shape, node.Outputs[0]?.Shape)) return false;
            reason = $"added along one axis by {node.OpType}";
        }
        return true;
    }

    public bool IsGain(Value p, out string reason)
    {
        reason = "";
        var uses = Uses(p, Parts).ToList();
        if (uses.Count == 0) return false;
        foreach ((Node node, Value through) in uses)
        {
            if (OperandRoles.Of(node, through) == OperandRole.Gain)
            {
                reason = node.Is("PRelu") ? "slope of PRelu" : $"gain of {node.OpType}";
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
                if (OperandRoles.Of(node, through) != OperandRole.Table) continue;
                if (node.Is("Gather") && node.In(1) is not { IsInitializer: false }) continue;
                tables.Add(p);
                if (node.Is("Gather")) rows.Add(node.Outputs[0]!);
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
            foreach ((Node node, Value _) in Uses(p, Pieces))
            {
                if (node.Is("Add") && node.Inputs.Any(i => i is not null && rows.Contains(i))) tables.Add(p);
            }
        }
        return tables;
    }

    /// <summary>Quantized and back, a tensor stands for the same numbers.</summary>
    private static bool IsView(Node node) => node.Has(Trait.Carries) || node.Is("QuantizeLinear") || node.Is("DequantizeLinear");

    private static bool IsAdded(Node node) => node.Is("Add") || node.Is("Sub") || (node.Is("Sum") && node.Inputs.Count == 2);

    /// <summary>The initializer that a chain of views and pieces starts from.</summary>
    private static Value Origin(Value value)
    {
        while (value.Producer is Node node && (IsView(node) || Pieces.Contains(node.OpType)) && node.In(0) is Value source)
            value = source;
        return value;
    }

    /// <summary>What a chain of views starts from.</summary>
    private static Value Source(Value value)
    {
        while (value.Producer is Node node && IsView(node) && node.In(0) is Value source) value = source;
        return value;
    }

    private static bool IsConstant(Value value) => Source(value).IsInitializer && Source(value).Place is null or { IsConstant: true };

    private List<Node> Readers(Value value) => _readers.GetValueOrDefault(value) ?? [];

    /// <summary>The nodes that use p, looking through views of it, through the operators of the given names, and into
    /// the bodies that iterate over it; <c>Through</c> is the view that they read.</summary>
    private IEnumerable<(Node Node, Value Through)> Uses(Value p, string[]? through = null, bool intoBodies = true)
    {
        var seen = new HashSet<Value> { p };
        var work = new Stack<Value>([p]);
        while (work.TryPop(out Value? value))
        {
            foreach (Value inner in intoBodies ? _intoBodies.GetValueOrDefault(value) ?? [] : [])
            {
                if (seen.Add(inner)) work.Push(inner);
            }
            foreach (Node node in Readers(value))
            {
                if (node.Is("Loop") || node.Is("Scan")) continue;
                bool view = node.In(0) == value
                    && (IsView(node) || (node.Domain.Length == 0 && through?.Contains(node.OpType) == true));
                if (!view) yield return (node, value);
                foreach (Value next in view ? node.Outputs.OfType<Value>().Where(seen.Add) : []) work.Push(next);
            }
        }
    }

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

    /// <summary>What a normalisation operator gives, or x · 1/√(mean x² …), by looking a few nodes back for a root and a
    /// mean before it.</summary>
    private static bool IsNormalized(Value? value)
    {
        if (value is not null && Source(value).Producer is Node made && made.Has(Trait.Normalises)) return true;
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
