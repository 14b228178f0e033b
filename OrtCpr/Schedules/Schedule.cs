using System.Text.Json.Serialization;
using OrtCpr.Graph;

namespace OrtCpr.Schedules;

/// <summary>A factor on a learning rate, or on another scalar of a group, as a function of the optimizer step, counted from 0.</summary>
/// <remarks>Immutable; a static method makes each kind. Lengths and milestones count from the end of the warm-up, except
/// <c>totalSteps</c> of <see cref="Linear"/>, <see cref="Cosine"/> and <see cref="Polynomial"/>, which counts it in. A
/// schedule that learns something on the way (<see cref="Plateau"/>) gives a new one, so a checkpoint holds all of its
/// state. Numbers out of range are refused by <see cref="Validate"/>, which the driver calls when a schedule is set.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "schedule")]
[JsonDerivedType(typeof(ConstantSchedule), "constant")]
[JsonDerivedType(typeof(LinearSchedule), "linear")]
[JsonDerivedType(typeof(CosineSchedule), "cosine")]
[JsonDerivedType(typeof(PolynomialSchedule), "polynomial")]
[JsonDerivedType(typeof(ExponentialSchedule), "exponential")]
[JsonDerivedType(typeof(StepSchedule), "step")]
[JsonDerivedType(typeof(MultiStepSchedule), "multi_step")]
[JsonDerivedType(typeof(OneCycleSchedule), "one_cycle")]
[JsonDerivedType(typeof(CosineRestartsSchedule), "cosine_restarts")]
[JsonDerivedType(typeof(PlateauSchedule), "plateau")]
[JsonDerivedType(typeof(SequenceSchedule), "sequence")]
public abstract partial record Schedule
{
    private protected Schedule(long warmupSteps) => WarmupSteps = warmupSteps;

    /// <summary>Steps over which the factor rises from 0 to what the schedule starts with, so that the first step has
    /// rate 0; 0 for no warm-up.</summary>
    public long WarmupSteps { get; init; }

    /// <summary>The factor at a step.</summary>
    /// <param name="step">Optimizer steps before this one, at least 0.</param>
    public double Factor(long step) => step < WarmupSteps ? (double)step / WarmupSteps * AfterWarmup(0) : AfterWarmup(step - WarmupSteps);

    /// <summary>The schedule after a metric has been reported: itself, unless it learns from metrics.</summary>
    /// <param name="metric">A validation loss, or whatever the schedule watches.</param>
    public virtual Schedule Report(double metric) => this;

    /// <summary>Checks every property.</summary>
    /// <exception cref="OptionException">Names all that are out of range.</exception>
    public void Validate() => OptionException.ThrowIfAny(
        $"{nameof(Schedule)}.{GetType().Name[..^nameof(Schedule).Length]} has options out of range", [.. Problems()]);

    internal virtual IEnumerable<string> Problems() => AtLeast(0, WarmupSteps, nameof(WarmupSteps));

    private protected abstract double AfterWarmup(long step);

    private protected static IEnumerable<string> AtLeast(long least, long value, string name) =>
        value >= least ? [] : [FormattableString.Invariant($"{name} is {value}; expected at least {least}")];

    private protected static IEnumerable<string> Unless(bool valid, double value, string name, string range) =>
        valid ? [] : [FormattableString.Invariant($"{name} is {value}; expected {range}")];

    private protected static IEnumerable<string> Factor(double value, string name) =>
        Unless(value >= 0 && double.IsFinite(value), value, name, "a finite number of at least 0");
}

/// <summary>A schedule that ends: after <see cref="TotalSteps"/> it stays at <see cref="FinalFactor"/>.</summary>
/// <param name="TotalSteps">Steps until the end, warm-up included; at least 1.</param>
/// <param name="WarmupSteps">Steps of the warm-up. Default 0.</param>
/// <param name="FinalFactor">Factor at the end, at least 0. Default 0.</param>
internal abstract record EndingSchedule(long TotalSteps, long WarmupSteps = 0, double FinalFactor = 0) : Schedule(WarmupSteps)
{
    internal override IEnumerable<string> Problems() =>
        [.. base.Problems(), .. AtLeast(1, TotalSteps, nameof(TotalSteps)), .. Factor(FinalFactor, nameof(FinalFactor))];

    private protected override double AfterWarmup(long step)
    {
        double progress = TotalSteps <= WarmupSteps ? 1 : Math.Min(1, (double)step / (TotalSteps - WarmupSteps));
        return FinalFactor + ((1 - FinalFactor) * Rest(progress));
    }

    /// <summary>From 1 at progress 0 to 0 at progress 1.</summary>
    private protected abstract double Rest(double progress);
}

/// <summary>1 after the warm-up.</summary>
/// <param name="WarmupSteps">Steps of the warm-up. Default 0.</param>
internal sealed record ConstantSchedule(long WarmupSteps = 0) : Schedule(WarmupSteps)
{
    private protected override double AfterWarmup(long step) => 1;
}

/// <summary>Falls in a line from 1 after the warm-up to the final factor.</summary>
/// <remarks>With the default final factor the true meaning of ONNX Runtime's <c>RegisterLinearLRScheduler(warmup, total, …)</c>.</remarks>
internal sealed record LinearSchedule(long TotalSteps, long WarmupSteps = 0, double FinalFactor = 0)
    : EndingSchedule(TotalSteps, WarmupSteps, FinalFactor)
{
    private protected override double Rest(double progress) => 1 - progress;
}

/// <summary>Falls along half a cosine from 1 after the warm-up to the final factor.</summary>
internal sealed record CosineSchedule(long TotalSteps, long WarmupSteps = 0, double FinalFactor = 0)
    : EndingSchedule(TotalSteps, WarmupSteps, FinalFactor)
{
    private protected override double Rest(double progress) => (1 + Math.Cos(Math.PI * progress)) / 2;
}

/// <summary>Falls as a power of what is left, from 1 after the warm-up to the final factor (PyTorch <c>PolynomialLR</c>).</summary>
internal sealed record PolynomialSchedule(long TotalSteps, double Power = 1, long WarmupSteps = 0,
    double FinalFactor = 0) : EndingSchedule(TotalSteps, WarmupSteps, FinalFactor)
{
    internal override IEnumerable<string> Problems() =>
        [.. base.Problems(), .. Unless(Power > 0 && double.IsFinite(Power), Power, nameof(Power), "a finite number above 0")];

    private protected override double Rest(double progress) => Math.Pow(1 - progress, Power);
}
