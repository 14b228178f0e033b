using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Schedules;

namespace OrtCpr.Tests.Driver;

[TestClass]
public sealed class ArtifactsFolderTests
{
    private static OptimizerOptions Mixed => new()
    {
        Groups =
        [
            UpdateRule.AdamCpr(1e-2, constraint: new ConstrainNorm { Bound = Bound.AfterSteps(2), Adaptive = true }),
            UpdateRule.Sgd(1e-2, new ScaleByMomentum(0.9, Nesterov: true), 0.01) with { Parameters = ["fc2.*"] },
        ],
        MaxGradientNorm = 1,
        MaxGradientValue = 0.5,
        Rescaling = new RescaleWeights(),
    };

    private static TrainingDriver Create() => new(TrainingGraphBuilder.Build(TestModels.BatchNormalized(), new TrainingOptions
    {
        Optimizer = Mixed,
    }), new DriverOptions { Threads = 1 });

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

    // A crash before the new job is whole leaves the old one; a crash while it is moved into place is made good.
    [TestMethod]
    public void AJobThatIsWrittenOver_IsTheOldOneOrTheNewOne()
    {
        using var folder = new TemporaryFolder();
        using TrainingDriver old = Create(),
            other = new(TrainingGraphBuilder.Build(TestModels.Linear()), new DriverOptions { Threads = 1 });
        ArtifactsFolder.Save(old, folder["job"]);
        ArtifactsFolder.Save(other, folder["other"]);
        string staging = Path.Combine(folder["job"], ".new");
        Directory.CreateDirectory(staging);
        string[] files = [.. Directory.GetFiles(folder["other"]).OrderBy(f => Path.GetFileName(f) == "checkpoint.safetensors")];
        foreach (string file in files[..^1]) File.Copy(file, Path.Combine(staging, Path.GetFileName(file)));
        using (TrainingDriver found = ArtifactsFolder.Load(folder["job"]))
        {
            CollectionAssert.AreEqual(old.ToBuffer().ToDoubles(),
            found.ToBuffer().ToDoubles());
        }

        File.Copy(files[^1], Path.Combine(staging, Path.GetFileName(files[^1])));
        foreach (string file in files[..2])
        {
            File.Move(Path.Combine(staging, Path.GetFileName(file)), Path.Combine(folder["job"], Path.GetFileName(file)), overwrite: true);
        }
        using (TrainingDriver found = ArtifactsFolder.Load(folder["job"]))
        {
            CollectionAssert.AreEqual(other.ToBuffer().ToDoubles(),
            found.ToBuffer().ToDoubles());
        }

        Assert.IsFalse(Directory.Exists(staging));
    }

    [TestMethod]
    public void Job_IsLoadedWithoutItsModel_AndGoesOnBitForBit()
    {
        using var folder = new TemporaryFolder();
        using TrainingDriver whole = Create(), first = Create();
        foreach (TrainingDriver driver in new[] { whole, first }) driver.SetSchedule(Schedule.Cosine(20, 2), 1);
        Steps(whole, 0, 8);
        Steps(first, 0, 4);
        ArtifactsFolder.Save(first, folder["job"], new TrainingProgress { Epoch = 3 });
        using TrainingDriver second = ArtifactsFolder.Load(folder["job"], new DriverOptions { Threads = 1 }, out TrainingProgress progress);
        Assert.AreEqual(3, progress.Epoch);
        Assert.AreEqual(first.Plan.Parameters.ToString(), second.Plan.Parameters.ToString());
        Steps(second, 4, 8);
        CollectionAssert.AreEqual(whole.ToBuffer().ToDoubles(), second.ToBuffer().ToDoubles());
        Assert.AreEqual(whole.Optimizer.GetLearningRate(1), second.Optimizer.GetLearningRate(1));
        CollectionAssert.AreEqual(whole.Optimizer.GetConstraints().ToArray(), second.Optimizer.GetConstraints().ToArray());
        using Batch batch = TestModels.Batch(4, seed: 77);
        using Evaluation expected = whole.EvalStep(batch), actual = second.EvalStep(batch);
        Assert.AreEqual(expected.Loss, actual.Loss);
        second.ExportModel(folder["trained.onnx"]);
        whole.ExportModel(folder["expected.onnx"]);
        using var one = new Microsoft.ML.OnnxRuntime.InferenceSession(folder["trained.onnx"]);
        CollectionAssert.AreEqual(new[] { "x" }, one.InputNames.ToArray());
        CollectionAssert.AreEqual(new[] { "logits" }, one.OutputNames.ToArray());
    }

    [TestMethod]
    public void DamagedFolders_AreRefused_NamingTheFile()
    {
        using var folder = new TemporaryFolder();
        using TrainingDriver driver = Create();
        ArtifactsFolder.Save(driver, folder["job"]);
        Assert.ThrowsExactly<FileAccessException>(() => ArtifactsFolder.Load(folder["nothing"]));
        foreach (string name in Directory.GetFiles(folder["job"]))
        {
            byte[] bytes = File.ReadAllBytes(name);
            File.WriteAllBytes(name, bytes[..(bytes.Length / 2)]);
            StringAssert.Contains(Assert.Throws<OrtCprException>(() => ArtifactsFolder.Load(folder["job"])).Message,
                Path.GetFileName(name));
            File.Delete(name);
            StringAssert.Contains(Assert.Throws<OrtCprException>(() => ArtifactsFolder.Load(folder["job"])).Message,
                Path.GetFileName(name));
            File.WriteAllBytes(name, bytes);
        }
        File.WriteAllText(folder["job"] + "/training.json", "{\"FormatVersion\": 99}");
        StringAssert.Contains(Assert.ThrowsExactly<CheckpointException>(() => ArtifactsFolder.Load(folder["job"])).Message,
            "format version 99");
    }
}
