using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Optimizers;

// What an update link may ask of the optimizer graph while a node is made.
internal sealed class OptimizerGraphContext
{
    private readonly Dictionary<UpdateLink, Value> _shared = [];

    public required GraphBuilder Builder { get; init; }

    // A graph input by name: a parameter, a gradient, a vector of one number a group.
    public required Func<string, Value> Input { get; init; }

    public required Value Ones { get; init; }

    public required Value Lambda { get; init; }

    public required Value Kappa { get; init; }

    public required Value Detector { get; init; }

    // Multiplies every gradient, clipping by the norm included (scalar).
    public required Value GradientScale { get; init; }

    // Whether the step is applied at all, bool [1]; null when it always is.
    public required Value? Applied { get; init; }

    // The parameters whose rule has an equal link that applies to them.
    public required Func<UpdateLink, ParameterSpec[]> ParametersOf { get; init; }

    // Global L2 norm [1] over tensors of parameters that take part in this step.
    public required Func<IEnumerable<(ParameterSpec Parameter, Value Tensor)>, Value> Norm { get; init; }

    // A state tensor [1] that belongs to no single parameter, starting at 0; its new value is given back by the second.
    public required Func<string, Value> SharedState { get; init; }

    public required Action<Value, Value> SetSharedState { get; init; }

    public long MatrixIndex { get; set; }

    // For inputs that are constants: there is nothing else to ask for.
    public static OptimizerGraphContext ForConstants(GraphBuilder builder)
    {
        Value none = builder.Int(0);
        return new OptimizerGraphContext
        {
            Builder = builder,
            Input = name => throw new InvalidOperationException($"'{name}' is no constant."),
            Ones = none,
            Lambda = none,
            Kappa = none,
            Detector = none,
            GradientScale = none,
            Applied = null,
            ParametersOf = _ => [],
            Norm = _ => none,
            SharedState = _ => none,
            SetSharedState = (_, _) => { },
        };
    }

    // What nodes of all parameters read, made once for all equal links.
    public Value Shared(UpdateLink link, Func<OptimizerGraphContext, Value> make)
    {
        if (_shared.TryGetValue(link, out Value? known)) return known;
        string scope = Builder.Scope;
        Value made = make(this);
        Builder.Scope = scope;
        return _shared[link] = made;
    }
}
