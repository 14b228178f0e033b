using System.Globalization;
using Grokking;
using OrtCpr.Graph;

namespace OrtCpr.Tests.Samples;

[TestClass]
public sealed class GrokkingRunTests
{
    private const string Head = "step,epoch,seconds,validation_loss,validation_accuracy,training_loss,training_accuracy";

    [TestMethod]
    public void AnInterruptedRun_GoesOnBitForBit()
    {
        using TemporaryFolder whole = new(), parts = new();
        Settings settings = new() { Epochs = 2, BatchSize = 256, P = 53 };
        Assert.AreEqual(0, Experiment.Run(settings with { Out = whole.FolderPath }, null, default));
        Assert.AreEqual("checkpoint.safetensors constraints.csv grokking.png log.csv model.onnx", whole.Listing);

        using var cancellation = new CancellationTokenSource();
        Settings first = settings with { Out = parts.FolderPath };
        Assert.AreEqual(130, Experiment.Run(first, new Canceller(cancellation), cancellation.Token));
        Assert.AreEqual(0, Experiment.Run(first with { Resume = true }, null, default));
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
        Assert.AreEqual(0, Experiment.Run(settings, null, default));
        string[] Logs() => [.. new[] { 1, 2 }.Select(seed => File.ReadAllText(folder[$"adamcpr-l2-seed{seed}/log.csv"]))];
        string[] logs = Logs();
        Assert.AreEqual(0, Experiment.Run(settings with { Resume = true }, null, default));
        CollectionAssert.AreEqual(logs, Logs());
    }

    [TestMethod]
    public void Resume_RefusesAnotherRunAndAnEmptyFolder()
    {
        using TemporaryFolder folder = new();
        Settings settings = new() { Epochs = 1, BatchSize = 1024, P = 53, Out = folder.FolderPath, Resume = true };
        StringAssert.Contains(Assert.Throws<OrtCprException>(() => Experiment.Run(settings, null, default)).Message, "nothing to resume");
        Experiment.Run(settings with { Resume = false }, null, default);
        OrtCprException error =
            Assert.Throws<OrtCprException>(() => Experiment.Run(settings with { Recipe = new Recipe { Lr = 0.01 } }, null, default));
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
        Assert.AreEqual(0, Experiment.Run(settings, null, default));
        double[][] rows = [.. File.ReadAllLines(folder["log.csv"]).Skip(1)
            .Select(l => l.Split(',').Select(c => double.Parse(c, CultureInfo.InvariantCulture)).ToArray())];
        Assert.AreEqual("8 80", string.Join(' ', rows.Select(r => r[0])));
        Assert.AreEqual(train1, rows[0][5], 1e-4);
        Assert.AreEqual(validation1, rows[0][3], 1e-4);
        Assert.AreEqual(train10, rows[1][5], 5e-3);
        Assert.AreEqual(validation10, rows[1][3], 5e-3);
    }

    [TestMethod]
    public void Milestones_AreFirstEpochs()
    {
        using TemporaryFolder folder = new();
        File.WriteAllLines(folder["log.csv"],
            [Head, "80,9,1,0,0.1,0,0.5", "160,19,1,0,0.95,0,0.99", "240,29,1,0,0.98,0,1", "320,39,1,0,0.99"]);
        RunSummary summary = RunSummary.Of(new Run(new Recipe { Optimizer = "adamw" }, 1, folder.FolderPath), 62.4);
        CollectionAssert.AreEqual(new double?[] { 20, 20, null, 30, 0.98, 62.4 }, summary.Figures.ToArray());
        Assert.AreEqual("adamw seed 1: train >= 0.99 at epoch 20, validation >= 0.95 at epoch 20, 62 steps/s", summary.ToString());
        Assert.AreEqual("adamw seed 1: train >= 0.99 at epoch -, validation >= 0.95 at epoch 7, 50 steps/s",
            new RunSummary("adamw", 1, [null, 7, null, 9, 0.96, 50]).ToString());
    }

    [TestMethod]
    public void ARunEndsAfterTenGoodEpochs_AndIsOverWhenItIsResumed()
    {
        StopWhenGrokked stop = new();
        FitControl control = new();
        foreach ((long epoch, double accuracy) in new[] { (29, 0.991), (34, 0.98), (39, 0.99), (44, 0.995) })
        {
            stop.OnEvaluated(null!, Report(epoch, accuracy), control);
            Assert.IsFalse(control.StopRequested, $"epoch {epoch}");
        }
        StopWhenGrokked resumed = new();
        resumed.Restore(stop.State);
        Assert.IsFalse(resumed.IsOver);
        resumed.OnEvaluated(null!, Report(48, 0.99), control);
        Assert.IsTrue(control.StopRequested && resumed.IsOver);
    }

    private static EvaluationReport Report(long epoch, double accuracy) =>
        new()
        {
            Epoch = epoch,
            Step = 8 * (epoch + 1),
            Loss = 0,
            Metrics = new Dictionary<string, double> { ["accuracy"] = accuracy },
            Elapsed = TimeSpan.Zero,
        };

    // A log of something else is never worth a run, and a killed process leaves half a line.
    [TestMethod]
    public void ALog_ForgetsHalfALineAtItsEnd()
    {
        using TemporaryFolder folder = new();
        Settings settings = new() { Epochs = 1, BatchSize = 256, P = 23, Out = folder.FolderPath };
        Assert.AreEqual(0, Experiment.Run(settings, null, default));
        string log = File.ReadAllText(folder["log.csv"]);
        StringAssert.StartsWith(log, $"{Head}\n");
        File.AppendAllText(folder["log.csv"], "2,1,0.5,4.");
        Assert.AreEqual(0, Experiment.Run(settings with { Resume = true }, null, default));
        Assert.AreEqual(log, File.ReadAllText(folder["log.csv"]));
        File.WriteAllText(folder["log.csv"], "optimizer,se");
        Assert.AreEqual(0, Experiment.Run(settings with { Epochs = 2, Resume = true }, null, default));
        Assert.AreEqual("optimizer,se", File.ReadAllText(folder["log.csv.aside"]));
        Assert.HasCount(2, File.ReadAllLines(folder["log.csv"]));
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
        string.Join('\n', File.ReadAllLines(path).Select(line => string.Join(',', line.Split(',').Where((_, i) => i != 2))));
}
