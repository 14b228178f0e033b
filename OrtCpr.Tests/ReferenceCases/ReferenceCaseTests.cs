using OrtCpr.Tool.Verify;

namespace OrtCpr.Tests.ReferenceCases;

// Every case of Data/cases through the code that `ortcpr verify` runs.
[TestClass]
public sealed class ReferenceCaseTests
{
    private static IEnumerable<object[]> Cases(string folder) =>
        Directory.EnumerateFiles(Path.Combine(AppContext.BaseDirectory, "Data", "cases", folder), "*.safetensors")
            .Order(StringComparer.Ordinal)
            .Select(f => new object[] { Path.GetFileNameWithoutExtension(f), f });

    public static IEnumerable<object[]> Operators => Cases("ops");

    public static IEnumerable<object[]> Models => Cases("models");

    public static IEnumerable<object[]> OptimizerRuns => Cases("optimizer").Concat(Cases("trajectories"));

    [TestMethod]
    [DynamicData(nameof(Operators))]
    public void OperatorGradient_EqualsPyTorch(string name, string path) => Passes(name, path, new DriverOptions { Threads = 1 });

    [TestMethod]
    [DynamicData(nameof(Models))]
    public void ModelGradient_EqualsPyTorch(string name, string path) => Passes(name, path, new DriverOptions { Threads = 2 });

    [TestMethod]
    [DynamicData(nameof(OptimizerRuns))]
    public void Run_EqualsPyTorch_WithKernels(string name, string path) => Passes(name, path, new DriverOptions { Threads = 2 });

    [TestMethod]
    [DynamicData(nameof(OptimizerRuns))]
    public void Run_EqualsPyTorch_WithBodies(string name, string path) =>
        Passes(name, path, new DriverOptions { Threads = 2, Kernels = false });

    private static void Passes(string name, string path, DriverOptions options)
    {
        CaseResult result = CaseRunner.Run(path, options);
        Assert.IsTrue(result.Passed, $"{name}: {result.Message}");
        Assert.IsGreaterThan(0, result.Compared);
    }
}
