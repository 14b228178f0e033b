namespace OrtCpr.Tests.Samples;

// The small samples, run as a user runs them, and the README's program.
[TestClass]
public sealed class SmallSampleTests
{
    [TestMethod]
    public void Regression_Learns_AndWritesItsModel()
    {
        using var folder = new TemporaryFolder();
        (int code, string output) = SampleRun.Of("Regression", folder.FolderPath);
        Assert.AreEqual(0, code, output);
        double last = double.Parse(output.Split('\n').Last(l => l.Contains("step 2000", StringComparison.Ordinal)).Split("loss ")[1],
            System.Globalization.CultureInfo.InvariantCulture);
        Assert.IsLessThan(0.002, last);
        StringAssert.Contains(output, "bounds set 3/3");
        Assert.IsTrue(File.Exists(folder["trained.onnx"]));
    }

    [TestMethod]
    public void FineTune_GoesFromTheFirstTaskToTheSecond_BothWays()
    {
        using var folder = new TemporaryFolder();
        (int code, string output) = SampleRun.Of("FineTune", folder.FolderPath, "out");
        Assert.AreEqual(0, code, output);
        double[] accuracies =
            [.. System.Text.RegularExpressions.Regex.Matches(output, "([0-9.]+) %")
            .Select(m => double.Parse(m.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture))];
        Assert.HasCount(6, accuracies, output);
        foreach (double better in accuracies[2..]) Assert.IsGreaterThan(accuracies[1] + 15, better, output);
        Assert.AreEqual(accuracies[4], accuracies[5], 0.2, "merged and apart");
    }

    [TestMethod]
    public void CustomTraining_Runs_AndWritesItsFiles()
    {
        using var folder = new TemporaryFolder();
        (int code, string output) = SampleRun.Of("CustomTraining", folder.FolderPath, "out");
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "bounds set 2/2");
        CollectionAssert.AreEquivalent(new[] { "half.safetensors", "model.onnx" },
            Directory.GetFiles(folder["out"]).Select(Path.GetFileName).ToArray());
    }

    [TestMethod]
    public void ReadmesProgram_IsTheRegressionSample()
    {
        string root = FindRoot();
        string readme = File.ReadAllText(Path.Combine(root, "README.md"));
        int start = readme.IndexOf("```csharp\n", StringComparison.Ordinal) + "```csharp\n".Length;
        string program = readme[start..readme.IndexOf("```", start, StringComparison.Ordinal)];
        Assert.AreEqual(File.ReadAllText(Path.Combine(root, "samples", "Regression", "Program.cs")), program);
    }

    internal static string FindRoot()
    {
        DirectoryInfo? at = new(AppContext.BaseDirectory);
        while (at is not null && !File.Exists(Path.Combine(at.FullName, "OrtCpr.sln"))) at = at.Parent;
        return at?.FullName ?? throw new InvalidOperationException("OrtCpr.sln is in no folder above the tests.");
    }
}
