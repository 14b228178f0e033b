using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Schedules;

namespace OrtCpr.Tests.Checkpoints;

[TestClass]
public sealed class TrainingCheckpointTests
{
    private static OptimizerOptions Inflection(double rate = 1e-2) => new()
    {
        Groups = [UpdateRule.AdamCpr(rate, new ScaleByAdam { AmsGrad = true },
            new ConstrainNorm { Bound = Bound.AtInflection(2, maxWait: 9) })],
    };

    private static TrainingDriver Create(byte[]? model = null, OptimizerOptions? optimizer = null)
    {
        var driver = new TrainingDriver(TrainingGraphBuilder.Build(model ?? TestModels.BatchNormalized(),
            new TrainingOptions { Optimizer = optimizer ?? Inflection() }), new DriverOptions { Threads = 1 });
        driver.SetSchedule(Schedule.Cosine(40, 4, 0.1));
        return driver;
    }

    private static void Train(TrainingDriver driver, int from, int to)
    {
        for (int i = from; i < to; i++)
        {
            using Batch batch = TestModels.Batch(6, seed: i);
            driver.LazyResetGrad();
            driver.TrainStep(batch);
            driver.OptimizerStep();
        }
    }

    private static Dictionary<string, byte[]> State(TrainingDriver driver) =>
        CheckpointTensor.All(driver.Optimizer).ToDictionary(t => t.Name, t => t.Bytes(driver.Optimizer.Store).ToArray());

    [TestMethod]
    [DataRow(1)]
    [DataRow(7)]
    [DataRow(15)]
    public void ResumedRun_EqualsTheUninterruptedOne_BitForBit(int stop)
    {
        using var folder = new TemporaryFolder();
        using TrainingDriver whole = Create();
        Train(whole, 0, 25);
        using (TrainingDriver first = Create())
        {
            Train(first, 0, stop);
            TrainingCheckpoint.Save(first, folder["run.safetensors"],
                new TrainingProgress
                {
                    Epoch = 2,
                    Batch = stop,
                    RandomState = "seed 7",
                    Extra = new Dictionary<string, string> { ["note"] = "α" }
                });
        }
        using TrainingDriver second = Create();
        second.SetSchedule(null);
        TrainingProgress progress = TrainingCheckpoint.Load(second, folder["run.safetensors"]);
        Assert.AreEqual((2, (long)stop, "seed 7", "α"), (progress.Epoch, progress.Batch, progress.RandomState, progress.Extra["note"]));
        Train(second, stop, 25);
        Dictionary<string, byte[]> expected = State(whole), actual = State(second);
        foreach ((string name, byte[] bytes) in expected) CollectionAssert.AreEqual(bytes, actual[name], name);
        Assert.AreEqual(whole.Optimizer.Steps, second.Optimizer.Steps);
        Assert.AreEqual(whole.Optimizer.ConstraintSummary, second.Optimizer.ConstraintSummary);
        Assert.AreEqual(whole.Optimizer.GetLearningRate(), second.Optimizer.GetLearningRate());
    }

    [TestMethod]
    public void AnotherModel_IsRefused_NamingTensorExpectedAndFound()
    {
        using var folder = new TemporaryFolder();
        using (TrainingDriver small = Create(TestModels.Linear(inputs: 4)))
            TrainingCheckpoint.Save(small, folder["run.safetensors"]);
        using TrainingDriver large = Create(TestModels.Linear(inputs: 5));
        Dictionary<string, byte[]> before = State(large);
        CheckpointException error =
            Assert.ThrowsExactly<CheckpointException>(() => TrainingCheckpoint.Load(large, folder["run.safetensors"]));
        StringAssert.Contains(error.Message, "'weight' is Float[3,4] in the file, Float[3,5] here");
        StringAssert.Contains(error.Message, "run.safetensors");
        foreach ((string name, byte[] bytes) in before) CollectionAssert.AreEqual(bytes, State(large)[name]);
    }

    [TestMethod]
    public void AnotherOptimizer_IsRefused_NamingWhatIsMissing()
    {
        using var folder = new TemporaryFolder();
        using (TrainingDriver adamw = Create(TestModels.Linear(), new OptimizerOptions { Groups = [UpdateRule.AdamW()] }))
            TrainingCheckpoint.Save(adamw, folder["run.safetensors"]);
        using TrainingDriver cpr = Create(TestModels.Linear());
        CheckpointException error =
            Assert.ThrowsExactly<CheckpointException>(() => TrainingCheckpoint.Load(cpr, folder["run.safetensors"]));
        StringAssert.Contains(error.Message, "'weight.lambda' is missing");
        StringAssert.Contains(error.Message, "'weight.max_exp_avg_sq' is missing");
    }

    [TestMethod]
    public void OtherSafetensorsFile_IsRefused()
    {
        using var folder = new TemporaryFolder();
        SafetensorsFile.Write(folder["weights.safetensors"], new Dictionary<string, TensorData> { ["weight"] = TensorData.Scalar(1f) });
        using TrainingDriver driver = Create(TestModels.Linear());
        StringAssert.Contains(Assert.ThrowsExactly<CheckpointException>(() =>
            TrainingCheckpoint.Load(driver, folder["weights.safetensors"])).Message, "no checkpoint of OrtCpr");
        Assert.ThrowsExactly<FileAccessException>(() => TrainingCheckpoint.Load(driver, folder["missing.safetensors"]));
    }

    [TestMethod]
    public void Checkpoint_SurvivesAnotherOrderOfParameters()
    {
        using var folder = new TemporaryFolder();
        using TrainingDriver driver = Create();
        Train(driver, 0, 12);
        TrainingCheckpoint.Save(driver, folder["run.safetensors"]);
        using SafetensorsFile file = SafetensorsFile.Read(folder["run.safetensors"]);
        string[] expected = ["fc1.weight", "fc1.weight.detector", "fc1.weight.exp_avg", "fc1.weight.exp_avg_sq", "fc1.weight.kappa",
            "fc1.weight.lambda", "fc1.weight.max_exp_avg_sq", "fc1.weight.step"];
        CollectionAssert.IsSubsetOf(expected, file.Tensors.Keys.ToArray());
        Assert.AreEqual(12L, file.Tensors["fc1.weight.step"].ToInt64s()[0]);
    }

    [TestMethod]
    public void FailedSave_LeavesTheOldCheckpointWhole()
    {
        using var folder = new TemporaryFolder();
        using TrainingDriver driver = Create();
        TrainingCheckpoint.Save(driver, folder["run.safetensors"]);
        byte[] old = File.ReadAllBytes(folder["run.safetensors"]);
        // A folder stands where the temporary file or the target would have to go: the write fails.
        Directory.CreateDirectory(folder["blocked.safetensors"]);
        Assert.ThrowsExactly<FileAccessException>(() => TrainingCheckpoint.Save(driver, folder["blocked.safetensors"]));
        CollectionAssert.AreEqual(old, File.ReadAllBytes(folder["run.safetensors"]));
        Assert.AreEqual("run.safetensors", folder.Listing);
    }
}
