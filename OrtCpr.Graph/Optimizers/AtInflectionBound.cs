using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Optimizers;

/// <summary>See <see cref="Bound.AtInflection"/>.</summary>
/// <param name="Every">Steps between two samples; null for the default.</param>
/// <param name="Decay">Of the running average.</param>
/// <param name="MaxWait">The last step without a bound; 0 for never.</param>
internal sealed record AtInflectionBound(long? Every = null, double Decay = 0, long MaxWait = 0) : Bound
{
    public const string MethodName = "inflection_point";

    /// <summary>Steps between two samples where neither the bound nor a warm-up says another number.</summary>
    public const long DefaultInterval = 200;

    private const int SmallestSampleCount = 4;

    private long Interval => Every ?? DefaultInterval;

    /// <summary>Whether nobody has said when samples are taken: a run too short for that may find its bounds otherwise.</summary>
    public bool IsDefault() => Every is null && MaxWait == 0;

    /// <summary>Whether a run is too short for it: it takes four samples, and a bound should hold for half of the run.</summary>
    public bool IsShort(long steps) => steps < 2 * SmallestSampleCount * Interval;

    internal override BoundKind Kind => BoundKind.InflectionPoint;

    internal override Bound Resolve(long warmupSteps) =>
        Every is null && warmupSteps > 0 ? this with { Every = Math.Max(1, warmupSteps / 10) } : this;

    internal override Bound CountedFrom(long past) => MaxWait == 0 ? this : this with { MaxWait = MaxWait + past };

    internal override string? TooShort(long steps) => SmallestSampleCount * Interval <= steps ? null
        : MaxWait == 0
            ? $"Bound.AtInflection needs four samples, {Interval} steps apart, but the run has {steps}: shorten 'every' (--reg-step-size) "
                + "or name a 'maxWait' (--max-wait-steps)"
        : MaxWait >= steps ? $"Bound.AtInflection waits until step {MaxWait}, but the run has {steps}: shorten 'maxWait' "
            + "(--max-wait-steps)"
        : null;

    internal override IReadOnlyList<LinkSlot> Slots(ElementType type) =>
    [
        LinkSlot.Setting("sample_interval", Interval),
        LinkSlot.Setting("sample_decay", Decay, type),
        LinkSlot.Setting("max_wait_steps", MaxWait),
    ];

    /// <summary>Every interval a sample; from the fourth on, a negative second difference sets the bound. A wait that lasted too long
    /// sets it as well.</summary>
    internal override BoundState Find(UpdateBody body, BoundState state, Term updated, Func<Term> initial)
    {
        GraphBuilder g = body.G;
        (Term count, Term last, Term earlier) = state.Samples;
        Term zero = body.Scalar(0), none = g.Int(0), decay = body.In("sample_decay");
        Term due = !state.IsSet & g.Equal(g.Op("Mod", [body.Step, body.In("sample_interval")]), none);
        Term sample = g.Where(count > zero, last * decay + updated * (1 - decay), updated);
        Term bends = sample - last - (last - earlier) < zero;
        Term inflects = due & bends & g.GreaterOrEqual(count, body.Scalar(SmallestSampleCount - 1));
        Term waited = body.In("max_wait_steps") > none & g.GreaterOrEqual(body.Step, body.In("max_wait_steps")) & !state.IsSet;
        Term sets = inflects | waited;
        var samples = new BoundSamples(count + g.Cast(due, body.Type), g.Where(due, sample, last), g.Where(due, last, earlier));
        return state with { Kappa = g.Where(sets, updated, state.Kappa), IsSet = state.IsSet | sets, Samples = samples };
    }

    internal override IEnumerable<string> Problems() =>
    [
        .. UpdateLink.Unless(Interval >= 1, "Bound.AtInflection: every", Every, "at least 1"),
        .. UpdateLink.Unless(Decay is >= 0 and < 1, "Bound.AtInflection: decay", Decay, "at least 0 and below 1"),
        .. UpdateLink.Unless(MaxWait >= 0, "Bound.AtInflection: maxWait", MaxWait, "at least 0 (0: never)"),
    ];
}
