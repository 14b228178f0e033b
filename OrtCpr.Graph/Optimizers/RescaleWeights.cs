namespace OrtCpr.Graph.Optimizers;

/// <summary>Keeps the global L2 norm of all weights (parameters whose name ends in <c>weight</c>) at what it was after multiplying them once by
/// <see cref="Alpha"/> (Liu et al., Omnigrok, ICLR 2023; the paper's Adam + Rescaling).</summary>
/// <param name="Alpha">Factor on the weights before the first step, above 0. Default 0.8.</param>
public sealed record RescaleWeights(double Alpha = 0.8)
{
    internal static bool AppliesTo(ParameterSpec parameter) => parameter.Name.EndsWith("weight", StringComparison.Ordinal);

    internal IEnumerable<string> Problems() => Alpha > 0 && double.IsFinite(Alpha) ? [] : [$"{nameof(Alpha)} is {Alpha}; expected a finite number above 0"];
}
