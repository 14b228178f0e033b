using OrtCpr.Benchmarks.Harness;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Benchmarks.Sides;

/// <summary>Which of our optimizer steps is made.</summary>
/// <param name="Guard">Non-finite guard.</param>
/// <param name="PositiveMultipliers">λ > 0 for every matrix; otherwise λ = 0 for all, with their bounds set.</param>
internal readonly record struct OptimizerVariant(bool Guard, bool PositiveMultipliers);

/// <summary>What our sides have in common.</summary>
internal static class OurSides
{
    private const double BoundBelowAll = 0;
    private const double BoundAboveAll = 1e30;

    /// <summary>AdamCPR with the squared norm and a bound that keeps λ above 0 in every step, or at 0 in every step. R
    /// is measured in each step either way.</summary>
    public static UpdateRule AdamCpr(bool positiveMultipliers, double learningRate) =>
        UpdateRule.AdamCpr(learningRate, constraint: new ConstrainNorm
        {
            KappaInitMethod = KappaInitMethod.Uniform,
            KappaInitParam = positiveMultipliers ? BoundBelowAll : BoundAboveAll,
        });

    /// <summary>AdamCPR as one trains with it, λ above 0 from the first steps on: κ is 0.8 of R at the start.</summary>
    public static UpdateRule ActiveAdamCpr(double learningRate) => UpdateRule.AdamCpr(learningRate, constraint: new ConstrainNorm
    {
        KappaInitMethod = KappaInitMethod.Dependent,
        KappaInitParam = 0.8,
    });

    /// <summary>Looks whether λ is where the measurement says it is.</summary>
    /// <exception cref="BenchmarkException">It is not.</exception>
    public static void CheckMultipliers(OptimizerDriver driver, bool positive)
    {
        if (driver.GetConstraints().FirstOrDefault(c => c.Lambda > 0 != positive) is ConstraintInfo wrong)
        {
            throw new BenchmarkException(
                $"λ of '{wrong.Name}' is {wrong.Lambda}; expected {(positive ? "more than 0" : "0")} for every matrix.");
        }
        if (driver.SkippedSteps > 0)
            throw new BenchmarkException($"{driver.SkippedSteps} of {driver.Steps} steps were skipped since a gradient was not finite.");
    }
}
