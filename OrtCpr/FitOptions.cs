using System.Collections.Immutable;
using OrtCpr.Graph;

namespace OrtCpr;

/// <summary>How <see cref="Trainer.Fit(IEnumerable{Batch}, FitOptions?, CancellationToken)"/> goes through its batches.</summary>
public sealed record FitOptions
{
    /// <summary>Times that all batches are gone through, at least 1. Default 1.</summary>
    public long Epochs { get; init; } = 1;

    /// <summary>Optimizer steps after which the run ends, at least 1. Default: no limit.</summary>
    public long MaxSteps { get; init; } = long.MaxValue;

    /// <summary>Batches whose mean gradient makes one optimizer step, at least 1. Default 1.</summary>
    public int GradientAccumulation { get; init; } = 1;

    /// <summary>Batches to evaluate on; their mean loss goes to the callbacks and to schedules that wait for a plateau. Default: none.</summary>
    public Func<IEnumerable<Batch>>? Validation { get; init; }

    /// <summary>Epochs between two evaluations, at least 1. Default 1.</summary>
    public int EvaluateEvery { get; init; } = 1;

    /// <summary>Told after each step. Default: nobody.</summary>
    public IProgress<StepReport>? Progress { get; init; }

    /// <summary>Called in order after each step and each epoch. Default: none.</summary>
    public ImmutableArray<TrainerCallback> Callbacks { get; init; } = [];

    /// <summary>Checks every property.</summary>
    /// <exception cref="OptionException">Names all that are out of range.</exception>
    public void Validate()
    {
        var problems = new List<string>();
        if (Epochs < 1) problems.Add($"{nameof(Epochs)} is {Epochs}; expected at least 1");
        if (MaxSteps < 1) problems.Add($"{nameof(MaxSteps)} is {MaxSteps}; expected at least 1");
        if (GradientAccumulation < 1) problems.Add($"{nameof(GradientAccumulation)} is {GradientAccumulation}; expected at least 1");
        if (EvaluateEvery < 1) problems.Add($"{nameof(EvaluateEvery)} is {EvaluateEvery}; expected at least 1");
        if (Callbacks.IsDefault) problems.Add($"{nameof(Callbacks)} is not set; expected a list, empty for none");
        OptionException.ThrowIfAny("The fit has options out of range", problems);
    }
}

/// <summary>After an optimizer step.</summary>
/// <param name="Epoch">Epoch, from 0.</param>
/// <param name="Step">Steps of this fit so far.</param>
/// <param name="Loss">Mean loss of the batches of this step.</param>
/// <param name="LearningRate">Learning rate that the next step uses in group 0.</param>
/// <param name="Applied">False when a gradient was not finite and the step was skipped.</param>
/// <param name="Elapsed">Since the fit began.</param>
public sealed record StepReport(long Epoch, long Step, double Loss, double LearningRate, bool Applied, TimeSpan Elapsed);

/// <summary>After an epoch.</summary>
/// <param name="Epoch">Epoch, from 0.</param>
/// <param name="Step">Steps of this fit so far.</param>
/// <param name="Loss">Mean training loss of the epoch, each batch weighted by its first dimension.</param>
/// <param name="ValidationLoss">Mean loss over the validation batches; null when they were not evaluated.</param>
/// <param name="Elapsed">Since the fit began.</param>
public sealed record EpochReport(long Epoch, long Step, double Loss, double? ValidationLoss, TimeSpan Elapsed);

/// <summary>What a fit came to.</summary>
/// <param name="Epochs">A row an epoch.</param>
/// <param name="Steps">Optimizer steps made, skipped ones included.</param>
/// <param name="SkippedSteps">Steps that the driver has skipped so far since a gradient was not finite.</param>
/// <param name="ConstraintSummary"><c>bounds set n/P, ever active m/P</c>.</param>
/// <param name="Elapsed">Time it took.</param>
public sealed record FitResult(IReadOnlyList<EpochReport> Epochs, long Steps, long SkippedSteps, string ConstraintSummary, TimeSpan Elapsed);

/// <summary>Told what happens in a fit, and able to end it.</summary>
public abstract class TrainerCallback
{
    /// <summary>After an optimizer step.</summary>
    public virtual void OnStepEnd(Trainer trainer, StepReport report, FitControl control)
    {
    }

    /// <summary>After an epoch and its evaluation.</summary>
    public virtual void OnEpochEnd(Trainer trainer, EpochReport report, FitControl control)
    {
    }
}

/// <summary>By which a callback ends a fit.</summary>
public sealed class FitControl
{
    /// <summary>Set to end the fit behind the step or epoch at hand.</summary>
    public bool StopRequested { get; set; }
}
