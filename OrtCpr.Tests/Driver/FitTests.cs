using System.Collections.Immutable;
using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Metrics;

namespace OrtCpr.Tests.Driver;

// What a fit does beside stepping: evaluations, metrics, early ends, checkpoints, and going on from one.
[TestClass]
public sealed class FitTests
{
    internal static TrainingDriver Create() => new(TrainingGraphBuilder.Build(TestModels.Linear(), new TrainingOptions
    {
        Optimizer = new() { Groups = [UpdateRule.AdamCpr(1e-2, constraint: new ConstrainNorm { Bound = Bound.AfterSteps(3) })] },
    }), new DriverOptions { Threads = 1 });

    internal static IEnumerable<Batch> Batches(long epoch) =>
        Enumerable.Range(1, 5).Select(i => TestModels.Batch(3 + i, seed: (int)(100 * epoch) + i));

    internal static BatchSource Epochs => BatchSource.From(Batches);

    private sealed class Recorder(Func<long, bool>? when = null, Action? then = null) : TrainerCallback
    {
        public List<string> Lines { get; } = [];

        public override void OnFitBegin(Trainer trainer, FitOptions options, long step) => Lines.Add($"begin {step}");

        public override void OnStepEnd(Trainer trainer, StepReport report, FitControl control)
        {
            Lines.Add(FormattableString.Invariant($"step {report.Step} {report.Loss:R}"));
            if (when?.Invoke(report.Step) == true) then!();
        }

        public override void OnEvaluated(Trainer trainer, EvaluationReport report, FitControl control) =>
            Lines.Add(FormattableString.Invariant($"evaluated {report.Step} {report.Loss:R}"));

        public override void OnEpochEnd(Trainer trainer, EpochReport report, FitControl control) =>
            Lines.Add(FormattableString.Invariant($"epoch {report.Epoch} {report.Step} {report.Loss:R}"));

        public override void OnFitEnd(Trainer trainer) => Lines.Add("end");
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(3)]
    public void CancelledAnywhere_AndResumed_IsTheWholeRun_BitForBit(int accumulation)
    {
        var whole = new Recorder();
        using TrainingDriver reference = Create();
        FitOptions Options(TrainerCallback callback, string? folder) => new()
        {
            Epochs = 3,
            GradientAccumulation = accumulation,
            Validation = BatchSource.From(_ => Batches(99)),
            Callbacks = [callback],
            Checkpoint = folder is null ? null : new CheckpointOptions(folder) { Resume = true },
        };
        long steps = new Trainer(reference).Fit(Epochs, Options(whole, null)).Steps;
        for (long at = 1; at < steps; at++)
        {
            using var folder = new TemporaryFolder();
            using var source = new CancellationTokenSource();
            var first = new Recorder(step => step == at, source.Cancel);
            using (TrainingDriver driver = Create())
            {
                Assert.ThrowsExactly<OperationCanceledException>(() =>
                new Trainer(driver).Fit(Epochs, Options(first, folder.FolderPath), source.Token));
            }

            var second = new Recorder();
            using TrainingDriver resumed = Create();
            FitResult result = new Trainer(resumed).Fit(Epochs, Options(second, folder.FolderPath));
            Assert.AreEqual(steps, result.Steps);
            Assert.AreEqual($"begin {at}", second.Lines[0]);
            CollectionAssert.AreEqual(reference.ToBuffer().ToDoubles(), resumed.ToBuffer().ToDoubles(), $"cancelled after step {at}");
            // Epoch losses count batches of both sittings.
            string[] ends = [.. first.Lines.Concat(second.Lines).Where(l => l.StartsWith("epoch", StringComparison.Ordinal))];
            CollectionAssert.AreEqual(whole.Lines.Where(l => l.StartsWith("epoch", StringComparison.Ordinal)).ToArray(), ends,
                $"cancelled after step {at}");
        }
    }

    [TestMethod]
    public void Checkpoints_EverySoManySteps_AndTheBest()
    {
        using var folder = new TemporaryFolder();
        using TrainingDriver driver = Create();
        var losses = new List<(double Loss, double[] Weights)>();
        var options = new FitOptions
        {
            Epochs = 2,
            EvaluateEverySteps = 3,
            Validation = BatchSource.From(_ => Batches(7)),
            Metrics = [Metric.Accuracy()],
            Checkpoint = new CheckpointOptions(folder.FolderPath) { EverySteps = 4, Best = "accuracy" },
            Callbacks = [new Seer(r => losses.Add((r["accuracy"], driver.ToBuffer().ToDoubles())))],
        };
        new Trainer(driver).Fit(Epochs, options);
        Assert.HasCount(3, losses);
        using TrainingDriver best = Create();
        TrainingCheckpoint.Load(best, options.Checkpoint.BestPath);
        CollectionAssert.AreEqual(losses.MaxBy(l => l.Loss).Weights, best.ToBuffer().ToDoubles());
        using TrainingDriver last = Create();
        TrainingProgress progress = TrainingCheckpoint.Load(last, options.Checkpoint.LastPath);
        CollectionAssert.AreEqual(driver.ToBuffer().ToDoubles(), last.ToBuffer().ToDoubles());
        Assert.AreEqual((2, 0), (progress.Epoch, progress.Batch));
        // Nothing is left to do.
        Assert.IsEmpty(new Trainer(last).Fit(Epochs, options with { Checkpoint = options.Checkpoint with { Resume = true } }).Epochs);
    }

    private sealed class Seer(Action<EvaluationReport> see) : TrainerCallback
    {
        public override void OnEvaluated(Trainer trainer, EvaluationReport report, FitControl control) => see(report);
    }

    [TestMethod]
    public void EarlyStopping_EndsTheFit_AndIsResumed()
    {
        using TrainingDriver driver = Create();
        double[] figures = [5, 4, 4.5, 3.95, 3.96, 1];
        int evaluation = -1;
        Metric made = Metric.Create("made", _ => (figures[evaluation], 1), higherIsBetter: false);
        var stopping = new EarlyStopping(2, "made", 0.1);
        FitResult result = new Trainer(driver).Fit(Epochs, new FitOptions
        {
            Epochs = 9,
            Metrics = [made],
            Callbacks = [stopping],
            Validation = BatchSource.From(_ =>
            {
                evaluation++;
                return new[] { TestModels.Batch(2) }.AsEnumerable();
            }),
        });
        Assert.HasCount(4, result.Epochs, "4 is the best, and two evaluations behind it are no better by 0.1");
        Assert.AreEqual(4, stopping.Best);
        var other = new EarlyStopping(2, "made", 0.1);
        other.Restore(stopping.State!);
        Assert.AreEqual((stopping.Best, stopping.Waited), (other.Best, other.Waited));
    }

    [TestMethod]
    public void AFitThatACallbackHasEnded_IsOverWhenItIsResumed_AndKeepsItsRate()
    {
        using var folder = new TemporaryFolder();
        using TrainingDriver driver = Create();
        // Each evaluation takes so long that the rate of the steps alone is plainly another one.
        var pause = TimeSpan.FromMilliseconds(300);
        FitOptions Options(int patience) => new()
        {
            Epochs = 9,
            Metrics = [Metric.Create("made", _ => (1, 1), higherIsBetter: false)],
            Callbacks = [new EarlyStopping(patience, "made")],
            Checkpoint = new CheckpointOptions(folder.FolderPath) { Resume = true },
            Validation = BatchSource.From(_ =>
            {
                Thread.Sleep(pause);
                return new[] { TestModels.Batch(2) }.AsEnumerable();
            }),
        };
        FitResult ended = new Trainer(driver).Fit(Epochs, Options(2));
        Assert.HasCount(3, ended.Epochs);
        Assert.IsGreaterThan(15 / (ended.Elapsed - (2.5 * pause)).TotalSeconds, ended.StepsPerSecond, "evaluations do not count");
        FitResult again = new Trainer(driver).Fit(Epochs, Options(2));
        Assert.AreEqual((0, 15L), (again.Epochs.Count, again.Steps));
        Assert.IsGreaterThan(15 / again.Elapsed.TotalSeconds, again.StepsPerSecond);
        Assert.HasCount(2, new Trainer(driver).Fit(Epochs, Options(4)).Epochs, "with more patience it goes on");
    }

    [TestMethod]
    public void FurtherSources_AreEvaluatedWithTheValidation()
    {
        using TrainingDriver driver = Create();
        var reports = new List<EvaluationReport>();
        BatchSource training = BatchSource.From(_ => Batches(0));
        new Trainer(driver).Fit(Epochs, new FitOptions
        {
            Validation = BatchSource.From(_ => Batches(7)),
            AlsoEvaluate = [("training", training)],
            Metrics = [Metric.Accuracy()],
            Callbacks = [new Seer(reports.Add)],
        });
        EvaluationReport own = new Trainer(driver).Evaluate(training, [Metric.Accuracy()]), also = reports.Single().Also["training"];
        Assert.AreEqual((own.Loss, own["accuracy"]), (also.Loss, also["accuracy"]));
        Assert.AreNotEqual(reports[0].Loss, also.Loss);
    }

    [TestMethod]
    public void ACheckpointOfOtherSettings_IsRefused()
    {
        using var folder = new TemporaryFolder();
        using TrainingDriver driver = Create();
        FitOptions Options(long epochs, params (string Name, string Value)[] settings) => new()
        {
            Epochs = epochs,
            Checkpoint = new CheckpointOptions(folder.FolderPath)
            {
                Resume = true,
                Settings = settings.ToImmutableDictionary(s => s.Name, s => s.Value),
            },
        };
        new Trainer(driver).Fit(Epochs, Options(1, ("rate", "0.1"), ("seed", "1")));
        string message = Assert.ThrowsExactly<CheckpointException>(() =>
            new Trainer(driver).Fit(Epochs, Options(2, ("rate", "0.2"), ("seed", "1"), ("width", "3")))).Message;
        StringAssert.Contains(message, "rate is 0.2 here, 0.1 in the checkpoint; width is 3 here, not given in the checkpoint");
        Assert.AreEqual(10, new Trainer(driver).Fit(Epochs, Options(2, ("seed", "1"))).Steps);
    }

    [TestMethod]
    public void OptionsOutOfRange_AreNamedAllAtOnce()
    {
        using TrainingDriver driver = Create();
        string message = Assert.ThrowsExactly<OptionException>(() => new Trainer(driver).Fit(Epochs, new FitOptions
        {
            EvaluateEverySteps = -1,
            AlsoEvaluate = [("a b", BatchSource.From(Batches)), ("validation", BatchSource.From(Batches))],
            Metrics = [Metric.Accuracy(), Metric.Accuracy()],
            Checkpoint = new CheckpointOptions("") { EverySteps = -1, EveryEpochs = 0, Best = "speed" },
        })).Message;
        foreach (string part in new[] { "EvaluateEverySteps is -1", "several of the name 'accuracy'", "Folder is empty",
            "EverySteps is -1", "EveryEpochs is 0", "there is no Validation whose",
            "name 'a b'", "name 'validation'", "there is no Validation", "Best is 'speed'; expected one of loss, accuracy" })
        {
            StringAssert.Contains(message, part);
        }

        Assert.ThrowsExactly<OptionException>(() =>
            new Trainer(driver).Fit(Epochs, new FitOptions { Callbacks = [new EarlyStopping(0, "speed")] }));
    }

    [TestMethod]
    public void CheckpointOfSomethingElse_IsRefused()
    {
        using var folder = new TemporaryFolder();
        using TrainingDriver driver = Create();
        var checkpoint = new CheckpointOptions(folder.FolderPath) { Resume = true };
        // Saved before the first step it is the start of any fit: so a process leaves it that was killed between ArtifactsFolder.Save and
        // its fit.
        TrainingCheckpoint.Save(driver, checkpoint.LastPath);
        Assert.AreEqual(5, new Trainer(driver).Fit(Epochs, new FitOptions { Checkpoint = checkpoint }).Steps);
        TrainingCheckpoint.Save(driver, checkpoint.LastPath);
        StringAssert.Contains(Assert.ThrowsExactly<CheckpointException>(() =>
            new Trainer(driver).Fit(Epochs, new FitOptions { Checkpoint = checkpoint })).Message, "was not written by a fit");
    }
}
