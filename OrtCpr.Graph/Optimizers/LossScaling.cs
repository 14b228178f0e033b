namespace OrtCpr.Graph.Optimizers;

/// <summary>How the loss is scaled while training in float16, so that small gradients do not vanish: dynamically, as PyTorch's GradScaler
/// does it.</summary>
/// <remarks>The gradient of the loss is multiplied by the scale and the optimizer divides by it, before clipping: what is reported is
/// unscaled. A step with a gradient that is not finite is skipped and the scale multiplied by <see cref="BackoffFactor"/>; after
/// <see cref="GrowthInterval"/> steps without one it is multiplied by <see cref="GrowthFactor"/>. The scale is state on the device and in
/// checkpoints, and stays at 1 or above.</remarks>
public sealed record LossScaling
{
    /// <summary>The scale before the first step, at least 1. Default 65536.</summary>
    public double InitialScale { get; init; } = 65536;

    /// <summary>What the scale grows by, at least 1; 1 for a scale that never grows. Default 2.</summary>
    public double GrowthFactor { get; init; } = 2;

    /// <summary>What the scale is multiplied by when a step was skipped, between 0 and 1. Default 0.5.</summary>
    public double BackoffFactor { get; init; } = 0.5;

    /// <summary>Steps in a row that must count before the scale grows, at least 1. Default 2000.</summary>
    public long GrowthInterval { get; init; } = 2000;

    /// <summary>The scale does not grow beyond the numbers of float32.</summary>
    internal const double Largest = 1e38;

    internal IEnumerable<string> Problems()
    {
        if (!(InitialScale is >= 1 and <= Largest)) yield return OutOfRange(nameof(InitialScale), InitialScale, "a number from 1 to 1e38");
        if (!(GrowthFactor >= 1 && double.IsFinite(GrowthFactor)))
            yield return OutOfRange(nameof(GrowthFactor), GrowthFactor, "a finite number of at least 1");
        if (!(BackoffFactor is > 0 and < 1)) yield return OutOfRange(nameof(BackoffFactor), BackoffFactor, "a number between 0 and 1");
        if (GrowthInterval < 1) yield return $"{nameof(GrowthInterval)} is {GrowthInterval}; expected at least 1";
    }

    private static string OutOfRange(string name, double value, string expected) =>
        FormattableString.Invariant($"{name} is {value}; expected {expected}");
}
