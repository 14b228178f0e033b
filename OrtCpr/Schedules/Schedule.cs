using System.Text.Json.Serialization;

namespace OrtCpr.Schedules;

/// <summary>A factor on a learning rate as a function of the optimizer step, counted from 0.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "schedule")]
[JsonDerivedType(typeof(ConstantSchedule), "constant")]
[JsonDerivedType(typeof(LinearSchedule), "linear")]
[JsonDerivedType(typeof(CosineSchedule), "cosine")]
public abstract record Schedule
{
    private protected Schedule(long warmupSteps)
    {
        if (warmupSteps < 0) throw new DriverException($"{nameof(WarmupSteps)} is {warmupSteps}; expected at least 0.");
        WarmupSteps = warmupSteps;
    }

    /// <summary>Steps over which the factor rises from 0, so that the first step has rate 0; 0 for no warm-up.</summary>
    public long WarmupSteps { get; init; }

    /// <summary>The factor at a step.</summary>
    public double Factor(long step) => step < WarmupSteps ? (double)step / WarmupSteps : AfterWarmup(step - WarmupSteps);

    private protected abstract double AfterWarmup(long step);

    private protected static long AtLeastOne(long steps, string name) => steps >= 1 ? steps : throw new DriverException($"{name} is {steps}; expected at least 1.");

    // How far a schedule of `total` steps (warm-up included) has come behind its warm-up, 0 to 1.
    private protected double Progress(long step, long total) => total <= WarmupSteps ? 1 : Math.Min(1, (double)step / (total - WarmupSteps));
}

/// <summary>1 behind the warm-up.</summary>
public sealed record ConstantSchedule(long WarmupSteps = 0) : Schedule(WarmupSteps)
{
    private protected override double AfterWarmup(long step) => 1;
}

/// <summary>Falls in a line from 1 behind the warm-up to <see cref="FinalFactor"/> at <see cref="TotalSteps"/> and stays there.</summary>
/// <remarks>With the default final factor the true meaning of ONNX Runtime's <c>RegisterLinearLRScheduler(warmup, total, …)</c>.</remarks>
public sealed record LinearSchedule(long TotalSteps, long WarmupSteps = 0, double FinalFactor = 0) : Schedule(WarmupSteps)
{
    /// <summary>Steps until the end, warm-up included; at least 1.</summary>
    public long TotalSteps { get; init; } = AtLeastOne(TotalSteps, nameof(TotalSteps));

    private protected override double AfterWarmup(long step) => 1 - ((1 - FinalFactor) * Progress(step, TotalSteps));
}

/// <summary>Falls along half a cosine from 1 behind the warm-up to <see cref="FinalFactor"/> at <see cref="TotalSteps"/> and stays there.</summary>
public sealed record CosineSchedule(long TotalSteps, long WarmupSteps = 0, double FinalFactor = 0) : Schedule(WarmupSteps)
{
    /// <summary>Steps until the end, warm-up included; at least 1.</summary>
    public long TotalSteps { get; init; } = AtLeastOne(TotalSteps, nameof(TotalSteps));

    private protected override double AfterWarmup(long step) => FinalFactor + ((1 - FinalFactor) * (1 + Math.Cos(Math.PI * Progress(step, TotalSteps))) / 2);
}
