using Grokking;
using OrtCpr.Graph;

namespace OrtCpr.Tests.Samples;

[TestClass]
public sealed class GrokkingRunTests
{
    private static readonly Interruption Never = new(() => false);

    [TestMethod]
    public void AnInterruptedRun_GoesOnBitForBit()
    {
        using TemporaryFolder whole = new(), parts = new();
        Options options = new() { Epochs = 2, BatchSize = 256, P = 53 };
        Assert.AreEqual(0, new Experiment(options with { Out = whole.FolderPath }, Never).Run());
        Assert.AreEqual("checkpoint.safetensors constraints.csv grokking.png log.csv model.onnx", whole.Listing);

        int asked = 0;
        Options first = options with { Out = parts.FolderPath };
        Assert.AreEqual(130, new Experiment(first, new Interruption(() => ++asked > 1)).Run());
        Assert.AreEqual(0, new Experiment(first with { Resume = true }, Never).Run());
        CollectionAssert.AreEqual(File.ReadAllBytes(whole["model.onnx"]), File.ReadAllBytes(parts["model.onnx"]));
        Assert.AreEqual(WithoutSeconds(whole["log.csv"]), WithoutSeconds(parts["log.csv"]));
        Assert.AreEqual(File.ReadAllText(whole["constraints.csv"]), File.ReadAllText(parts["constraints.csv"]));
    }

    [TestMethod]
    public void Resume_RefusesAnotherRunAndAnEmptyFolder()
    {
        using TemporaryFolder folder = new();
        Options options = new() { Epochs = 1, BatchSize = 1024, P = 53, Out = folder.FolderPath, Resume = true };
        StringAssert.Contains(Assert.ThrowsExactly<GrokkingException>(() => new Experiment(options, Never).Run()).Message, "nothing to resume");
        new Experiment(options with { Resume = false }, Never).Run();
        GrokkingException error = Assert.ThrowsExactly<GrokkingException>(() => new Experiment(options with { Recipe = new Recipe { LearningRate = 0.01 } }, Never).Run());
        StringAssert.Contains(error.Message, "--lr is 0.01 here, 0.001 in the checkpoint");
    }

    // Epochs 1 and 10 of the PyTorch runs in data/grokking/reference.csv: training loss, validation loss.
    [TestMethod]
    [DataRow("adamw", 1L, 4.71704, 4.75242, 4.41608, 5.03047)]
    [DataRow("adamcpr-l2", 2L, 4.72273, 4.7441, 4.59125, 4.85353)]
    public void FromTheReferencesStart_TheLossesAreTheReferences(string name, long seed, double train1, double validation1, double train10, double validation10)
    {
        using TemporaryFolder folder = new();
        Options options = new() { Recipe = Experiment.Compared.First(r => r.Name == name), Seeds = [seed], FromReference = true, Epochs = 10, EvalEvery = 10, Threads = 1, Out = folder.FolderPath };
        Assert.AreEqual(0, new Experiment(options, Never).Run());
        var log = new CsvLog<EpochRow>(folder["log.csv"]);
        log.Continue();
        Assert.AreEqual("1 10", string.Join(' ', log.Rows.Select(r => r.Epoch)));
        Assert.AreEqual(train1, log.Rows[0].TrainLoss, 1e-4);
        Assert.AreEqual(validation1, log.Rows[0].ValidationLoss, 1e-4);
        Assert.AreEqual(train10, log.Rows[1].TrainLoss, 5e-3);
        Assert.AreEqual(validation10, log.Rows[1].ValidationLoss, 5e-3);
    }

    [TestMethod]
    public void Milestones_AreFirstEpochs_AndARunEndsAfterTenGoodOnes()
    {
        EpochRow[] rows = [.. new[] { (10, 0.5, 0.1), (20, 0.99, 0.95), (30, 1.0, 0.991), (35, 1.0, 0.98), (40, 1.0, 0.99), (45, 1.0, 0.995) }
            .Select(r => new EpochRow("adamw", 1, r.Item1, 0, r.Item2, 0, r.Item3, 1))];
        Assert.AreEqual(new Milestones(20, 20, 30, 45, 0.995, false), Milestones.Of(rows));
        Assert.IsTrue(Milestones.Of([.. rows, rows[^1] with { Epoch = 49 }]).Stands);
        Assert.AreEqual("adamw seed 1: train >= 0.99 at epoch 20, validation >= 0.95 at epoch -, 62 steps/s",
            new RunSummary("adamw", 1, Milestones.Of(rows) with { Validation95 = null }, 62.4).ToString());
    }

    [TestMethod]
    public void ALog_ForgetsHalfALineAtItsEnd()
    {
        using TemporaryFolder folder = new();
        File.WriteAllText(folder["log.csv"], $"{EpochRow.Header}\nadamw,1,1,4.7,0.01,4.8,0.02,0.5\nadamw,1,2,4.");
        var log = new CsvLog<EpochRow>(folder["log.csv"]);
        log.Continue();
        Assert.AreEqual(new EpochRow("adamw", 1, 1, 4.7, 0.01, 4.8, 0.02, 0.5), log.Rows.Single());
        File.AppendAllText(folder["log.csv"], "\nadamw,1,3,4.7,0.01,4.8,0.02,0.5\n");
        Assert.ThrowsExactly<GrokkingException>(() => new CsvLog<EpochRow>(folder["log.csv"]).Continue());
    }

    [TestMethod]
    public void InitialParameters_MustFitTheModel()
    {
        string model = Path.Combine(AppContext.BaseDirectory, "grokking.onnx");
        TrainingOptions Given(string name, params long[] dims) => new() { InitialParameters = new TrainingOptions().InitialParameters.Add(name, TensorData.Create(ElementType.Float, dims, new byte[dims[0] * 4])) };
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => TrainingGraphBuilder.Build(model, Given("head", 4))).Message, "'head' is no trained parameter");
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => TrainingGraphBuilder.Build(model, Given("layers.0.mlp.0.bias", 4))).Message, "expected Float[512], found Float[4]");
        TrainingPlan graphs = TrainingGraphBuilder.Build(model, Given("layers.0.mlp.0.bias", 512));
        Assert.AreEqual(512, graphs.InitialParameters["layers.0.mlp.0.bias"].ElementCount);
    }

    private static string WithoutSeconds(string path) => string.Join('\n', File.ReadAllLines(path).Select(line => line[..line.LastIndexOf(',')]));
}
