using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tool.Artifacts;

// The optimizers that fixtures of the genuine runtime are written for: a row a fixture. Learning rates are 0.001, the only one that the
// browser's API has.
internal static class FixtureRecipes
{
    private const double Rate = 1e-3;

    // What every model is tried with.
    public static IReadOnlyList<(string Name, OptimizerOptions Options)> Common { get; } =
    [
        ("sgd", new() { Groups = [UpdateRule.Sgd(Rate)] }),
        ("sgd_clip", new() { Groups = [UpdateRule.Sgd(Rate)], MaxGradientNorm = 0.5 }),
        ("adamw", new() { Groups = [new UpdateRule { LearningRate = Rate,
            Links = [new ScaleByAdam(), new AddDecayedWeights(0.1, OnlyConstrained: false)] }] }),
        // An ε that keeps clipped gradients, which are rounding in places, from becoming full steps.
        ("adam_clip", new() { Groups = [UpdateRule.Adam(Rate, new ScaleByAdam { Epsilon = 1e-4 })], MaxGradientNorm = 0.5 }),
        Cpr(Regularizer.L2, Bound.AfterSteps(3)),
    ];

    // Every bound with every measure, the one of the common rows among them.
    public static IReadOnlyList<(string Name, OptimizerOptions Options)> Bounds { get; } =
    [
        .. from bound in new[] { Bound.Fixed(1), Bound.TimesInitial(0.95), Bound.AfterSteps(3), Bound.AtInflection(5) }
           from regularizer in Enum.GetValues<Regularizer>()
           select Cpr(regularizer, bound),
    ];

    // A bound far below R, or steps by the sign alone, throw small weights from side to side within these few steps, and what comes of that
    // is rounding: λ grows slower there.
    private static double KappaUpdate(Regularizer regularizer, Bound bound) =>
        (bound is FixedBound ? 0.01 : 1) * (regularizer == Regularizer.L1 ? 1e-4 : 1);

    private static (string, OptimizerOptions) Cpr(Regularizer regularizer, Bound bound) =>
        ($"adamcpr_{regularizer}_{bound.Kind}".ToLowerInvariant(), new()
        {
            Groups =
            [
                UpdateRule.AdamCpr(Rate, constraint: new ConstrainNorm
                {
                    Regularizer = regularizer, Bound = bound, KappaUpdate = KappaUpdate(regularizer, bound),
                }),
            ],
        });
}
