using System.Collections.Immutable;

namespace OrtCpr;

/// <summary>Checkpoints of a fit: <c>checkpoint.safetensors</c>, the last one, and <c>best.safetensors</c>, that of the
/// best evaluation, in one folder.</summary>
/// <param name="Folder">Made when it is not there.</param>
public sealed record CheckpointOptions(string Folder)
{
    /// <summary>Optimizer steps between two checkpoints; 0 for none but those of <see cref="EveryEpochs"/>. Default 0.</summary>
    public long EverySteps { get; init; }

    /// <summary>Epochs between two checkpoints, at least 1. Default 1.</summary>
    public int EveryEpochs { get; init; } = 1;

    /// <summary>The figure by which <c>best.safetensors</c> is chosen: <c>loss</c> (of the evaluation) or a metric's
    /// name; null for no such file. Default null.</summary>
    public string? Best { get; init; }

    /// <summary>Whether to go on from <c>checkpoint.safetensors</c> where there is one. Default off: an old checkpoint
    /// is written over.</summary>
    public bool Resume { get; init; }

    /// <summary>What decides the run, by name: a learning rate, a seed, the options of a command line. A checkpoint
    /// keeps it, and one of other settings is refused when it is resumed, with every difference named; what the
    /// checkpoint has besides does not count. Default: nothing.</summary>
    public ImmutableDictionary<string, string> Settings { get; init; } = ImmutableDictionary.Create<string, string>(StringComparer.Ordinal);

    /// <summary><c>checkpoint.safetensors</c> in the folder: the last checkpoint, from which a run is resumed.</summary>
    public string LastPath => Path.Combine(Folder, "checkpoint.safetensors");

    /// <summary><c>best.safetensors</c> in the folder: that of the best evaluation, where <see cref="Best"/> asks for one.</summary>
    public string BestPath => Path.Combine(Folder, "best.safetensors");

    internal void AddProblems(List<string> problems, FitOptions fit)
    {
        if (string.IsNullOrWhiteSpace(Folder))
            problems.Add($"{nameof(FitOptions.Checkpoint)}.{nameof(Folder)} is empty; expected a folder");
        if (EverySteps < 0)
            problems.Add($"{nameof(FitOptions.Checkpoint)}.{nameof(EverySteps)} is {EverySteps}; expected 0 for none, or more");
        if (EveryEpochs < 1) problems.Add($"{nameof(FitOptions.Checkpoint)}.{nameof(EveryEpochs)} is {EveryEpochs}; expected at least 1");
        if (Best is null) return;
        if (fit.Validation is null)
            problems.Add($"{nameof(FitOptions.Checkpoint)}.{nameof(Best)} is '{Best}', but there is no {nameof(FitOptions.Validation)}");
        Monitor.AddProblems(problems, $"{nameof(FitOptions.Checkpoint)}.{nameof(Best)}", Best, fit);
    }
}

/// <summary>A figure of evaluations that something waits for.</summary>
internal static class Monitor
{
    public static void AddProblems(List<string> problems, string option, string name, FitOptions fit)
    {
        if (name != "loss" && !fit.Metrics.IsDefault && fit.Metrics.All(m => m.Name != name))
            problems.Add($"{option} is '{name}'; expected one of {string.Join(", ", fit.Metrics.Select(m => m.Name).Prepend("loss"))}");
    }

    /// <summary>Whether a value is better than the best so far by more than a margin. NaN is never better, and anything
    /// is better than NaN.</summary>
    public static bool IsBetter(double value, double best, bool higher, double margin = 0) =>
        !double.IsNaN(value) && (double.IsNaN(best) || (higher ? value > best + margin : value < best - margin));

    public static bool IsHigherBetter(FitOptions fit, string name) =>
        name != "loss" && fit.Metrics.First(m => m.Name == name).HigherIsBetter;
}
