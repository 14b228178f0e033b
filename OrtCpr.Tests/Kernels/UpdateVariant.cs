using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tests.Kernels;

/// <summary>A base rule that kernels know.</summary>
internal sealed record BaseRule(
    string Name, bool IsAdam = false, bool IsLion = false, bool HasDecay = false, bool HasCoupledDecay = false, bool HasMomentum = false,
        bool Nesterov = false);

/// <summary>A combination of base rule and constraint that has a kernel.</summary>
/// <param name="Base">The base rule.</param>
/// <param name="Regularizer">R; null where the parameter is not constrained.</param>
/// <param name="Method">How κ is found; null exactly where <paramref name="Regularizer"/> is.</param>
/// <param name="AmsGrad">Whether v̂ is kept.</param>
/// <param name="Adaptive">AdaCPR.</param>
internal sealed record UpdateVariant(BaseRule Base, Regularizer? Regularizer, BoundKind? Method, bool AmsGrad = false,
    bool Adaptive = false)
{
    private static readonly BaseRule[] Bases =
    [
        new("Adam", IsAdam: true),
        new("AdamW", IsAdam: true, HasDecay: true),
        new("Sgd"),
        new("SgdMomentum", HasMomentum: true),
        new("SgdNesterov", HasMomentum: true, Nesterov: true),
        new("L2Sgd", HasCoupledDecay: true),
        new("L2SgdMomentum", HasCoupledDecay: true, HasMomentum: true),
        new("L2SgdNesterov", HasCoupledDecay: true, HasMomentum: true, Nesterov: true),
        new("Lion", IsLion: true),
        new("LionW", IsLion: true, HasDecay: true),
    ];

    private static readonly bool[] Choices = [false, true];

    /// <summary>Every combination.</summary>
    public static IEnumerable<UpdateVariant> All =>
        from rule in Bases
        from constraint in Constraints
        from amsGrad in Choices
        where rule.IsAdam || !amsGrad
        from adaptive in Choices
        where constraint.Regularizer is not null || !adaptive
        // Steps of equal length leave the deviation of elements on one side as it is: rounding would decide where it bends.
        where !rule.IsLion || constraint is not (Graph.Optimizers.Regularizer.Std, BoundKind.InflectionPoint)
        select new UpdateVariant(rule, constraint.Regularizer, constraint.Method, amsGrad, adaptive);

    /// <summary>The links that make the operator.</summary>
    public UpdateLink[] Links =>
    [
        .. Base.HasCoupledDecay ? [new AddCoupledDecay(UpdateScenario.CoupledDecay)] : Array.Empty<UpdateLink>(),
        Base.IsAdam ? new ScaleByAdam { AmsGrad = AmsGrad } : Base.IsLion ? new ScaleByLion()
            : new ScaleByMomentum(Base.HasMomentum ? UpdateScenario.Momentum : 0, Nesterov: Base.Nesterov),
        .. Base.HasDecay ? [new AddDecayedWeights(UpdateScenario.WeightDecay)] : Array.Empty<UpdateLink>(),
        .. Regularizer is not Regularizer r ? Array.Empty<UpdateLink>()
            : [new ConstrainNorm { Regularizer = r, Bound = Bound.Of(Method!.Value.ToString(), 1), Adaptive = Adaptive }],
    ];

    /// <summary>The operator.</summary>
    public UpdateDefinition Definition =>
        UpdateDefinition.Of(new UpdateRule { Links = [.. Links] }, new ParameterSpec("w", ElementType.Float, [2, 2], true));

    /// <summary>Its name.</summary>
    public string Name => Definition.Name;

    /// <summary>The combination of an operator name.</summary>
    public static UpdateVariant Named(string name) => All.Single(v => v.Name == name);

    private static IEnumerable<(Regularizer? Regularizer, BoundKind? Method)> Constraints =>
        (from regularizer in Enum.GetValues<Regularizer>()
         from method in Enum.GetValues<BoundKind>()
         select ((Regularizer?)regularizer, (BoundKind?)method)).Prepend((null, null));
}
