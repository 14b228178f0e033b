using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>What a gradient rule sees of the forward operator: its inputs, outputs, attributes and the gradients of its outputs.</summary>
public sealed class Forward
{
    private readonly IReadOnlyList<Value?> _gradients;
    private readonly GraphBuilder _builder;

    internal Forward(Node node, GraphBuilder builder, IReadOnlyList<Value?> gradients)
    {
        Node = node;
        _builder = builder;
        _gradients = gradients;
    }

    /// <summary>What a rule needs to differentiate a body: the table in force, and the values that a gradient
    /// reaches.</summary>
    internal GradientRules Rules { get; init; } = GradientRules.Default;

    internal IReadOnlySet<Value> Active { get; init; } = new HashSet<Value>();

    /// <summary>Outer values that the node's bodies read.</summary>
    internal IReadOnlyList<Value> Captured => [.. Node.Subgraphs.SelectMany(b => b.Captured()).Distinct()];

    /// <summary>The call that is differentiated, for its operator and attributes; not to be changed.</summary>
    public Node Node { get; }

    /// <summary>Input <paramref name="index"/>, which must be given.</summary>
    /// <param name="index">From 0.</param>
    public Term In(int index) => _builder.Term(Node.Inputs[index]!);

    /// <summary>Input <paramref name="index"/>; null where it is omitted.</summary>
    /// <param name="index">From 0.</param>
    public Value? TryIn(int index) => Node.In(index);

    /// <summary>Number of inputs, omitted ones in between counted: a rule may return as many gradients.</summary>
    public int InputCount => Node.Inputs.Count;

    /// <summary>Output <paramref name="index"/>. One that the model left out is added to the node.</summary>
    /// <param name="index">From 0.</param>
    public Term Out(int index)
    {
        if (index < Node.Outputs.Count && Node.Outputs[index] is Value present) return _builder.Term(present);
        // Those in between are named too: not every kernel takes a gap.
        string name = Node.Outputs.First(o => o is not null)!.Name;
        for (int i = 0; i <= index; i++)
        {
            if (i == Node.Outputs.Count) Node.Outputs.Add(null);
            Node.Outputs[i] ??= new Value(_builder.Graph.Names.Unique($"{name}/out{i}")) { Producer = Node };
        }
        _builder.Known.Visit(Node);
        return _builder.Term(Node.Outputs[index]!);
    }

    /// <summary>∂L/∂(output <paramref name="index"/>); null where nothing flows back through it.</summary>
    /// <param name="index">From 0.</param>
    public Value? Dy(int index) => index < _gradients.Count ? _gradients[index] : null;

    /// <summary>True when something needs the gradient of input <paramref name="index"/>. A rule may return null for
    /// the others, which saves building nodes that would be dropped, and asking the forward operator for
    /// outputs.</summary>
    /// <param name="index">From 0.</param>
    public bool IsWanted(int index) => TryIn(index) is Value input && (Active.Count == 0 || Active.Contains(input));

    /// <summary>Known elements of a small integer input; null when the input is omitted or not constant.</summary>
    /// <param name="index">From 0.</param>
    public long[]? Constants(int index) => _builder.Known.Constants(TryIn(index));

    /// <summary>Number of dimensions of input <paramref name="index"/>.</summary>
    /// <param name="index">From 0.</param>
    /// <exception cref="UnsupportedGradientException">It is not known.</exception>
    public int Rank(int index) => In(index).Shape?.Rank
        ?? throw new UnsupportedGradientException(
            $"The rank of '{In(index).Name}', input of node {Node.Label}, is unknown, and the gradient of {Node.OpType} needs it. "
            + "Give the model's inputs a known rank and export it again.");

    /// <summary>An axis attribute, counted from the front of input 0.</summary>
    /// <param name="name">The attribute.</param>
    /// <param name="fallback">What the operator takes where it is absent; may be negative.</param>
    /// <exception cref="UnsupportedGradientException">The rank of input 0 is not known.</exception>
    public int Axis(string name, long fallback) => Node.Int(name, fallback) is long axis && axis < 0 ? (int)axis + Rank(0) : (int)axis;
}

/// <summary>A gradient rule: from the gradients of an operator's outputs to those of its inputs.</summary>
/// <param name="g">Where to emit nodes.</param>
/// <param name="op">The forward operator.</param>
/// <param name="dy">∂L/∂(output 0); zeros when only other outputs take part.</param>
/// <returns>One entry per input (missing ones at the end count as null): its gradient, still in broadcast shape where
/// the operator broadcasts, or null where the operator has no derivative. For an operator with bodies, then one per
/// outer value that they read.</returns>
public delegate Value?[] GradientRule(GraphBuilder g, Forward op, Term dy);
