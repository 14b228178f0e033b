namespace OrtCpr.Checkpoints;

/// <summary>Where a run stands beside its tensors: what the caller needs to go on with the same data.</summary>
public sealed record TrainingProgress
{
    /// <summary>Epochs gone through as a whole; the number of the current one, from 0.</summary>
    public long Epoch { get; init; }

    /// <summary>Batches of the current epoch that have been trained on.</summary>
    public long Batch { get; init; }

    /// <summary>State of the caller's random generator, as text of its own form; null for none.</summary>
    public string? RandomState { get; init; }

    /// <summary>Anything else the caller wants back.</summary>
    public IReadOnlyDictionary<string, string> Extra { get; init; } = new Dictionary<string, string>();
}
