using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Optimizers;

/// <summary>See <see cref="Bound.TimesInitial"/>.</summary>
/// <param name="Factor">On R before the first step.</param>
internal sealed record TimesInitialBound(double Factor) : Bound
{
    public const string MethodName = "dependent";

    internal override BoundKind Kind => BoundKind.Dependent;

    internal override IReadOnlyList<LinkSlot> Slots(ElementType type) => [LinkSlot.Setting("kappa_factor", Factor, type)];

    internal override BoundState Find(UpdateBody body, BoundState state, Term updated, Func<Term> initial)
    {
        Term kappa = body.G.Where(state.IsSet, state.Kappa, initial() * body.In("kappa_factor"));
        Term zero = body.Scalar(0), always = body.G.Equal(zero, zero);
        return state with { Kappa = kappa, Active = always, IsSet = always };
    }

    internal override IEnumerable<string> Problems() =>
        UpdateLink.Unless(Factor > 0, "Bound.TimesInitial: factor", Factor, "a factor above 0");
}
