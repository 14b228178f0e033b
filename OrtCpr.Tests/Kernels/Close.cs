using OrtCpr.Kernels;

namespace OrtCpr.Tests.Kernels;

/// <summary>Comparison of float32 results with a float64 reference, scaled by what is expected.</summary>
internal static class Close
{
    /// <summary>Of the largest expected element: some ten roundings of 6e-8 a step, over seven steps.</summary>
    private const double OfLargest = 4e-6;

    /// <summary>Of the element itself, for tensors whose elements differ by orders of magnitude.</summary>
    private const double OfElement = 1e-5;

    /// <summary>Of R: block sums in float lanes, and a κ that is itself rounded to float.</summary>
    private const double OfMeasure = 1e-6;

    /// <summary>Of the largest parameter: its float rounding of 6e-8 a step, which R of values around 10 ± 0.1 sees enlarged.</summary>
    private const double OfParameter = 6e-8 * UpdateScenario.Steps;

    public static void AssertEqual(double[] expected, ReadOnlySpan<float> actual, string what)
    {
        Assert.AreEqual(expected.Length, actual.Length, what);
        double largest = expected.Length == 0 ? 0 : expected.Max(Math.Abs);
        for (int i = 0; i < expected.Length; i++)
        {
            // The negation catches NaN.
            if (!(Math.Abs(actual[i] - expected[i]) <= (OfLargest * largest) + (OfElement * Math.Abs(expected[i]))))
                Assert.Fail($"{what}[{i}]: expected {expected[i]:R}, found {actual[i]:R}");
        }
    }

    public static void AssertState(ReferenceUpdate expected, float[][] actual, in ConstraintState constraint, UpdateScenario scenario,
        int step)
    {
        string where = $"{scenario.Variant.Name}, length {scenario.Length}, step {step}: ";
        AssertEqual(expected.Parameter, actual[0], where + "parameter");
        AssertEqual(expected.ExpAvg, actual[1], where + "exp_avg");
        AssertEqual(expected.ExpAvgSq, actual[2], where + "exp_avg_sq");
        if (scenario.Variant.AmsGrad)
            AssertEqual(expected.MaxExpAvgSq, actual[3], where + "max_exp_avg_sq");
        if (scenario.Method is not null)
            AssertConstraint(expected, constraint, scenario, where);
    }

    private static void AssertConstraint(ReferenceUpdate expected, in ConstraintState actual, UpdateScenario scenario, string where)
    {
        double measure = ReferenceRegularizer.Value(scenario.Variant.Regularizer!.Value, expected.Parameter);
        double tolerance = (OfMeasure * measure)
            + (OfParameter * expected.Parameter.Select(Math.Abs).DefaultIfEmpty().Max());
        Assert.AreEqual(expected.IsSet, actual.IsSet, where + "set");
        if (expected.IsSet)
            Assert.AreEqual(expected.Kappa, actual.Kappa, tolerance, where + "kappa");
        else
            Assert.IsTrue(double.IsNaN(actual.Kappa), where + "an unset kappa stays what it was");
        double lambdaTolerance = (OfElement * expected.Lambda) + (UpdateScenario.Steps * scenario.KappaUpdate * tolerance);
        Assert.AreEqual(expected.Lambda, actual.Lambda, lambdaTolerance, where + "lambda");
        Assert.AreEqual(expected.Samples.Count, actual.Samples, where + "samples");
        if (expected.Samples.Count > 0)
            Assert.AreEqual(expected.Samples[^1], actual.LastSample, tolerance, where + "e1");
        if (expected.Samples.Count > 1)
            Assert.AreEqual(expected.Samples[^2], actual.EarlierSample, tolerance, where + "e2");
    }
}
