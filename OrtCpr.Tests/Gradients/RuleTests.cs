using OrtCpr.Graph.Gradients;

namespace OrtCpr.Tests.Gradients;

/// <summary>Every gradient rule against central differences.</summary>
[TestClass]
public sealed class RuleTests
{
    public static IEnumerable<object[]> Operators =>
        RuleCases.All.Select(c => c.Op).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).Select(o => new object[] { o });

    [TestMethod]
    [DynamicData(nameof(Operators))]
    public void Gradient_EqualsCentralDifferences(string op) => Check(op, dynamic: false);

    [TestMethod]
    [DynamicData(nameof(Operators))]
    public void Gradient_NeedsNoStaticShapes(string op) => Check(op, dynamic: true);

    [TestMethod]
    public void EveryRule_HasACase() =>
        Assert.IsEmpty(GradientRules.Default.Differentiable.Concat(Decompositions.Operators)
            .Except([.. QuantizationTests.Operators, .. SparseMatrixTests.Operators])
            .Except(RuleCases.All.Select(c => c.Op), StringComparer.Ordinal), "add a row to RuleCases for each");

    /// <summary>All rows of an operator are tried, so that one run shows everything that is wrong with it.</summary>
    private static void Check(string op, bool dynamic)
    {
        var problems = new List<string>();
        foreach (RuleCase row in RuleCases.All.Where(c => c.Op == op && !(dynamic && c.StaticOnly)))
        {
            try
            {
                RuleCheck.Run(row, dynamic);
            }
            catch (Exception error)
            {
                problems.Add($"{row}: {error.GetType().Name}: {error.Message}");
            }
        }
        Assert.IsEmpty(problems, string.Join("", problems.Select(p => $"\n{p}")));
    }
}
