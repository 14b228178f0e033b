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
            new("adamw", 1, [10, 100, null, 200, 0.9, 50]),
            new("adamw", 2, [14, 300, 310, 200, 0.8, 60]),
            new("adamcpr-l2", 1, [9, 20, 30, 40, 1, 55]),
        ];
        string[] lines = RunSummary.Table(runs).Split('\n');
        string means = lines.Single(l => l.Contains("mean ± deviation", StringComparison.Ordinal));
        foreach (string part in new[] { "2 seeds", "12 ± 3", "200 ± 141", "  -  ", "0.850 ± 0.071", "55 ± 7" })
        {
            StringAssert.Contains(means, part);
        }
        // The reference's runs of the same recipes stand below ours.
        Assert.HasCount(4, lines.Where(l => l.StartsWith("  PyTorch", StringComparison.Ordinal)).ToArray());
        CollectionAssert.AreEqual(new[] { "PyTorch", "1", "70", "-", "-", "1000", "0.016", "62" },
            lines[4].Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
    }
}
