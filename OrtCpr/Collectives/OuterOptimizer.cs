using OrtCpr.Graph;

namespace OrtCpr;

/// <summary>Few exchanges: each rank makes optimizer steps of its own, and now and then all move to a point that an outer optimizer finds
/// from the mean of their ways (DiLoCo, arXiv 2311.08105): for networks that are slow beside the steps.</summary>
/// <remarks>Until every bound κ is set, ranks exchange gradients in each step, so that all have the same bounds. After that moments and λ
/// are each rank's own. An evaluation, a checkpoint and the end of a fit make an outer step first. A run that goes on from a checkpoint has
/// moments and λ of the first rank on all, and an outer momentum of 0.</remarks>
public sealed record OuterOptimizer
{
    /// <summary>Optimizer steps between two exchanges, at least 1. Default 500, that of the paper.</summary>
    public long Interval { get; init; } = 500;

    /// <summary>Learning rate of the outer steps, above 0. Default 0.7, that of the paper.</summary>
    public double LearningRate { get; init; } = 0.7;

    /// <summary>Momentum of the outer steps by Nesterov, at least 0 and below 1. Default 0.9, that of the paper.</summary>
    public double Momentum { get; init; } = 0.9;

    /// <summary>Optimizer steps with exchanged gradients before the first one without, at least 0; where bounds are set later, more.
    /// Default 0.</summary>
    public long SynchronousSteps { get; init; }

    /// <summary>In which type differences are sent: Float (default), or Float16 or BFloat16 for half the bytes.</summary>
    public ElementType ExchangeType { get; init; } = ElementType.Float;

    internal IEnumerable<string> Problems()
    {
        if (Interval < 1) yield return $"{nameof(OuterOptimizer)}.{nameof(Interval)} is {Interval}; expected at least 1";
        if (!(LearningRate > 0 && double.IsFinite(LearningRate)))
        {
            yield return FormattableString.Invariant(
                $"{nameof(OuterOptimizer)}.{nameof(LearningRate)} is {LearningRate}; expected a finite number above 0");
        }
        if (!(Momentum is >= 0 and < 1))
        {
            yield return FormattableString.Invariant(
                $"{nameof(OuterOptimizer)}.{nameof(Momentum)} is {Momentum}; expected at least 0 and below 1");
        }
        if (SynchronousSteps < 0)
            yield return $"{nameof(OuterOptimizer)}.{nameof(SynchronousSteps)} is {SynchronousSteps}; expected at least 0";
        if (ExchangeType is not (ElementType.Float or ElementType.Float16 or ElementType.BFloat16))
        {
            yield return $"{nameof(OuterOptimizer)}.{nameof(ExchangeType)} is {ExchangeType}; expected {ElementType.Float}, "
                + $"{ElementType.Float16} or {ElementType.BFloat16}";
        }
    }
}
