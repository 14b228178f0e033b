using System.Collections.Immutable;

namespace OrtCpr.Schedules;

/// <summary>One cycle (Smith; PyTorch <c>OneCycleLR</c>): up from 1/<see cref="StartDivisor"/> to 1, then down to far
/// below the start. The learning rate of the group is the peak.</summary>
/// <param name="TotalSteps">Steps of the cycle after the warm-up, at least 2; after it the factor stays.</param>
/// <param name="RisingShare">Share of the cycle that rises, in (0, 1). Default 0.3.</param>
/// <param name="WarmupSteps">Steps of a warm-up in front of the cycle. Default 0.</param>
internal sealed record OneCycleSchedule(long TotalSteps, double RisingShare = 0.3, long WarmupSteps = 0) : Schedule(WarmupSteps)
{
    /// <summary>Peak over start, at least 1. Default 25.</summary>
    public double StartDivisor { get; init; } = 25;

    /// <summary>Start over end, at least 1. Default 1e4.</summary>
    public double EndDivisor { get; init; } = 1e4;

    /// <summary>Straight lines instead of half cosines. Default off.</summary>
    public new bool Linear { get; init; }

    internal override IEnumerable<string> Problems() =>
        [
            .. base.Problems(),
            .. AtLeast(2, TotalSteps, nameof(TotalSteps)),
            .. Unless(RisingShare is > 0 and < 1, RisingShare, nameof(RisingShare), "above 0 and below 1"),
            .. Unless(
                StartDivisor >= 1 && double.IsFinite(StartDivisor), StartDivisor, nameof(StartDivisor), "a finite number of at least 1"),
            .. Unless(EndDivisor >= 1 && double.IsFinite(EndDivisor), EndDivisor, nameof(EndDivisor), "a finite number of at least 1"),
        ];

    private protected override double AfterWarmup(long step)
    {
        double start = 1 / StartDivisor, end = start / EndDivisor, peak = (RisingShare * TotalSteps) - 1, last = TotalSteps - 1;
        if (step <= peak) return Between(start, 1, step / peak);
        return Between(1, end, peak < last ? Math.Min(1, (step - peak) / (last - peak)) : 1);
    }

    private double Between(double from, double to, double progress) =>
        Linear ? from + ((to - from) * progress) : to + ((from - to) * (1 + Math.Cos(Math.PI * progress)) / 2);
}

/// <summary>Half cosines from 1 to <see cref="FinalFactor"/>, one after the other (SGDR; PyTorch
/// <c>CosineAnnealingWarmRestarts</c>).</summary>
/// <param name="FirstCycle">Steps of the first cycle, at least 1.</param>
/// <param name="CycleFactor">Each cycle is that many times as long as the one before, at least 1. Default 1.</param>
/// <param name="FinalFactor">Factor at the end of each cycle, at least 0. Default 0.</param>
/// <param name="WarmupSteps">Steps of the warm-up. Default 0.</param>
internal sealed record CosineRestartsSchedule(long FirstCycle, int CycleFactor = 1, double FinalFactor = 0,
    long WarmupSteps = 0) : Schedule(WarmupSteps)
{
    internal override IEnumerable<string> Problems() =>
        [.. base.Problems(), .. AtLeast(1, FirstCycle, nameof(FirstCycle)), .. AtLeast(1, CycleFactor, nameof(CycleFactor)),
            .. Factor(FinalFactor, nameof(FinalFactor))];

    private protected override double AfterWarmup(long step)
    {
        long cycle = FirstCycle;
        if (CycleFactor == 1) step %= cycle;
        while (step >= cycle)
        {
            step -= cycle;
            cycle *= CycleFactor;
        }
        return FinalFactor + ((1 - FinalFactor) * (1 + Math.Cos(Math.PI * step / cycle)) / 2);
    }
}

/// <summary>Schedules one after the other; each counts its steps from where it begins (PyTorch <c>SequentialLR</c>).</summary>
/// <param name="Schedules">At least one; each may have a warm-up of its own.</param>
/// <param name="Milestones">Steps at which the second, third … begin: rising, one fewer than there are schedules.</param>
/// <param name="WarmupSteps">Steps of a warm-up in front of all. Default 0.</param>
internal sealed record SequenceSchedule(ImmutableArray<Schedule> Schedules, ImmutableArray<long> Milestones,
    long WarmupSteps = 0) : Schedule(WarmupSteps)
{
    /// <inheritdoc/>
    /// <remarks>Every part hears it.</remarks>
    public override Schedule Report(double metric) => this with { Schedules = [.. Schedules.Select(s => s.Report(metric))] };

    internal override IEnumerable<string> Problems()
    {
        List<string> problems = [.. base.Problems()];
        if (Schedules.IsDefaultOrEmpty) return [.. problems, $"{nameof(Schedules)} is empty; expected at least one"];
        problems.AddRange(Schedules.SelectMany((s, i) => s.Problems().Select(p => $"{nameof(Schedules)}[{i}]: {p}")));
        int milestones = Milestones.IsDefault ? 0 : Milestones.Length;
        if (milestones != Schedules.Length - 1)
        {
            problems.Add(
                $"{nameof(Milestones)} has {milestones} entries; expected {Schedules.Length - 1}, one fewer than there are schedules");
        }
        else if (milestones > 0)
        {
            problems.AddRange(MultiStepSchedule.Rising(Milestones, nameof(Milestones)));
        }
        return problems;
    }

    private protected override double AfterWarmup(long step)
    {
        int part = Milestones.IsDefault ? 0 : Milestones.Count(m => step >= m);
        return Schedules[part].Factor(step - (part == 0 ? 0 : Milestones[part - 1]));
    }
}
