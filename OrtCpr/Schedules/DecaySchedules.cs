using System.Collections.Immutable;

namespace OrtCpr.Schedules;

/// <summary>γ^step after the warm-up (PyTorch <c>ExponentialLR</c>).</summary>
/// <param name="Gamma">Factor a step, above 0.</param>
/// <param name="WarmupSteps">Steps of the warm-up. Default 0.</param>
internal sealed record ExponentialSchedule(double Gamma, long WarmupSteps = 0) : Schedule(WarmupSteps)
{
    internal override IEnumerable<string> Problems() =>
        [.. base.Problems(), .. Unless(Gamma > 0 && double.IsFinite(Gamma), Gamma, nameof(Gamma), "a finite number above 0")];

    private protected override double AfterWarmup(long step) => Math.Pow(Gamma, step);
}

/// <summary>Multiplies by γ after every <see cref="StepSize"/> steps (PyTorch <c>StepLR</c>).</summary>
/// <param name="StepSize">Steps between two falls, at least 1.</param>
/// <param name="Gamma">Factor of a fall, at least 0. Default 0.1.</param>
/// <param name="WarmupSteps">Steps of the warm-up. Default 0.</param>
internal sealed record StepSchedule(long StepSize, double Gamma = 0.1, long WarmupSteps = 0) : Schedule(WarmupSteps)
{
    internal override IEnumerable<string> Problems() =>
        [.. base.Problems(), .. AtLeast(1, StepSize, nameof(StepSize)), .. Factor(Gamma, nameof(Gamma))];

    private protected override double AfterWarmup(long step) => Math.Pow(Gamma, step / StepSize);
}

/// <summary>Multiplies by γ at each milestone (PyTorch <c>MultiStepLR</c>).</summary>
/// <param name="Milestones">Steps after the warm-up, rising, the first at least 1.</param>
/// <param name="Gamma">Factor of a fall, at least 0. Default 0.1.</param>
/// <param name="WarmupSteps">Steps of the warm-up. Default 0.</param>
internal sealed record MultiStepSchedule(ImmutableArray<long> Milestones, double Gamma = 0.1, long WarmupSteps = 0) : Schedule(WarmupSteps)
{
    internal override IEnumerable<string> Problems() =>
        [.. base.Problems(), .. Rising(Milestones, nameof(Milestones)), .. Factor(Gamma, nameof(Gamma))];

    internal static IEnumerable<string> Rising(ImmutableArray<long> steps, string name) =>
        !steps.IsDefaultOrEmpty && steps[0] >= 1 && steps.Zip(steps.Skip(1)).All(p => p.First < p.Second) ? []
        : [$"{name} is [{string.Join(", ", steps.IsDefault ? [] : steps)}]; expected rising steps of at least 1"];

    private protected override double AfterWarmup(long step) => Math.Pow(Gamma, Milestones.Count(m => step >= m));
}

/// <summary>Multiplies by <see cref="Decay"/> when a reported metric has stopped to improve (PyTorch <c>ReduceLROnPlateau</c>).</summary>
/// <remarks>The properties after <see cref="MinimumFactor"/> are its state.</remarks>
/// <param name="Decay">Factor of a fall, in [0, 1). Default 0.1.</param>
/// <param name="Patience">Reports without improvement that are forgiven, at least 0. Default 10.</param>
/// <param name="WarmupSteps">Steps of the warm-up. Default 0.</param>
internal sealed record PlateauSchedule(double Decay = 0.1, int Patience = 10, long WarmupSteps = 0) : Schedule(WarmupSteps)
{
    /// <summary>A metric counts as better when it is larger. Default off: a loss.</summary>
    public bool Maximize { get; init; }

    /// <summary>Share of the best value by which a metric must be better, at least 0. Default 1e-4.</summary>
    public double Threshold { get; init; } = 1e-4;

    /// <summary>The threshold is a difference, not a share. Default off.</summary>
    public bool AbsoluteThreshold { get; init; }

    /// <summary>Reports after a fall during which nothing is counted, at least 0. Default 0.</summary>
    public int Cooldown { get; init; }

    /// <summary>Least factor, at least 0. Default 0.</summary>
    public double MinimumFactor { get; init; }

    /// <summary>The factor now.</summary>
    public double Current { get; init; } = 1;

    /// <summary>The best metric so far; null before the first report.</summary>
    public double? Best { get; init; }

    /// <summary>Reports in a row that were no improvement.</summary>
    public int BadReports { get; init; }

    /// <summary>Reports of the cool-down that are left.</summary>
    public int CooldownLeft { get; init; }

    /// <inheritdoc/>
    public override Schedule Report(double metric)
    {
        PlateauSchedule next = IsBetter(metric) ? this with { Best = metric, BadReports = 0 } : this with { BadReports = BadReports + 1 };
        if (CooldownLeft > 0) next = next with { CooldownLeft = CooldownLeft - 1, BadReports = 0 };
        return next.BadReports <= Patience ? next
            : next with { Current = Math.Max(MinimumFactor, Current * Decay), CooldownLeft = Cooldown, BadReports = 0 };
    }

    internal override IEnumerable<string> Problems() =>
        [
            .. base.Problems(),
            .. Unless(Decay is >= 0 and < 1, Decay, nameof(Decay), "at least 0 and below 1"),
            .. AtLeast(0, Patience, nameof(Patience)),
            .. AtLeast(0, Cooldown, nameof(Cooldown)),
            .. Factor(Threshold, nameof(Threshold)),
            .. Factor(MinimumFactor, nameof(MinimumFactor)),
        ];

    private protected override double AfterWarmup(long step) => Current;

    /// <summary>NaN is never better.</summary>
    private bool IsBetter(double metric)
    {
        if (Best is not double best) return !double.IsNaN(metric);
        double margin = AbsoluteThreshold ? Threshold : Threshold * Math.Abs(best);
        return Maximize ? metric > best + margin : metric < best - margin;
    }
}
