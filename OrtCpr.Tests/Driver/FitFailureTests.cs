using Microsoft.ML.OnnxRuntime;
using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Losses;

namespace OrtCpr.Tests.Driver;

/// <summary>What a fit does when something is wrong: callbacks that throw, batches that are not finite, checkpoints that are
/// damaged.</summary>
[TestClass]
public sealed class FitFailureTests
{
    private sealed class Fragile(bool failsToBegin, bool failsToEnd = false) : TrainerCallback
    {
        public int Ended { get; private set; }

        public override void OnFitBegin(Trainer trainer, FitOptions options, long step)
        {
            if (failsToBegin) throw new InvalidOperationException("begin");
        }

        public override void OnFitEnd(Trainer trainer)
        {
            Ended++;
            if (failsToEnd) throw new InvalidOperationException("end");
        }
    }

    [TestMethod]
    public void ACallbackThatFails_LeavesNoOtherOpen()
    {
        using TrainingDriver driver = FitTests.Create();
        Fragile[] callbacks = [new(false), new(false), new(true), new(false)];
        Assert.ThrowsExactly<InvalidOperationException>(() =>
            new Trainer(driver).Fit(FitTests.Epochs, new FitOptions { Callbacks = [.. callbacks] }));
        CollectionAssert.AreEqual(new[] { 1, 1, 1, 0 }, callbacks.Select(c => c.Ended).ToArray());
        callbacks = [new(false, failsToEnd: true), new(false)];
        Assert.AreEqual("end",
            Assert.ThrowsExactly<InvalidOperationException>(() =>
            new Trainer(driver).Fit(FitTests.Epochs, new FitOptions { Callbacks = [.. callbacks] })).Message);
        Assert.AreEqual(1, callbacks[1].Ended);
    }

    [TestMethod]
    public void ABatchThatIsNotFinite_IsCounted_AndLeavesTheEpochsLossAlone()
    {
        using TrainingDriver clean = FitTests.Create(), driver = FitTests.Create();
        IEnumerable<Batch> WithNaN(long epoch)
        {
            yield return new Batch().Add("x", Enumerable.Repeat(float.NaN, 8).ToArray(), 2, 4).Add("labels", new long[2], 2);
            foreach (Batch batch in FitTests.Batches(epoch)) yield return batch;
        }
        EpochReport expected = new Trainer(clean).Fit(FitTests.Epochs).Epochs[0],
            found = new Trainer(driver).Fit(BatchSource.From(WithNaN)).Epochs[0];
        Assert.AreEqual(1, found.SkippedSteps);
        Assert.AreEqual(expected.Loss, found.Loss, 1e-12);
        Assert.AreEqual(0, expected.SkippedSteps);
    }

    [TestMethod]
    public void DamagedProgress_IsATypedError_ThatNamesAllOfIt()
    {
        using var folder = new TemporaryFolder();
        using TrainingDriver driver = FitTests.Create();
        var checkpoint = new CheckpointOptions(folder.FolderPath) { Resume = true };
        TrainingCheckpoint.Save(driver, checkpoint.LastPath,
            new TrainingProgress
            {
                Extra = new Dictionary<string, string>
                {
                    ["fit.steps"] = "x",
                    ["fit.loss_sum"] = "0",
                    ["fit.seconds"] = "-1",
                    ["fit.best"] = "NaN"
                }
            });
        string message = Assert.ThrowsExactly<CheckpointException>(() =>
            new Trainer(driver).Fit(FitTests.Epochs, new FitOptions { Checkpoint = checkpoint })).Message;
        foreach (string part in new[] { "'fit.steps' is 'x'", "'fit.loss_weight' is missing", "'fit.seconds' is '-1'" })
        {
            StringAssert.Contains(message, part);
        }
        foreach (string state in new[] { "", "1", "a 1", "1 a", "1 2 3" })
        {
            Assert.ThrowsExactly<CheckpointException>(() => new EarlyStopping(2).Restore(state));
        }
    }

    [TestMethod]
    public void Step_IsTheThreeVerbs()
    {
        using TrainingDriver byHand = FitTests.Create(), stepped = FitTests.Create();
        foreach (Batch batch in FitTests.Batches(0))
        {
            using (batch)
            {
                byHand.LazyResetGrad();
                double loss = byHand.TrainStep(batch);
                byHand.OptimizerStep();
                Assert.AreEqual(loss, stepped.Step(batch));
            }
        }
        CollectionAssert.AreEqual(byHand.ToBuffer().ToDoubles(), stepped.ToBuffer().ToDoubles());
    }

    [TestMethod]
    public void AnOrtValue_IsBorrowed()
    {
        using TrainingDriver driver = FitTests.Create();
        using OrtValue x = OrtValue.CreateTensorValueFromMemory(new float[8], [2, 4]),
            labels = OrtValue.CreateTensorValueFromMemory(new long[2], [2]);
        double first, second;
        using (Batch batch = new Batch().Add("x", x).Add("labels", labels)) first = driver.TrainStep(batch);
        using (Batch batch = new Batch().Add("x", x).Add("labels", labels)) second = driver.TrainStep(batch);
        Assert.AreEqual(first, second);
        StringAssert.Contains(Assert.ThrowsExactly<DriverException>(() => new Batch().Add("x", x).Add("x", x)).Message, "given twice");
    }

    [TestMethod]
    public void Losses_NameTheirLabels()
    {
        Assert.AreEqual("labels", new CrossEntropyLoss().Labels.Single());
        Assert.AreEqual("target", new MseLoss().Labels.Single());
        Assert.IsEmpty(new OutputLoss().Labels);
        Assert.AreEqual("labels,y",
            string.Join(',', new WeightedSumLoss((new CrossEntropyLoss(), 1), (new L1Loss { TargetName = "y" }, 1),
            (new CrossEntropyLoss(), 2)).Labels));
    }
}
