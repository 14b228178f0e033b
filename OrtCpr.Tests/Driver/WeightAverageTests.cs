using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tests.Driver;

/// <summary>The exponential mean of the weights in a fit, against sums in double over the weights after each step.</summary>
[TestClass]
public sealed class WeightAverageTests
{
    private const double Decay = 0.8;

    private sealed class Weights : TrainerCallback
    {
        private readonly Dictionary<string, double[]> _means = [];

        public List<Dictionary<string, double[]>> Expected { get; } = [];

        public List<Dictionary<string, double[]>> Evaluated { get; } = [];

        public override void OnFitBegin(Trainer trainer, FitOptions options, long step)
        {
            if (_means.Count == 0) foreach ((string name, double[] w) in Read(trainer)) _means[name] = w;
        }

        public override void OnStepEnd(Trainer trainer, StepReport report, FitControl control)
        {
            double keep = Math.Min(Decay, (1.0 + report.Step) / (10.0 + report.Step));
            foreach ((string name, double[] w) in Read(trainer))
                _means[name] = [.. _means[name].Zip(w, (m, x) => (keep * m) + ((1 - keep) * x))];
            Expected.Add(_means.ToDictionary(m => m.Key, m => m.Value));
        }

        public override void OnEvaluated(Trainer trainer, EvaluationReport report, FitControl control) => Evaluated.Add(Read(trainer));

        public static Dictionary<string, double[]> Read(Trainer trainer) =>
            trainer.Driver.Plan.Trained.ToDictionary(p => p.Name, p => trainer.Driver.GetParameter(p.Name).ToDoubles());
    }

    private static FitOptions Options(TrainerCallback callback, string? folder = null, double? decay = Decay) => new()
    {
        Epochs = 3,
        WeightAverage = decay,
        Validation = BatchSource.From(_ => FitTests.Batches(99)),
        Callbacks = [callback],
        Checkpoint = folder is null ? null : new CheckpointOptions(folder) { Resume = true, Best = "loss" },
    };

    private static void Near(Dictionary<string, double[]> expected, Dictionary<string, double[]> found)
    {
        foreach ((string name, double[] values) in expected)
        {
            for (int i = 0; i < values.Length; i++)
                Assert.AreEqual(values[i], found[name][i], 1e-6 * (1 + Math.Abs(values[i])), $"{name} [{i}]");
        }
    }

    [TestMethod]
    public void Evaluations_AndTheDriverInTheEnd_HaveTheMean_TrainingTheWeights()
    {
        using TrainingDriver averaged = FitTests.Create(), plain = FitTests.Create();
        var seen = new Weights();
        FitResult result = new Trainer(averaged).Fit(FitTests.Epochs, Options(seen));
        Assert.HasCount(15, seen.Expected);
        foreach ((int epoch, Dictionary<string, double[]> weights) in seen.Evaluated.Index())
            Near(seen.Expected[(5 * (epoch + 1)) - 1], weights);
        Near(seen.Expected[^1], Weights.Read(new Trainer(averaged)));

        FitResult without = new Trainer(plain).Fit(FitTests.Epochs, Options(new Weights(), decay: null));
        CollectionAssert.AreEqual(without.Epochs.Select(e => e.Loss).ToArray(), result.Epochs.Select(e => e.Loss).ToArray());
        Assert.AreNotEqual(without.Epochs[^1].ValidationLoss, result.Epochs[^1].ValidationLoss);
    }

    [TestMethod]
    public void Resumed_IsTheWholeRun_BitForBit_AndTheBestHasTheMean()
    {
        using TrainingDriver reference = FitTests.Create();
        var whole = new Weights();
        new Trainer(reference).Fit(FitTests.Epochs, Options(whole));
        using var folder = new TemporaryFolder();
        using (TrainingDriver first = FitTests.Create())
        {
            new Trainer(first).Fit(FitTests.Epochs, Options(new Weights(), folder.FolderPath) with { MaxSteps = 7 });
        }
        using TrainingDriver second = FitTests.Create();
        var seen = new Weights();
        new Trainer(second).Fit(FitTests.Epochs, Options(seen, folder.FolderPath));
        foreach (ParameterSpec p in reference.Plan.Trained)
        {
            CollectionAssert.AreEqual(reference.GetParameter(p.Name).Bytes.ToArray(), second.GetParameter(p.Name).Bytes.ToArray(), p.Name);
        }
        using TrainingDriver best = FitTests.Create();
        TrainingCheckpoint.Load(best, Options(seen, folder.FolderPath).Checkpoint!.BestPath);
        Assert.IsTrue(whole.Evaluated.Any(e => e.All(w => w.Value.SequenceEqual(best.GetParameter(w.Key).ToDoubles()))));
    }

    [TestMethod]
    public void ACheckpointWithoutTheMean_IsRefused_AndOptionsAreChecked()
    {
        using var folder = new TemporaryFolder();
        using TrainingDriver driver = FitTests.Create();
        new Trainer(driver).Fit(FitTests.Epochs, Options(new Weights(), folder.FolderPath, decay: null) with { MaxSteps = 7 });
        CheckpointException error = Assert.ThrowsExactly<CheckpointException>(() =>
            new Trainer(driver).Fit(FitTests.Epochs, Options(new Weights(), folder.FolderPath)));
        StringAssert.Contains(error.Message, "no mean of the weights");
        foreach (double decay in new[] { 0, 1, -0.1, double.NaN })
        {
            StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => Options(new Weights(), decay: decay).Validate()).Message,
                nameof(FitOptions.WeightAverage));
        }
    }
}
