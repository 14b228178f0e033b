using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Schedules;

namespace OrtCpr.Tests.Driver;

/// <summary>Files that commit 820a165 wrote, before a job was one table: they still load and go on.</summary>
[TestClass]
public sealed class WrittenBeforeTests
{
    private static string Folder(string name) => Path.Combine(AppContext.BaseDirectory, "Data", "written-before", name);

    private static TrainingDriver SameJob()
    {
        var driver = new TrainingDriver(TrainingGraphBuilder.Build(TestModels.BatchNormalized(), new TrainingOptions
        {
            Optimizer = new OptimizerOptions
            {
                Groups =
                [
                    UpdateRule.AdamCpr(1e-2, constraint: new ConstrainNorm { Bound = Bound.AfterSteps(2), Adaptive = true }),
                    UpdateRule.Sgd(1e-2, new ScaleByMomentum(0.9, Nesterov: true), 0.01) with { Parameters = ["fc2.*"] },
                ],
                MaxGradientNorm = 1,
                MaxGradientValue = 0.5,
                Rescaling = new RescaleWeights(),
            },
        }), new DriverOptions { Threads = 1 });
        driver.SetSchedule(Schedule.Cosine(20, 2), 1);
        return driver;
    }

    private static void Steps(TrainingDriver driver, int from, int to)
    {
        for (int t = from; t < to; t++)
        {
            driver.LazyResetGrad();
            for (int a = 0; a < 2; a++)
            {
                using Batch batch = TestModels.Batch(6, seed: (2 * t) + a);
                driver.TrainStep(batch);
            }
            driver.OptimizerStep(0.5);
        }
    }

    [TestMethod]
    public void JobFolder_GoesOn_AsTheSameJobWouldHave()
    {
        using TrainingDriver loaded = ArtifactsFolder.Load(Folder("job"), new DriverOptions { Threads = 1 }, out TrainingProgress progress),
            whole = SameJob();
        Assert.AreEqual(3, progress.Epoch);
        Steps(loaded, 4, 8);
        Steps(whole, 0, 8);
        // The gradient of fc1.bias, before a normalisation, is rounding alone, and Adam makes whole steps of its sign: it depends on the
        // kernels.
        foreach (ParameterSpec p in whole.Plan.Trained.Where(p => p.Name != "fc1.bias"))
        {
            double[] expected = whole.GetParameter(p.Name).ToDoubles(), found = loaded.GetParameter(p.Name).ToDoubles();
            for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], found[i], 1e-4, $"{p.Name}[{i}]");
        }
        Assert.AreEqual(whole.Optimizer.GetLearningRate(1), loaded.Optimizer.GetLearningRate(1));
        Assert.AreEqual(whole.Optimizer.ConstraintSummary, loaded.Optimizer.ConstraintSummary);
    }

    [TestMethod]
    public void Checkpoint_LoadsIntoTheSameJob()
    {
        using TrainingDriver loaded = ArtifactsFolder.Load(Folder("job")), driver = SameJob();
        TrainingCheckpoint.Load(driver, Path.Combine(Folder("job"), "checkpoint.safetensors"));
        CollectionAssert.AreEqual(loaded.ToBuffer().ToDoubles(), driver.ToBuffer().ToDoubles());
        foreach (TensorSlot slot in driver.Plan.Slots.Where(s => s.IsSaved))
        {
            CollectionAssert.AreEqual(loaded.Optimizer.Get(slot.Key).ToDoubles(), driver.Optimizer.Get(slot.Key).ToDoubles(), slot.Key);
        }
    }

    [TestMethod]
    public void ArtifactsForTheGenuineRuntime_Train()
    {
        using TrainingDriver driver = TrainingDriver.FromArtifacts(Folder("genuine"));
        double first = 0;
        for (int t = 0; t < 30; t++)
        {
            driver.LazyResetGrad();
            using Batch batch = TestModels.Batch(12, seed: 5);
            double loss = driver.TrainStep(batch);
            if (t == 0) first = loss;
            driver.OptimizerStep();
        }
        Assert.IsLessThan(first, driver.Loss);
    }

    [TestMethod]
    public void InitialValuesOfALoadedJob_OutliveItsFiles()
    {
        using TrainingDriver driver = ArtifactsFolder.Load(Folder("job"));
        GC.Collect();
        foreach ((string name, TensorData value) in driver.Plan.InitialParameters)
        {
            Assert.HasCount((int)value.ElementCount, value.ToDoubles(), name);
        }
    }
}
