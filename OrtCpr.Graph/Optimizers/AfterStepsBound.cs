using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Optimizers;

/// <summary>See <see cref="Bound.AfterSteps"/>.</summary>
/// <param name="Steps">After how many; null for the default.</param>
internal sealed record AfterStepsBound(long? Steps = null) : Bound
{
    public const string MethodName = "warm_start";

    private const long DefaultSteps = 1000;

    private long Start => Steps ?? DefaultSteps;

    internal override BoundKind Kind => BoundKind.WarmStart;

    internal override Bound Resolve(long warmupSteps) => Steps is null && warmupSteps > 0 ? new AfterStepsBound(2 * warmupSteps) : this;

    internal override Bound CountedFrom(long past) => new AfterStepsBound(Start + past);

    internal override string? TooShort(long steps) => Start < steps ? null
        : Steps is null
            ? $"Bound.AfterSteps sets bounds after step {Start} where it names none, but the run has {steps}: name a step below that "
                + "(--kappa-init-param)"
            : $"Bound.AfterSteps sets bounds after step {Start}, but the run has {steps}: name an earlier step (--kappa-init-param)";

    internal override IReadOnlyList<LinkSlot> Slots(ElementType type) => [LinkSlot.Setting("warm_start_steps", Start)];

    internal override BoundState Find(UpdateBody body, BoundState state, Term updated, Func<Term> initial)
    {
        Term due = !state.IsSet & body.G.Equal(body.Step, body.In("warm_start_steps"));
        return state with { Kappa = body.G.Where(due, updated, state.Kappa), IsSet = state.IsSet | due };
    }

    internal override IEnumerable<string> Problems() => UpdateLink.Unless(Start >= 1, "Bound.AfterSteps: steps", Steps, "at least 1");
}
