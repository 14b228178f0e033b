using Grokking;
using OrtCpr.Graph;

namespace OrtCpr.Tests.Samples;

[TestClass]
public sealed class GrokkingRunTests
{
    [TestMethod]
    public void AnInterruptedRun_GoesOnBitForBit()
    {
        using TemporaryFolder whole = new(), parts = new();
        Settings settings = new() { Epochs = 2, BatchSize = 256, P = 53 };
        Assert.AreEqual(0, Experiment.Run(settings with { Out = whole.FolderPath }, default));
        Assert.AreEqual("checkpoint.safetensors constraints.csv grokking.png log.csv model.onnx", whole.Listing);

        using var cancellation = new CancellationTokenSource();
        Settings first = settings with { Out = parts.FolderPath };
        Assert.AreEqual(130, Experiment.Run(first, new Canceller(cancellation), cancellation.Token));
        Assert.AreEqual(0, Experiment.Run(first with { Resume = true }, default));
        CollectionAssert.AreEqual(File.ReadAllBytes(whole["model.onnx"]), File.ReadAllBytes(parts["model.onnx"]));
        Assert.AreEqual(WithoutSeconds(whole["log.csv"]), WithoutSeconds(parts["log.csv"]));
        Assert.AreEqual(File.ReadAllText(whole["constraints.csv"]), File.ReadAllText(parts["constraints.csv"]));
    }

    /// <summary>Stops a run after its second step.</summary>
    private sealed class Canceller(CancellationTokenSource source) : IProgress<StepReport>
    {
        public void Report(StepReport value)
        {
            if (value.Step == 2) source.Cancel();
        }
    }

    [TestMethod]
    public void AComparisonThatGoesOn_LeavesItsFinishedRunsAlone()
    {
        using TemporaryFolder folder = new();
        Settings settings = new() { Epochs = 2, BatchSize = 256, P = 23, Seeds = [1, 2], Out = folder.FolderPath };
        Assert.AreEqual(0, Experiment.Run(settings, default));
        string[] log = File.ReadAllLines(folder["log.csv"]);
        Assert.AreEqual(0, Experiment.Run(settings with { Resume = true }, default));
        CollectionAssert.AreEqual(log, File.ReadAllLines(folder["log.csv"]));
    }

    [TestMethod]
    public void Resume_RefusesAnotherRunAndAnEmptyFolder()
    {
        using TemporaryFolder folder = new();
        Settings settings = new() { Epochs = 1, BatchSize = 1024, P = 53, Out = folder.FolderPath, Resume = true };
        StringAssert.Contains(Assert.Throws<OrtCprException>(() => Experiment.Run(settings, default)).Message, "nothing to resume");
        Experiment.Run(settings with { Resume = false }, default);
        OrtCprException error =
            Assert.Throws<OrtCprException>(() => Experiment.Run(settings with { Recipe = new Recipe { Lr = 0.01 } }, default));
        StringAssert.Contains(error.Message, "--lr is 0.01 here, 0.001 in the checkpoint");
    }

    // Epochs 1 and 10 of the PyTorch runs in data/grokking/reference.csv: training loss, validation loss.
    [TestMethod]
    [DataRow("adamw", 1L, 4.71704, 4.75242, 4.41608, 5.03047)]
    [DataRow("adamcpr-l2", 2L, 4.72273, 4.7441, 4.59125, 4.85353)]
    public void FromTheReferencesStart_TheLossesAreTheReferences(string name, long seed, double train1, double validation1, double train10,
        double validation10)
    {
        using TemporaryFolder folder = new();
        Settings settings = new()
        {
            Recipe = Recipe.Compared.First(r => r.Name == name),
            Seeds = [seed],
            FromReference = true,
            Epochs = 10,
            EvalEvery = 10,
            Threads = 1,
            Out = folder.FolderPath
        };
        Assert.AreEqual(0, Experiment.Run(settings, default));
        EpochRow[] rows = [.. File.ReadAllLines(folder["log.csv"]).Skip(1).Select(l => EpochRow.Parse(l.Split(',')))];
        Assert.AreEqual("1 10", string.Join(' ', rows.Select(r => r.Epoch)));
        Assert.AreEqual(train1, rows[0].TrainLoss, 1e-4);
        Assert.AreEqual(validation1, rows[0].ValidationLoss, 1e-4);
        Assert.AreEqual(train10, rows[1].TrainLoss, 5e-3);
        Assert.AreEqual(validation10, rows[1].ValidationLoss, 5e-3);
    }

    [TestMethod]
    public void Milestones_AreFirstEpochs_AndARunEndsAfterTenGoodOnes()
    {
        EpochRow[] rows = [.. new[] { (10, 0.5, 0.1), (20, 0.99, 0.95), (30, 1.0, 0.991), (35, 1.0, 0.98), (40, 1.0, 0.99),
            (45, 1.0, 0.995) }
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
        var journal = new Journal(folder.FolderPath);
        journal.Open(resume: true);
        Assert.AreEqual(new EpochRow("adamw", 1, 1, 4.7, 0.01, 4.8, 0.02, 0.5), journal.EpochsOf("adamw", 1).Single());
        journal.Epochs.Cut("adamw", 1, 0);
        Assert.AreEqual($"{EpochRow.Header}\n", File.ReadAllText(folder["log.csv"]));
        // A log of something else is never worth a run.
        File.WriteAllText(folder["log.csv"], "optimizer,se");
        new Journal(folder.FolderPath).Open(resume: true);
        Assert.AreEqual($"{EpochRow.Header}\n", File.ReadAllText(folder["log.csv"]));
        Assert.AreEqual("optimizer,se", File.ReadAllText(folder["log.csv.aside"]));
    }

    [TestMethod]
    public void InitialParameters_MustFitTheModel()
    {
        string model = Path.Combine(AppContext.BaseDirectory, "grokking.onnx");
        TrainingOptions Given(string name, params long[] dims) =>
            new()
            {
                InitialParameters = new TrainingOptions().InitialParameters.Add(name,
            TensorData.Create(ElementType.Float, dims, new byte[dims[0] * 4]))
            };
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => TrainingGraphBuilder.Build(model, Given("head", 4))).Message,
            "'head' is no trained parameter");
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() =>
            TrainingGraphBuilder.Build(model, Given("layers.0.mlp.0.bias", 4))).Message, "expected Float[512], found Float[4]");
        TrainingPlan graphs = TrainingGraphBuilder.Build(model, Given("layers.0.mlp.0.bias", 512));
        Assert.AreEqual(512, graphs.InitialParameters["layers.0.mlp.0.bias"].ElementCount);
    }

    private static string WithoutSeconds(string path) =>
        string.Join('\n', File.ReadAllLines(path).Select(line => line[..line.LastIndexOf(',')]));
}
