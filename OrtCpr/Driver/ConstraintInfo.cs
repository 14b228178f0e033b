namespace OrtCpr;

/// <summary>Where a constrained parameter stands.</summary>
/// <param name="Name">The parameter.</param>
/// <param name="Lambda">Lagrange multiplier, at least 0.</param>
/// <param name="Kappa">Bound on R; NaN while not set.</param>
/// <param name="IsSet">Whether the bound is set.</param>
/// <param name="EverActive">Whether λ has been above 0 after any step.</param>
/// <param name="Samples">Samples of R that the inflection detector has taken.</param>
public sealed record ConstraintInfo(string Name, double Lambda, double Kappa, bool IsSet, bool EverActive, long Samples);

/// <summary>Where a constrained parameter stands, R included.</summary>
/// <param name="Name">The parameter.</param>
/// <param name="Lambda">Lagrange multiplier, at least 0.</param>
/// <param name="Kappa">Bound on R; NaN while not set.</param>
/// <param name="Measure">R of the parameter; for a bound per element R is still that of the whole.</param>
/// <param name="IsSet">Whether the bound is set.</param>
public sealed record ConstraintMeasure(string Name, double Lambda, double Kappa, double Measure, bool IsSet);
