using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>A base rule that kernels know, as it stands in operator names.</summary>
/// <param name="Name">Its part of the name.</param>
/// <param name="IsAdam">Adam's moments; else SGD.</param>
/// <param name="HasDecay">Decoupled decay: input <c>weight_decay</c>.</param>
/// <param name="HasCoupledDecay">Coupled decay: input <c>coupled_decay</c>.</param>
/// <param name="HasMomentum">SGD with a momentum buffer.</param>
/// <param name="Nesterov">SGD that looks ahead.</param>
internal sealed record BaseRule(string Name, bool IsAdam, bool HasDecay = false, bool HasCoupledDecay = false, bool HasMomentum = false, bool Nesterov = false);

/// <summary>What the name of an update operator says: <c>Base[Cpr_regularizer_method[_adaptive]][_amsgrad]</c>.</summary>
/// <param name="Base">The base rule.</param>
/// <param name="Regularizer">A name of <see cref="Regularizer.ByName"/>; null where the parameter is not constrained.</param>
/// <param name="Method">A name of <see cref="Methods"/>; null exactly where <paramref name="Regularizer"/> is.</param>
/// <param name="AmsGrad">Whether v̂ is kept.</param>
/// <param name="Adaptive">AdaCPR.</param>
internal sealed record UpdateVariant(BaseRule Base, string? Regularizer, string? Method, bool AmsGrad, bool Adaptive = false)
{
    private static readonly BaseRule[] Bases =
    [
        new("Adam", IsAdam: true),
        new("AdamW", IsAdam: true, HasDecay: true),
        new("Sgd", IsAdam: false),
        new("SgdMomentum", IsAdam: false, HasMomentum: true),
        new("SgdNesterov", IsAdam: false, HasMomentum: true, Nesterov: true),
        new("L2Sgd", IsAdam: false, HasCoupledDecay: true),
        new("L2SgdMomentum", IsAdam: false, HasCoupledDecay: true, HasMomentum: true),
        new("L2SgdNesterov", IsAdam: false, HasCoupledDecay: true, HasMomentum: true, Nesterov: true),
    ];

    private static readonly bool[] Choices = [false, true];

    /// <summary>Ways to set κ, by their name in operator names.</summary>
    public static IReadOnlyDictionary<string, BoundMethod> Methods { get; } = new Dictionary<string, BoundMethod>
    {
        ["uniform"] = BoundMethod.Uniform,
        ["dependent"] = BoundMethod.Dependent,
        ["warm_start"] = BoundMethod.WarmStart,
        ["inflection_point"] = BoundMethod.InflectionPoint,
    };

    /// <summary>Every combination.</summary>
    public static IEnumerable<UpdateVariant> All =>
        from rule in Bases
        from constraint in Constraints
        from amsGrad in Choices
        where rule.IsAdam || !amsGrad
        from adaptive in Choices
        where constraint.Regularizer is not null || !adaptive
        select new UpdateVariant(rule, constraint.Regularizer, constraint.Method, amsGrad, adaptive);

    /// <summary>The operator's name.</summary>
    public string Name =>
        Base.Name + (Regularizer is null ? "" : $"Cpr_{Regularizer}_{Method}{(Adaptive ? "_adaptive" : "")}") + (AmsGrad ? "_amsgrad" : "");

    private static IEnumerable<(string? Regularizer, string? Method)> Constraints =>
        (from regularizer in Kernels.Regularizer.ByName.Keys
         from method in Methods.Keys
         select ((string?)regularizer, (string?)method)).Prepend((null, null));
}
