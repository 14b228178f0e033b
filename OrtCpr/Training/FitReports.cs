using System.Collections.Immutable;

namespace OrtCpr;

/// <summary>What an optimizer step came to.</summary>
public sealed record StepReport
{
    /// <summary>Epoch, from 0.</summary>
    public required long Epoch { get; init; }

    /// <summary>Steps of this fit so far.</summary>
    public required long Step { get; init; }

    /// <summary>Loss of the batches of this step, as one batch of them all would have it.</summary>
    public required double Loss { get; init; }

    /// <summary>Learning rate that the step has used in group 0.</summary>
    public required double LearningRate { get; init; }

    /// <summary>False when a gradient was not finite and the step was skipped. On devices other than the CPU a loss that
    /// is not finite says so.</summary>
    public required bool Applied { get; init; }

    /// <summary>Time since the fit began, earlier sittings of a resumed run included.</summary>
    public required TimeSpan Elapsed { get; init; }

    /// <summary>The losses that the loss is a sum of, before their factors, by name: <c>mse</c>, or <c>mse.boxes</c>
    /// where there are several of a kind. Empty for a loss that is no sum.</summary>
    public IReadOnlyDictionary<string, double> LossTerms { get; init; } = new Dictionary<string, double>();
}

/// <summary>What an epoch came to.</summary>
public sealed record EpochReport
{
    /// <summary>Epoch, from 0.</summary>
    public required long Epoch { get; init; }

    /// <summary>Whether all batches of the epoch have been trained on; false where the run ended inside it. An epoch that a
    /// resumed run finishes is told again.</summary>
    public bool IsWhole { get; init; } = true;

    /// <summary>Steps of this fit so far.</summary>
    public required long Step { get; init; }

    /// <summary>Mean training loss of the epoch, each batch weighted by what its loss divides by (its first
    /// dimension, for sums); skipped steps do not count.</summary>
    public required double Loss { get; init; }

    /// <summary>The evaluation at its end; null when there was none.</summary>
    public EvaluationReport? Validation { get; init; }

    /// <summary>Time since the fit began, earlier sittings of a resumed run included.</summary>
    public required TimeSpan Elapsed { get; init; }

    /// <summary>Steps of the epoch that were skipped since a gradient was not finite.</summary>
    public long SkippedSteps { get; init; }

    /// <summary>Mean loss over the validation batches; null when they were not evaluated.</summary>
    public double? ValidationLoss => Validation?.Loss;
}

/// <summary>What an evaluation came to.</summary>
public sealed record EvaluationReport
{
    /// <summary>Epoch, from 0; -1 outside of a fit.</summary>
    public required long Epoch { get; init; }

    /// <summary>Steps of this fit so far.</summary>
    public required long Step { get; init; }

    /// <summary>The loss as one batch of them all would have it: each batch weighted by what its loss divides by, such as
    /// the labels that count; sums are added. NaN without a batch.</summary>
    public required double Loss { get; init; }

    /// <summary>The figures of <see cref="FitOptions.Metrics"/> by name.</summary>
    public required IReadOnlyDictionary<string, double> Metrics { get; init; }

    /// <summary>Time since the fit began.</summary>
    public required TimeSpan Elapsed { get; init; }

    /// <summary>The same of the sources of <see cref="FitOptions.AlsoEvaluate"/>, by name.</summary>
    public IReadOnlyDictionary<string, EvaluationReport> Also { get; init; } = ImmutableDictionary<string, EvaluationReport>.Empty;

    /// <summary>The losses that the loss is a sum of, before their factors, by name; empty for a loss that is no sum.</summary>
    public IReadOnlyDictionary<string, double> LossTerms { get; init; } = new Dictionary<string, double>();

    /// <summary>How often classes were taken for each other; null where no metric of <see cref="FitOptions.Metrics"/> counts that
    /// (<see cref="Metrics.Metric.Precision"/>, <see cref="Metrics.Metric.Recall"/>, <see cref="Metrics.Metric.F1"/>).</summary>
    public Metrics.ConfusionMatrix? Confusion { get; init; }

    /// <summary>A figure by name: a metric's, or <c>loss</c>.</summary>
    /// <exception cref="DriverException">There is none.</exception>
    public double this[string name] => name == "loss" ? Loss : Metrics.TryGetValue(name, out double value) ? value
        : throw new DriverException($"The evaluation has no figure '{name}'; it has {string.Join(", ", Metrics.Keys.Prepend("loss"))}.");
}

/// <summary>What a fit came to.</summary>
public sealed record FitResult
{
    /// <summary>A report for each epoch of this sitting, the last one also where it was not gone through as a whole.</summary>
    public required IReadOnlyList<EpochReport> Epochs { get; init; }

    /// <summary>Optimizer steps made, skipped ones included.</summary>
    public required long Steps { get; init; }

    /// <summary>Steps that the driver has skipped so far since a gradient was not finite.</summary>
    public required long SkippedSteps { get; init; }

    /// <summary><c>bounds set n/P, ever active m/P</c>.</summary>
    public required string ConstraintSummary { get; init; }

    /// <summary>Time it took.</summary>
    public required TimeSpan Elapsed { get; init; }

    /// <summary>What the fit was warned of before its first step, such as bounds that it is too short to find.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>Steps a second, earlier sittings of a resumed run included; evaluations, and what callbacks do with
    /// them, take no part in it.</summary>
    public double StepsPerSecond { get; init; }
}
