using System.Text;
using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Tests.Gradients;

/// <summary>What is differentiated, against the list of all operators, and as docs/operators.md tells it.</summary>
[TestClass]
public sealed class OperatorTableTests
{
    private const string Write = "ORTCPR_WRITE_DOCS";

    /// <summary>Operators with a gradient and a CPU kernel that are refused. To shrink, never to grow.</summary>
    private static readonly string[] Missing =
    [
    ];

    private static readonly HashSet<string> Rules = [.. GradientRules.Default.Differentiable], Constants = [
        .. GradientRules.Default.Operators.Except(Rules)],
        Decomposed = [.. Decompositions.Operators], Raised = [.. UpgradeOpset.Gone];

    private static string? Support(OperatorRow row) =>
        Rules.Contains(row.Key) ? "rule" : Decomposed.Contains(row.Key) ? "by decomposition" : Raised.Contains(row.Key) ? "by opset upgrade"
        : Constants.Contains(row.Key) ? "zero" : null;

    [TestMethod]
    public void EveryOperatorWithAGradient_IsSupported_OrKnownToBeMissing()
    {
        string[] without = [.. OperatorRow.All.Where(r => r is { Class: "gradient", RunsOnCpu: true } && Support(r) is null)
            .Select(r => r.Key)];
        CollectionAssert.AreEquivalent(Missing, without,
            $"without support: {string.Join(", ", without)}; listed as missing: {string.Join(", ", Missing)}");
    }

    [TestMethod]
    public void OperatorDocument_IsMadeFromTheTables()
    {
        string path = Path.Combine(Root(), "docs", "operators.md"), expected = Document();
        if (Environment.GetEnvironmentVariable(Write) == "1") File.WriteAllText(path, expected);
        Assert.IsTrue(File.Exists(path)
            && File.ReadAllText(path) == expected,
            $"docs/operators.md is not what the tables say. Run this test once with {Write}=1, which writes it.");
    }

    private static string Root()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "OrtCpr.sln"))) folder = Path.GetDirectoryName(folder);
        return folder ?? throw new DirectoryNotFoundException("OrtCpr.sln is in no folder above the tests.");
    }

    private static string Document()
    {
        OperatorRow[] rows = [.. OperatorRow.All.Where(r => Support(r) is not null || r is { Class: "gradient", RunsOnCpu: true })];
        OperatorRow[] gradients = [.. rows.Where(r => r.Class == "gradient")];
        var text = new StringBuilder();
        text.Append("# Operators\n\n");
        text.Append(
            "Which operators OrtCpr differentiates, made by a test from the rule tables. Versions are those in force at opsets 9 to 26; "
            + "models below 18, from 1 on, are raised to\n18 first. *rule*: a row of the gradient table; *by decomposition*: "
            + "written out in operators with rules where a gradient passes; *by opset upgrade*: replaced\nby a newer operator; *zero*: "
            + "nothing passes by nature; *refused*: an `UnsupportedGradientException` tells the ways out. "
            + "The last but one column is what the\nretired ONNX Runtime Training 1.19.2 had.\n\n");
        text.Append(
            $"Of {gradients.Length} operators with a gradient and a CPU kernel OrtCpr has {gradients.Count(r => Support(r) is not null)}, "
            + $"ONNX Runtime Training had {gradients.Count(r => r.OrtTraining.StartsWith("yes", StringComparison.Ordinal))}.\n\n");
        text.Append("| operator | versions | OrtCpr | ORT Training 1.19.2 | notes |\n|---|---|---|---|---|\n");
        foreach (OperatorRow row in rows)
            text.Append($"| {row.Key} | {row.Versions} | {Support(row) ?? "refused"} | {row.OrtTraining} | {row.Note} |\n");
        return text.ToString();
    }
}
