using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tests.Driver;

/// <summary>A step that ONNX Runtime stops in the middle leaves nothing that a later step would use.</summary>
[TestClass]
public sealed class FailedStepTests
{
    private static TrainingDriver Create(bool kernels) => new(
        TrainingGraphBuilder.Build(TestModels.BatchNormalized(), new TrainingOptions
        {
            Optimizer = new() { Groups = [UpdateRule.AdamW(1e-2, 0.1)] },
        }),
        new DriverOptions { Threads = 1, Kernels = kernels });

    // Labels up to 999 of a model with three classes: the loss stops, after the normalisation has written its pending statistics.
    private static Batch Wrong() => TestModels.Batch(6, classes: 1000, seed: 5);

    [TestMethod]
    [DataRow(true, false, DisplayName = "kernels, first batch of a step")]
    [DataRow(true, true, DisplayName = "kernels, accumulating")]
    [DataRow(false, false, DisplayName = "bodies, first batch of a step")]
    [DataRow(false, true, DisplayName = "bodies, accumulating")]
    public void NothingOfIt_IsUsed(bool kernels, bool accumulating)
    {
        using TrainingDriver driver = Create(kernels), undisturbed = Create(kernels);
        using Batch first = TestModels.Batch(6), second = TestModels.Batch(6, seed: 2), wrong = Wrong();
        foreach (TrainingDriver each in new[] { driver, undisturbed }) each.Step(first);
        Dictionary<string, byte[]> before = Everything(driver);

        driver.LazyResetGrad();
        if (accumulating) driver.TrainStep(second);
        string message = Assert.ThrowsExactly<DriverException>(() => driver.TrainStep(wrong)).Message;
        StringAssert.Contains(message, "training graph");
        StringAssert.Contains(message, "a label beyond the classes");
        Assert.AreEqual(0, driver.AccumulatedSteps);
        Assert.ThrowsExactly<DriverException>(() => driver.OptimizerStep(), "the gradients of a failed step are no gradients");
        foreach ((string name, byte[] bytes) in Everything(driver)) CollectionAssert.AreEqual(before[name], bytes, name);

        // Without a reset: the next batch overwrites what is left of the failed one.
        driver.TrainStep(second);
        driver.OptimizerStep();
        undisturbed.Step(second);
        Dictionary<string, byte[]> expected = Everything(undisturbed);
        foreach ((string name, byte[] bytes) in Everything(driver)) CollectionAssert.AreEqual(expected[name], bytes, name);
    }

    private static Dictionary<string, byte[]> Everything(TrainingDriver driver) =>
        driver.Plan.Slots.Where(s => s.Role is TensorRole.Parameter or TensorRole.State or TensorRole.Rows or TensorRole.Statistic
            or TensorRole.PendingStatistic).ToDictionary(s => s.Key, s => driver.Optimizer.Get(s.Key).Bytes.ToArray());
}
