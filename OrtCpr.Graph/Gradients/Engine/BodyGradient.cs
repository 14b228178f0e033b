using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>A copy of a body that computes its forward values again and goes back through them. The rules of If, Loop
/// and Scan make its inputs and outputs.</summary>
internal sealed class BodyGradient
{
    private readonly GraphCopier _copier;
    private readonly GradientRules _rules;

    public BodyGradient(OnnxGraph body, NameAuthority names, GradientRules rules)
    {
        _copier = new GraphCopier(names, suffix: "");
        _rules = rules;
        Graph = _copier.Graph(body);
        Graph.Name = names.Unique($"{body.Name}_grad");
        Graph.Outputs.Clear();
        var known = new ShapeInference();
        foreach (Node node in Graph.Nodes) known.Visit(node);
        Builder = new GraphBuilder(Graph, known);
    }

    public OnnxGraph Graph { get; }

    public GraphBuilder Builder { get; }

    /// <summary>The copy of a value of the body; an outer value is itself.</summary>
    public Value Inner(Value value) => _copier.Map.GetValueOrDefault(value, value);

    /// <summary>Gradients by the body's own values. Seeds may name one value twice.</summary>
    public IReadOnlyDictionary<Value, Value> Differentiate(IEnumerable<(Value Of, Value Seed)> seeds, IEnumerable<Value> sources,
        GradientRules? rules = null)
    {
        Value[] wanted = [.. sources];
        var total = new Dictionary<Value, Value>();
        foreach ((Value of, Value seed) in seeds)
        {
            Value inner = Inner(of);
            Value known = seed.Shape is Shape s && s.SurelyEquals(inner.Shape) ? seed : Builder.Identity(seed).Like(inner);
            total[inner] = total.TryGetValue(inner, out Value? other) ? Builder.Add(other, known).Like(inner) : known;
        }
        IReadOnlyDictionary<Value, Value> found =
            new BackwardPass(Graph, Builder, rules ?? _rules).Run(total, wanted.Select(Inner).ToHashSet());
        return wanted.Where(w => found.ContainsKey(Inner(w))).Distinct().ToDictionary(w => w, w => found[Inner(w)]);
    }

    /// <summary>An output of a body is made by a node of that body, and by no other output's.</summary>
    public void AddOutput(Value value)
    {
        bool own = value.Producer is Node producer && Graph.Nodes.Contains(producer);
        Graph.Outputs.Add(own && !Graph.Outputs.Contains(value) ? value : Builder.Identity(value).Like(value));
    }

    /// <summary>Leaves what the outputs need; the inputs that it reads then.</summary>
    public HashSet<Value> Finish()
    {
        RemoveDeadNodes.Run(Graph);
        if (Graph.Nodes.FirstOrDefault(OperatorTraits.Draws) is Node random)
        {
            throw new UnsupportedGradientException(
                $"Node {random.Label} draws random numbers in the body '{Graph.Name}', and the backward pass, which computes "
                + "the body again, would draw others. Draw them in front of the node that has the body (one slice an iteration), "
                + "or feed them to the model.");
        }
        return Graph.Nodes.SelectMany(OnnxGraph.ReadBy).ToHashSet();
    }
}
