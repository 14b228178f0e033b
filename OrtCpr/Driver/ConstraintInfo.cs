namespace OrtCpr;

/// <summary>Where a constrained parameter stands.</summary>
public sealed record ConstraintInfo
{
    /// <summary>Name of the constrained parameter in the model.</summary>
    public required string Name { get; init; }

    /// <summary>Lagrange multiplier, at least 0.</summary>
    public required double Lambda { get; init; }

    /// <summary>Bound on R; NaN while not set.</summary>
    public required double Kappa { get; init; }

    /// <summary>R of the parameter, as <see cref="OptimizerDriver.MeasureConstraints"/> found it; NaN where it was not
    /// measured. For a bound per element R is still that of the whole.</summary>
    public double Measure { get; init; } = double.NaN;

    /// <summary>Whether the bound is set.</summary>
    public required bool IsSet { get; init; }

    /// <summary>Whether λ has been above 0 after any step.</summary>
    public required bool EverActive { get; init; }

    /// <summary>Samples of R that the inflection detector has taken.</summary>
    public required long Samples { get; init; }
}
