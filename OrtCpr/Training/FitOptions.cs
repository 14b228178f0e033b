using System.Collections.Immutable;
using OrtCpr.Graph;
using OrtCpr.Metrics;

namespace OrtCpr;

/// <summary>How <see cref="Trainer.Fit"/> goes through its batches.</summary>
public sealed record FitOptions
{
    /// <summary>Times that all batches are gone through, at least 1. Default 1.</summary>
    public long Epochs { get; init; } = 1;

    /// <summary>Optimizer steps after which the run ends, at least 1. Default: no limit.</summary>
    public long MaxSteps { get; init; } = long.MaxValue;

    /// <summary>Batches that make one optimizer step, that of one batch of them all, at least 1. Default 1.</summary>
    /// <remarks>Each counts by what its loss divides by, such as the labels that count. The terms of a sum of losses that divide by
    /// different things have no common weight: such batches count by their examples, with a warning.</remarks>
    public int GradientAccumulation { get; init; } = 1;

    /// <summary>What to evaluate on, as a rule a <see cref="Data.DataLoader"/>, its first epoch each time; <see
    /// cref="BatchSource.From(Func{long, IEnumerable{Batch}})"/> makes one of any batches. Loss and metrics go
    /// to the callbacks, the loss to schedules that wait for a plateau. Default: none.</summary>
    public BatchSource? Validation { get; init; }

    /// <summary>Further sources that each evaluation goes through after <see cref="Validation"/>, by names of letters,
    /// digits and underscores: the training examples in whole, say. Loss and metrics of each are in <see
    /// cref="EvaluationReport.Also"/> and in logs as <c>NAME_loss</c>, <c>NAME_…</c>; nothing waits for them. Default:
    /// none.</summary>
    public ImmutableArray<(string Name, BatchSource Source)> AlsoEvaluate { get; init; } = [];

    /// <summary>Figures of an evaluation beside the loss. Default: none.</summary>
    public ImmutableArray<Metric> Metrics { get; init; } = [];

    /// <summary>Epochs between two evaluations, at least 1. Default 1.</summary>
    public int EvaluateEvery { get; init; } = 1;

    /// <summary>Says for each epoch, counted from 0, whether it ends with an evaluation, in place of <see
    /// cref="EvaluateEvery"/>. Default: null.</summary>
    public Func<long, bool>? EvaluateWhen { get; init; }

    /// <summary>Optimizer steps between two evaluations, in place of <see cref="EvaluateEvery"/>; 0 for none. Default 0.</summary>
    public long EvaluateEverySteps { get; init; }

    /// <summary>Checkpoints on the way, and going on from one. Default: none.</summary>
    public CheckpointOptions? Checkpoint { get; init; }

    /// <summary>Optimizer steps of an epoch; null for what <see cref="BatchSource.BatchesPerEpoch"/> of the source
    /// comes to, if it knows it. Default null.</summary>
    /// <remarks>Callbacks get options in which it is filled in.</remarks>
    public long? StepsPerEpoch { get; init; }

    /// <summary>Steps of the whole run as far as the options tell; null when they do not.</summary>
    public long? TotalSteps => StepsPerEpoch is long n && n <= long.MaxValue / Math.Max(1, Epochs) ? Math.Min(MaxSteps, n * Epochs)
        : MaxSteps == long.MaxValue ? null : MaxSteps;

    /// <summary>Told after each step. Default: nobody.</summary>
    public IProgress<StepReport>? Progress { get; init; }

    /// <summary>Share that a step keeps of the exponential mean of the trained weights over time, above 0 and below 1, such as
    /// 0.999; null for no mean. Default: none.</summary>
    /// <remarks>Training goes on with the weights themselves; evaluations, the best checkpoint and, when the fit is over, the
    /// driver have the mean. The last checkpoint has both, so a run that is resumed goes on bit for bit. Early steps keep less:
    /// step t at most (1 + t)/(10 + t). Running statistics are those of the weights, and not averaged. Takes the memory of the
    /// weights once more.</remarks>
    public double? WeightAverage { get; init; }

    /// <summary>Called in order after each step and each epoch. Default: none.</summary>
    public ImmutableArray<TrainerCallback> Callbacks { get; init; } = [];

    /// <summary>The same for a source: with the number of its steps where nobody has given one.</summary>
    internal FitOptions For(BatchSource source) =>
        StepsPerEpoch is null && GradientAccumulation >= 1 && source.BatchesPerEpoch is long batches and > 0
            ? this with { StepsPerEpoch = 1 + ((batches - 1) / GradientAccumulation) } : this;

    /// <summary>Tells the callbacks something that the user should know; set while a fit runs.</summary>
    internal Action<string>? Warned { get; init; }

    internal bool EvaluatesAfter(long epoch) => EvaluateWhen?.Invoke(epoch) ?? (epoch + 1) % EvaluateEvery == 0;

    /// <summary>Checks every property.</summary>
    /// <exception cref="OptionException">Names all that are out of range.</exception>
    public void Validate()
    {
        var problems = new List<string>();
        if (Epochs < 1) problems.Add($"{nameof(Epochs)} is {Epochs}; expected at least 1");
        if (MaxSteps < 1) problems.Add($"{nameof(MaxSteps)} is {MaxSteps}; expected at least 1");
        if (GradientAccumulation < 1) problems.Add($"{nameof(GradientAccumulation)} is {GradientAccumulation}; expected at least 1");
        if (EvaluateEverySteps < 0) problems.Add($"{nameof(EvaluateEverySteps)} is {EvaluateEverySteps}; expected 0 for none, or more");
        if (StepsPerEpoch < 1) problems.Add($"{nameof(StepsPerEpoch)} is {StepsPerEpoch}; expected at least 1, or null");
        if (Metrics.IsDefault)
        {
            problems.Add($"{nameof(Metrics)} is not set; expected a list, empty for none");
        }
        else
        {
            problems.AddRange(Metrics.GroupBy(m => m.Name).Where(m => m.Count() > 1)
                .Select(m => $"{nameof(Metrics)} has several of the name '{m.Key}'"));
        }
        AddProblemsOfNames(problems);
        Checkpoint?.AddProblems(problems, this);
        if (WeightAverage is double decay && !(decay is > 0 and < 1))
        {
            problems.Add(string.Create(System.Globalization.CultureInfo.InvariantCulture,
                $"{nameof(WeightAverage)} is {decay}; expected a number above 0 and below 1, or null for no mean"));
        }
        if (EvaluateEvery < 1) problems.Add($"{nameof(EvaluateEvery)} is {EvaluateEvery}; expected at least 1");
        if (Callbacks.IsDefault) problems.Add($"{nameof(Callbacks)} is not set; expected a list, empty for none");
        OptionException.ThrowIfAny("The fit has options out of range", problems);
    }

    private void AddProblemsOfNames(List<string> problems)
    {
        if (AlsoEvaluate.IsDefault)
        {
            problems.Add($"{nameof(AlsoEvaluate)} is not set; expected a list, empty for none");
            return;
        }
        if (AlsoEvaluate.Length > 0 && Validation is null)
            problems.Add($"{nameof(AlsoEvaluate)} is given, but there is no {nameof(Validation)} whose evaluations it goes with");
        foreach (IGrouping<string, string> name in AlsoEvaluate.Select(s => s.Name).GroupBy(n => n))
        {
            if (name.Count() > 1) problems.Add($"{nameof(AlsoEvaluate)} has several of the name '{name.Key}'");
            if (name.Key.Length == 0 || name.Key == "validation" || name.Key.Any(c => !char.IsLetterOrDigit(c) && c != '_'))
            {
                problems.Add($"{nameof(AlsoEvaluate)} has the name '{name.Key}'; expected letters, digits and underscores, and another "
                    + "name than 'validation'");
            }
        }
    }
}
