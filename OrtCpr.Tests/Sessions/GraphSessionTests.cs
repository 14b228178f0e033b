using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Sessions;

namespace OrtCpr.Tests.Sessions;

/// <summary>What a session writes besides running its graph.</summary>
[TestClass]
public sealed class GraphSessionTests
{
    private static OnnxModel Model()
    {
        OnnxModel model = OnnxModel.Create("sine", 18);
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x", ElementType.Float, Shape.Of(2));
        model.Graph.Outputs.Add(g.Named(GraphBuilder.Typed(g.Op("Sin", [x]), ElementType.Float, Shape.Of(2)), "y"));
        return model;
    }

    /// <summary>A file stands where the folder should be.</summary>
    [TestMethod]
    public void FoldersThatCannotBeMade_AreNamed()
    {
        using var folder = new TemporaryFolder();
        string file = folder["file"];
        File.WriteAllText(file, "");
        using var device = new CpuDevice();
        foreach (DriverOptions options in new[] { new DriverOptions { KeepGraphs = file }, new DriverOptions { Profiles = file } })
        {
            FileAccessException error = Assert.ThrowsExactly<FileAccessException>(() => new GraphSession(Model(), "test", options, device));
            StringAssert.Contains(error.Message, $"'{file}'");
        }
    }

    [TestMethod]
    public void AGraphThatCannotBeKept_IsNamed()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["test.onnx"]);
        using var device = new CpuDevice();
        var options = new DriverOptions { KeepGraphs = folder[""] };
        FileAccessException error = Assert.ThrowsExactly<FileAccessException>(() => new GraphSession(Model(), "test", options, device));
        StringAssert.Contains(error.Message, "test.onnx");
    }
}
