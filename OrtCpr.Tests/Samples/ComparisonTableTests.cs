using Grokking;

namespace OrtCpr.Tests.Samples;

[TestClass]
public sealed class ComparisonTableTests
{
    [TestMethod]
    public void SeveralSeeds_HaveMeanAndDeviation()
    {
        RunSummary[] runs =
        [
            new("adamw", 1, new Milestones(10, 100, null, 200, 0.9, false), 50),
            new("adamw", 2, new Milestones(14, 300, 310, 200, 0.8, false), 60),
            new("adamcpr-l2", 1, new Milestones(9, 20, 30, 40, 1, true), 55),
        ];
        string[] lines = ComparisonTable.Of(runs).Split('\n');
        string means = lines.Single(l => l.Contains("mean ± deviation", StringComparison.Ordinal));
        foreach (string part in new[] { "2 seeds", "12 ± 3", "200 ± 141", "  -  ", "0.850 ± 0.071", "55 ± 7" })
        {
            StringAssert.Contains(means, part);
        }
    }
}
