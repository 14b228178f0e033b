using System.Text.Json.Serialization;

namespace OrtCpr.Graph.Optimizers;

/// <summary>One link of an update rule: a transformation of the step that a parameter makes. A rule is a list of links.</summary>
/// <remarks>A link states which parameters it touches, the operands it adds to the update operator (state, settings) and its equations.
/// The operator of a parameter is what its links state, put together; kernels match on the links.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "link")]
[JsonDerivedType(typeof(ScaleByAdam), "scale_by_adam")]
[JsonDerivedType(typeof(ScaleByMomentum), "scale_by_momentum")]
[JsonDerivedType(typeof(ScaleByLion), "scale_by_lion")]
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

    /// <summary>The part of a step that the link works on.</summary>
    internal abstract UpdateStage Stage { get; }

    /// <summary>Part of the operator's name for a parameter; empty when the link adds nothing to it.</summary>
    internal abstract string Tag(ParameterSpec parameter);

    /// <summary>What the link adds to the end of the operator's name.</summary>
    internal virtual string Suffix => "";

    /// <summary>What the names of the values in its part of the body start with.</summary>
    internal abstract string Scope { get; }

    /// <summary>Whether the link does anything to this parameter.</summary>
    internal virtual bool AppliesTo(ParameterSpec parameter) => true;

    /// <summary>Values of group-wide scalars that can be scheduled, such as weight_decay: graph inputs of one element a group.</summary>
    internal virtual IReadOnlyList<(string Name, double Value)> Schedulable => [];

    /// <summary>The operands that the link adds to the update operator: state, settings, shared vectors.</summary>
    internal virtual IEnumerable<LinkSlot> Slots(ParameterSpec parameter) => [];

    /// <summary>Emits the link's equations; reads and changes what the body holds.</summary>
    internal abstract void Emit(UpdateBody body);

    internal virtual IEnumerable<string> Problems() => [];

    /// <summary>A problem unless a property is valid.</summary>
    internal static IEnumerable<string> Unless(bool valid, string property, object? value, string range) =>
        valid ? [] : [FormattableString.Invariant($"{property} is {value}; expected {range}")];
}

/// <summary>The part of a step that a link works on. The links of a rule stand in this order.</summary>
internal enum UpdateStage
{
    /// <summary>Changes the gradient before the base rule.</summary>
    Gradient,

    /// <summary>The base rule: makes the direction of the step. Every rule has one.</summary>
    Direction,

    /// <summary>Changes the step, such as decoupled decay.</summary>
    Step,

    /// <summary>Works on the new parameter.</summary>
    NewParameter,
}

/// <summary>What an optimizer knows of a parameter, whatever the model; enough to build an optimizer graph without one.</summary>
/// <param name="Name">Name in the model, and in front of the names of its state.</param>
/// <param name="Type">Float or Double.</param>
/// <param name="Dimensions">Shape, outermost first; empty for a scalar.</param>
/// <param name="Constrained">Whether regularisation (a bound, weight decay) applies to it.</param>
/// <param name="Group">Index of its rule in <see cref="OptimizerOptions.Groups"/>. Default 0.</param>
public sealed record ParameterSpec(string Name, ElementType Type, IReadOnlyList<long> Dimensions, bool Constrained, int Group = 0)
{
    /// <summary>Number of elements, the product of <see cref="Dimensions"/>; 1 for a scalar.</summary>
    public long ElementCount => Dimensions.Aggregate(1L, (n, d) => n * d);
}
