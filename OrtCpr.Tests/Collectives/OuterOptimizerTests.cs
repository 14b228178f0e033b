using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tests.Collectives;

// Ranks that make steps of their own, and outer steps in between.
[TestClass]
public sealed class OuterOptimizerTests
{
    private static TrainingDriver Driver(ICollective? collective, OuterOptimizer? outer, Bound? bound = null) => new(
        TrainingGraphBuilder.Build(TestModels.Linear(), new TrainingOptions
        {
            Optimizer = new OptimizerOptions
            {
                Groups = [bound is null ? UpdateRule.AdamW(0.05)
                    : UpdateRule.AdamCpr(0.05, constraint: new ConstrainNorm { Bound = bound })],
            },
        }), new DriverOptions { Threads = 1, Collective = collective, OuterOptimizer = outer });

    private static void Step(TrainingDriver driver, int rank, int step)
    {
        using Batch batch = TestModels.Batch(5, seed: (step * 10) + rank);
        driver.Step(batch);
    }

    // The same by hand: two drivers that know nothing of each other, and the formula between their steps.
    [TestMethod]
    [DataRow(ElementType.Float, 1e-6)]
    [DataRow(ElementType.BFloat16, 1e-3)]
    public void OuterSteps_AreNesterovs_OnTheMeanOfTheWays(ElementType sent, double tolerance)
    {
        var outer = new OuterOptimizer { Interval = 3, LearningRate = 0.7, Momentum = 0.9, SynchronousSteps = 1, ExchangeType = sent };
        double[][] found = ThreadRanks.Run(2, c =>
        {
            using TrainingDriver driver = Driver(c, outer);
            for (int step = 0; step < 10; step++) Step(driver, step == 0 ? 0 : c.Rank, step);
            return driver.ToBuffer().ToDoubles();
        });
        CollectionAssert.AreEqual(found[0], found[1]);
        using TrainingDriver first = Driver(null, null), second = Driver(null, null);
        // One step together, on batches that are equal, then three rounds of three.
        Step(first, 0, 0);
        Step(second, 0, 0);
        double[] point = first.ToBuffer().ToDoubles(), momentum = new double[point.Length];
        for (int round = 0; round < 3; round++)
        {
            for (int step = 1 + (round * 3); step < 4 + (round * 3); step++)
            {
                Step(first, 0, step);
                Step(second, 1, step);
            }
            double[] a = first.ToBuffer().ToDoubles(), b = second.ToBuffer().ToDoubles();
            for (int i = 0; i < point.Length; i++)
            {
                double way = point[i] - ((a[i] + b[i]) / 2);
                momentum[i] = (0.9 * momentum[i]) + way;
                point[i] -= 0.7 * (way + (0.9 * momentum[i]));
            }
            foreach (TrainingDriver driver in new[] { first, second })
                driver.FromBuffer(TensorData.From<double>(point, point.Length).ConvertTo(ElementType.Float));
        }
        for (int i = 0; i < point.Length; i++) Assert.AreEqual(point[i], found[0][i], tolerance, $"{i}");
    }

    [TestMethod]
    public void RanksExchangeGradients_UntilEveryBoundIsSet()
    {
        (double Kappa, bool Equal)[][] seen = ThreadRanks.Run(2, c =>
        {
            using TrainingDriver driver = Driver(c, new OuterOptimizer { Interval = 100 }, Bound.AfterSteps(4));
            var states = new List<(double, bool)>();
            for (int step = 0; step < 8; step++)
            {
                Step(driver, c.Rank, step);
                double[] weights = driver.ToBuffer().ToDoubles();
                double[] sum = [weights.Sum()];
                using var ranks = new Pinned(sum);
                c.AllReduce(ranks.Address, 1, ElementType.Double);
                states.Add((driver.Optimizer.GetConstraints()[0].Kappa, Math.Abs((sum[0] / 2) - weights.Sum()) < 1e-9));
            }
            driver.Synchronize();
            return states.ToArray();
        });
        CollectionAssert.AreEqual(seen[0].Select(s => s.Kappa).ToArray(), seen[1].Select(s => s.Kappa).ToArray(), "κ is the same");
        CollectionAssert.AreEqual(new[] { true, true, true, true, false, false, false, false }, seen[0].Select(s => s.Equal).ToArray());
    }

    [TestMethod]
    public void AFit_EndsWithOneModel_AndStopsOnAllRanks()
    {
        double[][] found = ThreadRanks.Run(2, c =>
        {
            using TrainingDriver driver = Driver(c, new OuterOptimizer { Interval = 4, SynchronousSteps = 2 });
            new Trainer(driver).Fit(BatchSource.From(e => Enumerable.Range(0, 7).Select(i => TestModels.Batch(3, seed: (int)(e * 10) + i)))
                .WithBatchesPerEpoch(7), new FitOptions
                {
                    Epochs = 9,
                    Validation = BatchSource.From(_ => [TestModels.Batch(20, seed: 99)]),
                    Callbacks = [new Stop(c.Rank == 1 ? 7 : long.MaxValue)],
                });
            return driver.ToBuffer().ToDoubles().Append(driver.Optimizer.Steps).ToArray();
        });
        CollectionAssert.AreEqual(found[0], found[1]);
        Assert.IsLessThan(36, found[0][^1], "rank 1 wanted to stop after 7 steps, and all did so at the next exchange");
    }

    [TestMethod]
    public void OptionsOutOfRange_AreAllNamed()
    {
        string message = Assert.ThrowsExactly<OptionException>(() => Driver(null, new OuterOptimizer
        {
            Interval = 0,
            LearningRate = 0,
            Momentum = 1,
            SynchronousSteps = -1,
            ExchangeType = ElementType.Int64,
        })).Message;
        foreach (string part in new[] { "Interval is 0", "LearningRate is 0", "Momentum is 1", "SynchronousSteps is -1",
            "ExchangeType is Int64" })
        {
            StringAssert.Contains(message, part);
        }
    }

    private sealed class Stop(long at) : TrainerCallback
    {
        public override void OnStepEnd(Trainer trainer, StepReport report, FitControl control) =>
            control.StopRequested |= report.Step >= at;
    }

    private sealed unsafe class Pinned(double[] values) : IDisposable
    {
        private System.Runtime.InteropServices.GCHandle _handle = System.Runtime.InteropServices.GCHandle.Alloc(values,
            System.Runtime.InteropServices.GCHandleType.Pinned);

        public nint Address => _handle.AddrOfPinnedObject();

        public void Dispose() => _handle.Free();
    }
}
