namespace OrtCpr.Graph.Optimizers;

/// <summary>See <see cref="Bound.Fixed"/>.</summary>
/// <param name="Kappa">κ in its unit.</param>
/// <param name="Scale">The unit.</param>
internal sealed record FixedBound(double Kappa, KappaScale Scale = KappaScale.Sum) : Bound
{
    public const string MethodName = "uniform";

    internal override BoundKind Kind => BoundKind.Uniform;

    internal override double? Given(Regularizer regularizer, long elements) =>
        Scale == KappaScale.Mean && regularizer != Regularizer.Std ? Kappa * elements : Kappa;

    internal override IEnumerable<string> Problems() => UpdateLink.Unless(Kappa >= 0, "Bound.Fixed: kappa", Kappa, "at least 0");
}
