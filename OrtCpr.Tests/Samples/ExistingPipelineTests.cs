extern alias before;

using ExistingPipeline;

namespace OrtCpr.Tests.Samples;

[TestClass]
public sealed class ExistingPipelineTests
{
    [TestMethod]
    public void TheSameSource_RunsOnStockOnnxRuntime_AndGoesOnWithAdamCpr()
    {
        using TemporaryFolder folder = new();
        string artifacts = Path.Combine(AppContext.BaseDirectory, "mlp");
        typeof(Pipeline).Assembly.EntryPoint!.Invoke(null, [new[] { artifacts, folder.FolderPath }]);
        Assert.IsTrue(File.Exists(folder["inference.onnx"]));
        Assert.IsTrue(File.Exists(folder["adamcpr/inference.onnx"]));
        // Trained on: the step of the second job goes on from the first.
        var state = OrtCpr.Graph.OrtTraining.OrtCheckpoint.Load(folder["adamcpr/checkpoint"]);
        Assert.AreEqual(300, state.Optimizer!.Step);
        CollectionAssert.Contains(state.Optimizer.States.First(s => s.Parameter == "0.weight").Momentums.Select(m => m.Name).ToArray(),
            "cpr_lambda");
    }

    [TestMethod]
    public void Before_CompilesFromTheSameSource_AndOnlyThrows()
    {
        using TemporaryFolder folder = new();
        Assert.Throws<Exception>(() =>
            before::ExistingPipeline.Pipeline.Run(Path.Combine(AppContext.BaseDirectory, "mlp"), folder.FolderPath, 1));
    }
}
