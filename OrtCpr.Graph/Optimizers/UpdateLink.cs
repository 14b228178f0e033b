using System.Text.Json.Serialization;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Optimizers;

/// <summary>One link of an update rule: a transformation of the step that a parameter makes. A rule is a list of links.</summary>
/// <remarks>A link states which parameters it touches, the state it keeps per parameter, the further inputs it needs and the equations, as operators of a
/// function body. The name of the function is the links' tags put together, and a fused kernel of the same name may stand in for it.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "link")]
[JsonDerivedType(typeof(ScaleByAdam), "scale_by_adam")]
[JsonDerivedType(typeof(ScaleByMomentum), "scale_by_momentum")]
[JsonDerivedType(typeof(AddDecayedWeights), "add_decayed_weights")]
[JsonDerivedType(typeof(AddCoupledDecay), "add_coupled_decay")]
[JsonDerivedType(typeof(AddAdaptiveWeightDecay), "add_adaptive_weight_decay")]
[JsonDerivedType(typeof(AddAdaDecay), "add_ada_decay")]
[JsonDerivedType(typeof(ClipGradientValue), "clip_gradient_value")]
[JsonDerivedType(typeof(ConstrainNorm), "constrain_norm")]
public abstract record UpdateLink
{
    private protected UpdateLink()
    {
    }

    // Part of the function name for a parameter; empty when the link adds nothing to it.
    internal abstract string Tag(ParameterSpec parameter);

    // Whether the link does anything to this parameter.
    internal virtual bool AppliesTo(ParameterSpec parameter) => true;

    // Names of the state tensors of the parameter's shape and type, such as exp_avg; all start at zero.
    internal virtual IReadOnlyList<string> State => [];

    // Values of group-wide scalars that can be scheduled, such as weight_decay: graph inputs of one element a group.
    internal virtual IReadOnlyList<(string Name, double Value)> Schedulable => [];

    // Inputs behind the common ones, in the order of the operator's signature.
    internal virtual IEnumerable<LinkInput> Inputs(ParameterSpec parameter) => [];

    // Emits the link's equations; reads and changes what the body holds.
    internal abstract void Emit(UpdateBody body);

    internal virtual IEnumerable<string> Problems() => [];

    private protected static IEnumerable<string> Unless(bool valid, string property, object? value, string range) =>
        valid ? [] : [$"{property} is {value}; expected {range}"];
}

// One input of an update operator: how the body calls it and what the optimizer graph passes.
internal sealed record LinkInput(string Name, ElementType Type, Shape Shape, Func<OptimizerGraphContext, Value> Pass);

/// <summary>A parameter as an optimizer sees it.</summary>
/// <param name="Name">Name in the model.</param>
/// <param name="Type">Float or Double.</param>
/// <param name="Dimensions">Its shape.</param>
/// <param name="Constrained">Whether regularisation (a bound, weight decay) applies to it.</param>
/// <param name="Group">Index of its group.</param>
public sealed record ParameterSpec(string Name, ElementType Type, IReadOnlyList<long> Dimensions, bool Constrained, int Group = 0)
{
    /// <summary>Number of elements.</summary>
    public long ElementCount => Dimensions.Aggregate(1L, (n, d) => n * d);
}
