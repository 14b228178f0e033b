using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Optimizers;

/// <summary>What an update link may ask of the optimizer graph while its slots are filled.</summary>
internal sealed class OptimizerGraphContext
{
    private readonly Dictionary<UpdateLink, Value> _shared = [];

    /// <summary>Where to emit nodes.</summary>
    public required GraphBuilder Builder { get; init; }

    /// <summary>The tensor of a parameter before the step.</summary>
    public required Func<ParameterSpec, Value> Parameter { get; init; }

    /// <summary>The gradient of a parameter.</summary>
    public required Func<ParameterSpec, Value> Gradient { get; init; }

    /// <summary>A scheduled scalar, a number a group.</summary>
    public required Func<string, Value> GroupScalar { get; init; }

    /// <summary>The learning rate, a number a group.</summary>
    public required Value LearningRate { get; init; }

    /// <summary>1 for every group.</summary>
    public required Value Ones { get; init; }

    /// <summary>The row of a parameter in a tensor of rows.</summary>
    public required Func<string, ParameterSpec, long> RowOf { get; init; }

    /// <summary>Multiplies every gradient, clipping by the norm included (scalar).</summary>
    public required Value GradientScale { get; init; }

    /// <summary>Whether the step is applied at all, bool [1]; null when it always is.</summary>
    public required Value? Applied { get; init; }

    /// <summary>The parameters whose rule has an equal link that applies to them.</summary>
    public required Func<UpdateLink, ParameterSpec[]> ParametersOf { get; init; }

    /// <summary>Global L2 norm [1] over tensors of parameters that take part in this step.</summary>
    public required Func<IEnumerable<(ParameterSpec Parameter, Value Tensor)>, Value> Norm { get; init; }

    /// <summary>A state tensor [1] that belongs to no single parameter, starting at 0.</summary>
    public required Func<string, Value> SharedState { get; init; }

    /// <summary>Gives a shared state its new value.</summary>
    public required Action<Value, Value> SetSharedState { get; init; }

    /// <summary>What nodes of all parameters read, made once for all equal links.</summary>
    public Value Shared(UpdateLink link, Func<OptimizerGraphContext, Value> make)
    {
        if (_shared.TryGetValue(link, out Value? known)) return known;
        string scope = Builder.Scope;
        Value made = make(this);
        Builder.Scope = scope;
        return _shared[link] = made;
    }
}
