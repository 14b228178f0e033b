using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Tests.Driver;

// Gradients of frozen parameters are not computed, and nothing else changes by that.
[TestClass]
public sealed class PartialTrainingTests
{
    private static readonly NamePattern[] Body = ["fc1.*", "bn.*"];

    private static TrainingDriver Create(string? keep = null) => new(TrainingGraphBuilder.Build(TestModels.BatchNormalized(),
        new TrainingOptions
        {
            Optimizer = new()
            {
                Groups = [UpdateRule.AdamCpr(1e-2, constraint: new ConstrainNorm { Bound = Bound.AfterSteps(2) })],
                MaxGradientNorm = 0.5,
            },
        }), new DriverOptions { Threads = 1, KeepGraphs = keep });

    private static void Step(TrainingDriver driver, int seed, int batches)
    {
        driver.LazyResetGrad();
        for (int i = 0; i < batches; i++)
        {
            using Batch batch = TestModels.Batch(6, seed: (seed * 10) + i);
            driver.TrainStep(batch);
        }
        driver.OptimizerStep(1.0 / batches);
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(3)]
    public void AStepWithoutFrozenGradients_IsThatOfTheWholeGraph_ToTheBit(int batches)
    {
        using var folder = new TemporaryFolder();
        using TrainingDriver frozen = Create(folder[""]), whole = Create();
        frozen.Optimizer.Freeze(Body);
        foreach (string name in whole.Plan.Trained.Select(p => p.Name).Where(n => Body.Any(b => b.Matches(n))))
            whole.Optimizer.SetGradientPresent(name, false);
        for (int step = 1; step <= 4; step++)
        {
            Step(frozen, step, batches);
            Step(whole, step, batches);
            Assert.AreEqual(whole.Loss, frozen.Loss, $"step {step}");
            Assert.AreEqual(whole.Optimizer.GradientNorm, frozen.Optimizer.GradientNorm, $"step {step}");
            CollectionAssert.AreEqual(whole.ToBuffer().ToDoubles(), frozen.ToBuffer().ToDoubles(), $"step {step}");
        }
        string[] graphs = batches == 1 ? ["training"] : ["training", "accumulation"];
        foreach (string graph in graphs)
        {
            int all = Nodes(folder[$"{graph}_partial.onnx"]);
            Assert.IsLessThan(batches == 1 ? Nodes(folder["training.onnx"]) : int.MaxValue, all);
            Assert.DoesNotContain("fc1.weight_grad", Outputs(folder[$"{graph}_partial.onnx"]));
        }
    }

    [TestMethod]
    public void PartsThatAreFrozenInTurns_HaveSessionsThatAreKept()
    {
        using TrainingDriver turns = Create(), other = Create();
        for (int step = 1; step <= 12; step++)
        {
            NamePattern[] frozen = step % 2 == 0 ? Body : ["fc2.*"], free = step % 2 == 0 ? ["fc2.*"] : Body;
            turns.Optimizer.Unfreeze(free);
            turns.Optimizer.Freeze(frozen);
            foreach (string name in other.Plan.Trained.Select(p => p.Name))
                other.Optimizer.SetGradientPresent(name, !frozen.Any(f => f.Matches(name)));
            Step(turns, step, 2);
            Step(other, step, 2);
        }
        CollectionAssert.AreEqual(other.ToBuffer().ToDoubles(), turns.ToBuffer().ToDoubles());
    }

    [TestMethod]
    public void AParameterThatIsUnfrozenWithinAStep_IsTrainedFromTheNextOn()
    {
        using TrainingDriver driver = Create();
        driver.Optimizer.Freeze(Body);
        driver.LazyResetGrad();
        using Batch batch = TestModels.Batch(6);
        driver.TrainStep(batch);
        double[] before = driver.GetParameter("fc1.weight").ToDoubles(), head = driver.GetParameter("fc2.weight").ToDoubles();
        driver.Optimizer.Unfreeze(Body);
        driver.TrainStep(batch);
        driver.OptimizerStep(0.5);
        CollectionAssert.AreEqual(before, driver.GetParameter("fc1.weight").ToDoubles());
        CollectionAssert.AreNotEqual(head, driver.GetParameter("fc2.weight").ToDoubles());
        Step(driver, 2, 1);
        CollectionAssert.AreNotEqual(before, driver.GetParameter("fc1.weight").ToDoubles());
    }

    [TestMethod]
    public void FreezeUntilEpoch_GoesOnAfterACheckpoint_BitForBit()
    {
        using var folder = new TemporaryFolder();
        using TrainingDriver whole = Create(), first = Create(), second = Create();
        Fit(whole, 4, null);
        Fit(first, 2, folder["run"], stopAt: 5);
        Assert.HasCount(4, first.Optimizer.Frozen, "the third epoch has not begun");
        Fit(second, 4, folder["run"]);
        CollectionAssert.AreEqual(whole.ToBuffer().ToDoubles(), second.ToBuffer().ToDoubles());
        Assert.IsEmpty(second.Optimizer.Frozen);

        static void Fit(TrainingDriver driver, int epochs, string? folder, long stopAt = long.MaxValue)
        {
            new Trainer(driver).Fit(
                BatchSource.From(e => Enumerable.Range(0, 3).Select(i => TestModels.Batch(6, seed: ((int)e * 10) + i))),
                new FitOptions
                {
                    Epochs = epochs,
                    MaxSteps = stopAt,
                    Callbacks = [new FreezeUntilEpoch(2, Body)],
                    Checkpoint = folder is null ? null : new CheckpointOptions(folder) { EverySteps = 1, Resume = true },
                });
        }
    }

    [TestMethod]
    public void FreezeUntilEpoch_KeepsTheBody_AndThenTrainsIt()
    {
        using TrainingDriver driver = Create();
        double[] start = driver.GetParameter("fc1.weight").ToDoubles();
        var seen = new List<bool>();
        new Trainer(driver).Fit(BatchSource.From(_ => [TestModels.Batch(6)]), new FitOptions
        {
            Epochs = 4,
            Callbacks = [new FreezeUntilEpoch(2, Body), new Watch(() => seen.Add(start.SequenceEqual(
                driver.GetParameter("fc1.weight").ToDoubles())))],
        });
        CollectionAssert.AreEqual(new[] { true, true, false, false }, seen);
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => new FreezeUntilEpoch(0)).Message, "the epoch is 0");
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => new FreezeUntilEpoch(0)).Message, "no parameter is named");
    }

    private static int Nodes(string path) => ModelFile.Load(path).Proto.Graph.Node.Count;

    private static string[] Outputs(string path) => [.. ModelFile.Load(path).Proto.Graph.Output.Select(o => o.Name)];

    private sealed class Watch(Action look) : TrainerCallback
    {
        public override void OnEpochEnd(Trainer trainer, EpochReport report, FitControl control) => look();
    }
}
