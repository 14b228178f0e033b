using System.Text;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Reverse-mode differentiation of a graph. Knows no operator: it owns what the rules share. It visits only
/// nodes on a path from a source to a seed, adds up fan-out, sums broadcast gradients back to their source's shape and
/// checks what a rule returns.</summary>
internal sealed class BackwardPass
{
    private readonly IReadOnlyList<Node> _nodes;
    private readonly GraphBuilder _builder;
    private readonly GradientRules _rules;
    private readonly Dictionary<Value, List<Value>> _pending = [];

    public BackwardPass(OnnxGraph graph, GraphBuilder builder, GradientRules rules) : this(graph.Nodes, builder, rules)
    {
    }

    /// <summary>nodes: in graph order; what lies outside them is constant.</summary>
    public BackwardPass(IReadOnlyList<Node> nodes, GraphBuilder builder, GradientRules rules)
    {
        _nodes = nodes;
        _builder = builder;
        _rules = rules;
    }

    /// <summary>seeds: value → ∂L/∂value. sources: what to differentiate with respect to. Sources without a path to a
    /// seed are absent from the result.</summary>
    public IReadOnlyDictionary<Value, Value> Run(IReadOnlyDictionary<Value, Value> seeds, IReadOnlySet<Value> sources)
    {
        List<Node> path = NodesBetween(sources, seeds.Keys, out HashSet<Value> active);
        // What a decomposition writes may be decomposed in turn.
        while (Decompose(path)) path = NodesBetween(sources, seeds.Keys, out active);
        RefuseMissingRules(path, sources);
        ForwardNodes = _builder.Graph.Nodes.Count;
        foreach ((Value value, Value seed) in seeds)
        {
            if (active.Contains(value)) Add(value, seed);
        }
        path.Reverse();
        foreach (Node node in path) Differentiate(node, active);
        var result = new Dictionary<Value, Value>();
        foreach (Value source in sources)
        {
            if (Total(source) is Value gradient) result[source] = gradient;
        }
        _builder.Scope = "";
        return result;
    }

    /// <summary>How many of the graph's nodes, in front, are the forward graph as it was differentiated.</summary>
    public int ForwardNodes { get; private set; }

    /// <summary>∂L/∂value of the values whose producers have been visited, after a run.</summary>
    public IReadOnlyDictionary<Value, Value> Totals => _pending.Where(p => p.Value.Count == 1).ToDictionary(p => p.Key, p => p.Value[0]);

    /// <summary>Writes composite operators on the path in operators that have rules. False when there was none, and where
    /// only a part of the graph is differentiated: its nodes are no list that pieces can be put into.</summary>
    private bool Decompose(List<Node> path) => ReferenceEquals(_nodes, _builder.Graph.Nodes)
        && Decompositions.Run(_builder.Graph, _builder.Known, path.Where(n => _rules.Find(n) is null));

    private void Differentiate(Node node, HashSet<Value> active)
    {
        var gradients = new Value?[node.Outputs.Count];
        bool any = false;
        for (int i = 0; i < gradients.Length; i++)
        {
            if (node.Outputs[i] is not Value output || !active.Contains(output)) continue;
            gradients[i] = Total(output);
            any |= gradients[i] is not null;
        }
        if (!any) return;
        Value? named = node.Inputs.FirstOrDefault(i => i is not null && active.Contains(i));
        _builder.Scope = $"{named?.Name ?? node.Name}_grad";
        Value dy = gradients[0] ?? _builder.Filled(0, node.Outputs[0]!);
        var forward = new Forward(node, _builder, gradients) { Rules = _rules, Active = active };
        Value?[] results = Apply(node, forward, dy), inputs = [.. node.Inputs, .. forward.Captured];
        if (results.Skip(inputs.Length).Any(r => r is not null))
        {
            throw new UnsupportedGradientException(
                $"The gradient rule of node {node.Label} returned {results.Length} gradients; expected at most {inputs.Length}, "
                + "one for each input and then one for each outer value that the bodies read. Give null for what has no derivative.");
        }
        for (int i = 0; i < Math.Min(results.Length, inputs.Length); i++)
        {
            if (results[i] is not Value gradient || inputs[i] is not Value input || !active.Contains(input)) continue;
            _builder.Scope = $"{input.Name}_grad";
            Add(input, QuantizationRules.IsQuantized(input) ? gradient : _builder.SumTo(gradient, input));
        }
    }

    private Value?[] Apply(Node node, Forward forward, Value dy)
    {
        int first = _builder.Emitted.Count;
        try
        {
            Value?[] results = _rules.Find(node)!(_builder, forward, _builder.Term(dy));
            if (_rules.IsOwn(node)) RefuseForeignValues(node, first, results);
            return results;
        }
        catch (Exception error) when (error is IndexOutOfRangeException or ArgumentException)
        {
            // A rule may rely on the ranks that the operator demands; shapes written into the file can contradict them.
            throw new UnsupportedGradientException(
                $"The shapes around node {node.Label} contradict its operator (inputs "
                + $"{string.Join(", ", node.Inputs.Select(i => i?.ToString() ?? "none"))}; "
                + $"outputs {string.Join(", ", node.Outputs.Select(o => o?.ToString() ?? "none"))}): "
                + $"{error.Message} Check the value_info of the model with onnx.checker, or export it again.");
        }
    }

    /// <summary>What a user's rule wrote and returned may only read values of this graph.</summary>
    private void RefuseForeignValues(Node node, int first, Value?[] results)
    {
        OnnxGraph graph = _builder.Graph;
        List<Node> before = _builder.Emitted[..first];
        // A body also reads values of the graphs around it.
        IEnumerable<Value> known = [.. graph.Inputs, .. graph.Initializers, .. before.SelectMany(OnnxGraph.ReadBy),
            .. node.Outputs.OfType<Value>(), .. before.SelectMany(n => n.Outputs).OfType<Value>(), .. _pending.Values.SelectMany(v => v)];
        Value[] foreign = OnnxGraph.Foreign(known, _builder.Emitted.Skip(first), results.OfType<Value>());
        if (foreign.Length == 0) return;
        throw new UnsupportedGradientException(
            $"The gradient rule of node {node.Label} uses {string.Join(", ", foreign.Select(v => $"'{v.Name}'"))}, "
            + "which the graph does not have. A rule may use the inputs and outputs of its operator, dy, and what it writes with g.");
    }

    private void Add(Value value, Value gradient)
    {
        if (!_pending.TryGetValue(value, out List<Value>? parts)) _pending[value] = parts = [];
        parts.Add(gradient);
    }

    private Value? Total(Value value)
    {
        if (!_pending.TryGetValue(value, out List<Value>? parts)) return null;
        if (parts.Count > 1)
        {
            _builder.Scope = $"{value.Name}_grad";
            Value sum = parts.Count == 2 ? _builder.Add(parts[0], parts[1]) : _builder.Op("Sum", [.. parts]);
            GraphBuilder.Typed(sum, parts[0].Type, value.Shape);
            parts.Clear();
            parts.Add(sum);
        }
        return parts[0];
    }

    /// <summary>Nodes through which a gradient can flow, in graph order, and the values on those ways.</summary>
    private List<Node> NodesBetween(IReadOnlySet<Value> sources, IEnumerable<Value> seeds, out HashSet<Value> active)
    {
        var fromSources = new HashSet<Value>(sources);
        var candidates = new List<Node>();
        foreach (Node node in _nodes)
        {
            if (_rules.IsConstant(node)) continue;
            if (!OnnxGraph.ReadBy(node).Any(v => fromSources.Contains(v) && MayCarryGradient(v))) continue;
            candidates.Add(node);
            foreach (Value? output in node.Outputs)
            {
                if (output is not null && MayCarryGradient(output)) fromSources.Add(output);
            }
        }
        var toSeeds = new HashSet<Value>(seeds);
        var path = new List<Node>();
        for (int i = candidates.Count - 1; i >= 0; i--)
        {
            Node node = candidates[i];
            if (!node.Outputs.Any(o => o is not null && toSeeds.Contains(o) && MayCarryGradient(o))) continue;
            path.Add(node);
            foreach (Value read in OnnxGraph.ReadBy(node)) toSeeds.Add(read);
        }
        path.Reverse();
        fromSources.IntersectWith(toSeeds);
        active = fromSources;
        return path;
    }

    /// <summary>Undefined covers sequences and values whose type inference gave up on.</summary>
    public static bool MayCarryGradient(Value value) =>
        value.Type.IsFloating() || value.Type == ElementType.Undefined || QuantizationRules.IsQuantized(value);

    private void RefuseMissingRules(List<Node> path, IReadOnlySet<Value> sources)
    {
        var missing = path.Where(n => _rules.Find(n) is null).ToList();
        if (missing.Count == 0) return;
        var text = new StringBuilder($"{missing.Count} node(s) on the way from trained parameters to the loss have no gradient rule:\n");
        foreach (IGrouping<string, Node> group in missing.GroupBy(n => n.QualifiedType))
        {
            foreach (Node node in group)
                text.Append("  ").Append(node.Label).Append(" blocks ").AppendJoin(", ", Blocked(node, sources)).Append('\n');
            if (WaysOut.Of(group.First()) is string way) text.Append("    ").Append(way).Append('\n');
        }
        text.Append(
            "Ways out: freeze the parameters named above; register a rule with GradientRules.Register; "
            + "or cut the graph, making an output in front of the node the loss.");
        throw new UnsupportedGradientException(text.ToString());
    }

    /// <summary>The sources from which a node can be reached, at most three by name.</summary>
    private static IEnumerable<string> Blocked(Node node, IReadOnlySet<Value> sources)
    {
        var seen = new HashSet<Value>();
        var found = new List<string>();
        var work = new Stack<Value>(OnnxGraph.ReadBy(node));
        while (work.TryPop(out Value? value))
        {
            if (!seen.Add(value)) continue;
            if (sources.Contains(value)) found.Add($"'{value.Name}'");
            if (value.Producer is Node producer)
            {
                foreach (Value read in OnnxGraph.ReadBy(producer)) work.Push(read);
            }
        }
        found.Sort(StringComparer.Ordinal);
        return found.Count <= 3 ? found : [.. found.Take(3), $"and {found.Count - 3} more"];
    }
}
