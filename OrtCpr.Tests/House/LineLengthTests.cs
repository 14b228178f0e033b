namespace OrtCpr.Tests.House;

/// <summary>Lines of code have at most 140 columns.</summary>
[TestClass]
public sealed class LineLengthTests
{
    private const int Columns = 140;

    // Folders that are not done yet, without what lies below them. The list may only shrink: a folder whose lines all
    // fit must go.
    private static readonly string[] NotDone =
    [
        "OrtCpr.Graph",
        "OrtCpr.Graph/Adapters",
        "OrtCpr.Graph/Onnx",
        "OrtCpr.Graph/Optimizers",
        "OrtCpr.Graph/OrtTraining",
        "OrtCpr.Graph/Passes",
        "OrtCpr.Tests",
        "OrtCpr.Tests/Adapters",
        "OrtCpr.Tests/Checkpoints",
        "OrtCpr.Tests/CustomOps",
        "OrtCpr.Tests/DataSources",
        "OrtCpr.Tests/Devices",
        "OrtCpr.Tests/Driver",
        "OrtCpr.Tests/Export",
        "OrtCpr.Tests/Functions",
        "OrtCpr.Tests/Gradcheck",
        "OrtCpr.Tests/House",
        "OrtCpr.Tests/Kernels",
        "OrtCpr.Tests/Logging",
        "OrtCpr.Tests/Metrics",
        "OrtCpr.Tests/Onnx",
        "OrtCpr.Tests/Optimizers",
        "OrtCpr.Tests/OrtTraining",
        "OrtCpr.Tests/ReferenceCases",
        "OrtCpr.Tests/Samples",
        "OrtCpr.Tests/Tool",
        "OrtCpr.Tool",
        "OrtCpr.Tool/Artifacts",
        "OrtCpr.Tool/Figures",
        "OrtCpr.Tool/Gradcheck",
        "OrtCpr.Tool/Inspect",
        "OrtCpr.Tool/Train",
        "OrtCpr.Tool/Verify",
        "samples/Cifar100",
        "samples/CustomTraining",
        "samples/ExistingPipeline",
        "samples/FineTune",
        "samples/Gpt2",
        "samples/Grokking",
        "samples/Shared",
    ];

    [TestMethod]
    public void Lines_HaveAtMost140Columns()
    {
        string[] problems = [.. Long().Where(l => !NotDone.Contains(l.Folder)).Select(l => $"{l.Path}({l.Line}): {l.Length} columns")];
        Assert.IsEmpty(problems, string.Join('\n', problems));
    }

    [TestMethod]
    public void FoldersWithoutLongLines_AreNoExceptions()
    {
        string[] done = [.. NotDone.Except(Long().Select(l => l.Folder))];
        Assert.IsEmpty(done, $"Take these out of the list of exceptions: {string.Join(", ", done)}");
    }

    private static IEnumerable<(string Folder, string Path, int Line, int Length)> Long() =>
        Repository.Sources().SelectMany(source => source.Lines
            .Select((line, i) => (source.Path[..Math.Max(0, source.Path.LastIndexOf('/'))], source.Path, i + 1, line.Length))
            .Where(line => line.Length > Columns));
}
