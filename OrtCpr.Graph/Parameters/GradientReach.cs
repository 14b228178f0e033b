using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Parameters;

/// <summary>From which values a gradient can flow to the loss, by the rules; and where it stops.</summary>
internal sealed class GradientReach
{
    private readonly GradientRules _rules;
    private readonly Dictionary<Value, List<Node>> _readers;

    /// <summary>A gradient gets there.</summary>
    private readonly HashSet<Value> _reached;

    /// <summary>The loss depends on them, with a gradient or without.</summary>
    private readonly HashSet<Value> _used;

    public GradientReach(OnnxGraph graph, Value loss, GradientRules rules)
    {
        _rules = rules;
        _readers = graph.Readers();
        _reached = [loss];
        _used = [loss];
        for (int i = graph.Nodes.Count - 1; i >= 0; i--)
        {
            Node node = graph.Nodes[i];
            if (node.Outputs.Any(o => o is not null && _used.Contains(o))) _used.UnionWith(OnnxGraph.ReadBy(node));
            if (rules.IsConstant(node) || !node.Outputs.Any(o => o is not null && _reached.Contains(o))) continue;
            _reached.UnionWith(OnnxGraph.ReadBy(node).Where(BackwardPass.MayCarryGradient));
        }
    }

    public bool Reaches(Value value) => _reached.Contains(value);

    /// <summary>The nodes that end every way from a value to the loss.</summary>
    public string WhyNot(Value value)
    {
        if (!_used.Contains(value)) return NoPath;
        var ends = new List<string>();
        var seen = new HashSet<Value> { value };
        var work = new Queue<Value>([value]);
        while (work.TryDequeue(out Value? from) && ends.Count < 3)
        {
            foreach (Node node in _readers.GetValueOrDefault(from) ?? [])
            {
                Value[] on = [.. node.Outputs.OfType<Value>().Where(_used.Contains)];
                if (on.Length == 0) continue;
                if (_rules.IsConstant(node) || !on.Any(BackwardPass.MayCarryGradient))
                {
                    ends.Add(node.Label);
                    continue;
                }
                foreach (Value next in on.Where(seen.Add)) work.Enqueue(next);
            }
        }
        return ends.Count == 0 ? NoPath : $"{NoPath}: the gradient stops at {string.Join(", ", ends.Distinct())}";
    }

    /// <summary>Begins every reason that <see cref="WhyNot"/> gives.</summary>
    public const string NoPath = "no path to the loss";
}
