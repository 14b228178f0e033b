namespace OrtCpr;

/// <summary>What an optimizer step came to.</summary>
/// <param name="Epoch">Epoch, from 0.</param>
/// <param name="Step">Steps of this fit so far.</param>
/// <param name="Loss">Loss of the batches of this step, as one batch of them all would have it.</param>
/// <param name="LearningRate">Learning rate that the step has used in group 0.</param>
/// <param name="Applied">False when a gradient was not finite and the step was skipped. On devices other than the CPU a
/// loss that is not finite says so.</param>
/// <param name="Elapsed">Since the fit began, earlier sittings of a resumed run included.</param>
public sealed record StepReport(long Epoch, long Step, double Loss, double LearningRate, bool Applied, TimeSpan Elapsed)
{
    /// <summary>The losses that the loss is a sum of, before their factors, by name: <c>mse</c>, or <c>mse.boxes</c> where there are
    /// several of a kind. Empty for a loss that is no sum.</summary>
    public IReadOnlyDictionary<string, double> LossTerms { get; init; } = new Dictionary<string, double>();
}

/// <summary>What an epoch came to.</summary>
/// <param name="Epoch">Epoch, from 0.</param>
/// <param name="Step">Steps of this fit so far.</param>
/// <param name="Loss">Mean training loss of the epoch, each batch weighted by what its loss divides by (its first dimension, for sums);
/// skipped steps do not count.</param>
/// <param name="Validation">The evaluation at its end; null when there was none.</param>
/// <param name="Elapsed">Since the fit began, earlier sittings of a resumed run included.</param>
public sealed record EpochReport(long Epoch, long Step, double Loss, EvaluationReport? Validation, TimeSpan Elapsed)
{
    /// <summary>Steps of the epoch that were skipped since a gradient was not finite.</summary>
    public long SkippedSteps { get; init; }

    /// <summary>Mean loss over the validation batches; null when they were not evaluated.</summary>
    public double? ValidationLoss => Validation?.Loss;
}

/// <summary>What an evaluation came to.</summary>
/// <param name="Epoch">Epoch, from 0; -1 outside of a fit.</param>
/// <param name="Step">Steps of this fit so far.</param>
/// <param name="Loss">The loss as one batch of them all would have it: each batch weighted by what its loss divides by, such as the labels
/// that count; sums are added. NaN without a batch.</param>
/// <param name="Metrics">The figures of <see cref="FitOptions.Metrics"/> by name.</param>
/// <param name="Elapsed">Since the fit began.</param>
public sealed record EvaluationReport(long Epoch, long Step, double Loss, IReadOnlyDictionary<string, double> Metrics, TimeSpan Elapsed)
{
    /// <summary>The losses that the loss is a sum of, before their factors, by name; empty for a loss that is no sum.</summary>
    public IReadOnlyDictionary<string, double> LossTerms { get; init; } = new Dictionary<string, double>();

    /// <summary>A figure by name: a metric's, or <c>loss</c>.</summary>
    /// <exception cref="DriverException">There is none.</exception>
    public double this[string name] => name == "loss" ? Loss : Metrics.TryGetValue(name, out double value) ? value
        : throw new DriverException($"The evaluation has no figure '{name}'; it has {string.Join(", ", Metrics.Keys.Prepend("loss"))}.");
}

/// <summary>What a fit came to.</summary>
/// <param name="Epochs">A row an epoch.</param>
/// <param name="Steps">Optimizer steps made, skipped ones included.</param>
/// <param name="SkippedSteps">Steps that the driver has skipped so far since a gradient was not finite.</param>
/// <param name="ConstraintSummary"><c>bounds set n/P, ever active m/P</c>.</param>
/// <param name="Elapsed">Time it took.</param>
public sealed record FitResult(IReadOnlyList<EpochReport> Epochs, long Steps, long SkippedSteps, string ConstraintSummary, TimeSpan Elapsed)
{
    /// <summary>What the fit was warned of before its first step, such as bounds that it is too short to find.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];
}
