using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Metrics;

namespace OrtCpr.Tests.Driver;

/// <summary>Runs that are too short for the default way of finding bounds: they are told so, and have bounds all the same.</summary>
[TestClass]
public sealed class ShortRunTests
{
    private static TrainingDriver Create(ConstrainNorm? constraint = null, long? totalSteps = null) =>
        new(TrainingGraphBuilder.Build(TestModels.Linear(), new TrainingOptions
        {
            Optimizer = new() { Groups = [UpdateRule.AdamCpr(1e-2, constraint: constraint)], TotalSteps = totalSteps },
        }), new DriverOptions { Threads = 1 });

    private static DataSource Table(int rows)
    {
        var random = new Random(3);
        float[] x = [.. Enumerable.Range(0, rows * 4).Select(_ => (float)random.NextDouble() - 0.5f)];
        long[] labels = [.. Enumerable.Range(0, rows).Select(i => x[4 * i] > 0 ? 1L : 0)];
        return DataSource.FromTensors(new Dictionary<string, TensorData>
        {
            ["x"] = TensorData.From<float>(x, rows, 4),
            ["labels"] = TensorData.From<long>(labels, rows)
        });
    }

    private sealed class Listener : TrainerCallback
    {
        public List<string> Warnings { get; } = [];

        public List<long> SetAt { get; } = [];

        public override void OnWarning(Trainer trainer, string message) => Warnings.Add(message);

        public override void OnStepEnd(Trainer trainer, StepReport report, FitControl control)
        {
            if (trainer.Driver.Optimizer.GetConstraints().All(c => c.IsSet)) SetAt.Add(report.Step);
        }
    }

    // The README's second program: 20 epochs of a table under the default optimizer.
    [TestMethod]
    public void TwentyEpochsOfATable_HaveTheirBoundsSet_AndAreToldSo()
    {
        using TrainingDriver driver = Create();
        (DataSource training, DataSource validation) = Table(150).Split(0.8);
        DataLoader batches = new(training, driver.Plan.BatchInputs),
            held = new(validation, driver.Plan.BatchInputs, new DataLoaderOptions { Shuffle = false });
        var listener = new Listener();
        FitResult result = new Trainer(driver)
            .Fit(batches, new FitOptions { Epochs = 20, Validation = held, Metrics = [Metric.Accuracy()], Callbacks = [listener] });
        Assert.AreEqual(80, result.Steps);
        StringAssert.StartsWith(result.ConstraintSummary, "bounds set 1/1");
        Assert.AreEqual(16, listener.SetAt[0]);
        StringAssert.Contains(listener.Warnings.Single(), "The run has 80 steps, too few for bounds at an inflection point");
        CollectionAssert.AreEqual(listener.Warnings, result.Warnings.ToArray());
    }

    // Set from outside after a step or by the optimizer graph itself: the same numbers.
    [TestMethod]
    public void BoundsThatAFitSets_AreThoseOfAWarmStart()
    {
        using TrainingDriver late = Create(), early = Create(totalSteps: 80);
        foreach (TrainingDriver driver in new[] { late, early })
            new Trainer(driver).Fit(new DataLoader(Table(120), driver.Plan.BatchInputs), new FitOptions { Epochs = 20 });
        StringAssert.Contains(string.Join('\n', early.Plan.Warnings), "set after step 16");
        double[] expected = early.ToBuffer().ToDoubles(), found = late.ToBuffer().ToDoubles();
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], found[i], 1e-6);
        Assert.AreEqual(early.Optimizer.GetConstraints()[0].Kappa, late.Optimizer.GetConstraints()[0].Kappa, 1e-6);
    }

    [TestMethod]
    public void AnOwnBoundThatIsOutOfReach_IsTold_AndALongRunIsNot()
    {
        using TrainingDriver own = Create(new ConstrainNorm { Bound = Bound.AfterSteps(90) });
        FitResult result = new Trainer(own).Fit(new DataLoader(Table(120), own.Plan.BatchInputs), new FitOptions { Epochs = 20 });
        StringAssert.Contains(result.Warnings.Single(), "Bound.AfterSteps sets bounds after step 90, but the run has 80");
        StringAssert.StartsWith(result.ConstraintSummary, "bounds set 0/1");
        using TrainingDriver other = Create();
        // Of batches whose number nobody knows the length of the run is not known.
        Assert.IsEmpty(new Trainer(other).Fit(FitTests.Epochs, new FitOptions { Epochs = 2 }).Warnings);
        Assert.IsEmpty(new Trainer(other)
            .Fit(BatchSource.From(_ => FitTests.Batches(0)).WithBatchesPerEpoch(5),
            new FitOptions { Epochs = 1000, MaxSteps = 1600, Callbacks = [new Stop()] }).Warnings);
    }

    private sealed class Stop : TrainerCallback
    {
        public override void OnStepEnd(Trainer trainer, StepReport report, FitControl control) => control.StopRequested = true;
    }
}
