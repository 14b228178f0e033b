using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>What the name of an update operator says: <c>Base[Cpr_regularizer_method][_amsgrad]</c>.</summary>
/// <param name="Base">Adam or AdamW.</param>
/// <param name="HasDecay">Whether the base decays weights: inputs <c>weight_decay</c>.</param>
/// <param name="Regularizer">A name of <see cref="Regularizer.ByName"/>; null where the parameter is not constrained.</param>
/// <param name="Method">A name of <see cref="Methods"/>; null exactly where <paramref name="Regularizer"/> is.</param>
/// <param name="AmsGrad">Whether v̂ is kept.</param>
internal sealed record UpdateVariant(string Base, bool HasDecay, string? Regularizer, string? Method, bool AmsGrad)
{
    /// <summary>Base rules, with whether they decay weights.</summary>
    private static readonly (string Name, bool HasDecay)[] Bases = [("Adam", false), ("AdamW", true)];

    private static readonly bool[] AmsGradChoices = [false, true];

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
        from amsGrad in AmsGradChoices
        select new UpdateVariant(rule.Name, rule.HasDecay, constraint.Regularizer, constraint.Method, amsGrad);

    /// <summary>The operator's name.</summary>
    public string Name =>
        Base + (Regularizer is null ? "" : $"Cpr_{Regularizer}_{Method}") + (AmsGrad ? "_amsgrad" : "");

    private static IEnumerable<(string? Regularizer, string? Method)> Constraints =>
        (from regularizer in Kernels.Regularizer.ByName.Keys
         from method in Methods.Keys
         select ((string?)regularizer, (string?)method)).Prepend((null, null));
}
