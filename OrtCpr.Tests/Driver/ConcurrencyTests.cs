using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tests.Driver;

// Several trainers and an inference session in one process share nothing but ONNX Runtime's environment.
[TestClass]
[DoNotParallelize]
public sealed class ConcurrencyTests
{
    private const int Steps = 40;

    private static TrainingPlan Graphs => TrainingGraphBuilder.Build(TestModels.BatchNormalized(), new TrainingOptions
    {
        Optimizer = new() { Groups = [UpdateRule.AdamCpr(1e-2, constraint: new ConstrainNorm { Bound = Bound.TimesInitial(0.9) })] },
    });

    private static double[] Train(TrainingPlan graphs, int threads, int seed)
    {
        using var driver = new TrainingDriver(graphs, new DriverOptions { Threads = threads });
        for (int t = 0; t < Steps; t++)
        {
            using Batch batch = TestModels.Batch(16, seed: seed + t);
            driver.LazyResetGrad();
            driver.TrainStep(batch);
            driver.OptimizerStep();
        }
        return driver.ToBuffer().ToDoubles();
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    public void TwoTrainersAndAnInferenceSession_AtOnce_GiveTheResultsOfSeparateRuns(int threads)
    {
        TrainingPlan graphs = Graphs;
        double[] first = Train(graphs, threads, 1), second = Train(graphs, threads, 1000);
        using var folder = new TemporaryFolder();
        using (var driver = new TrainingDriver(graphs, new DriverOptions { Threads = 1 })) driver.ExportModel(folder["model.onnx"]);
        using var inference = new InferenceSession(folder["model.onnx"]);
        float[] Infer()
        {
            using OrtValue x = OrtValue.CreateTensorValueFromMemory(Enumerable.Range(0, 8).Select(i => i / 8f).ToArray(), [2, 4]);
            using var run = new RunOptions();
            using IDisposableReadOnlyCollection<OrtValue> results = inference.Run(run, ["x"], [x], ["logits"]);
            return results[0].GetTensorDataAsSpan<float>().ToArray();
        }
        float[] expected = Infer();
        using var done = new CancellationTokenSource();
        Task<bool> reader = Task.Run(() =>
        {
            bool same = true;
            while (!done.IsCancellationRequested) same &= Infer().SequenceEqual(expected);
            return same;
        });
        Task<double[]> a = Task.Run(() => Train(graphs, threads, 1)), b = Task.Run(() => Train(graphs, threads, 1000));
        Task.WaitAll(a, b);
        done.Cancel();
        Assert.IsTrue(reader.Result);
        CollectionAssert.AreEqual(first, a.Result);
        CollectionAssert.AreEqual(second, b.Result);
    }

    [TestMethod]
    public void Disposal_InAnyOrder_AndTwice_IsHarmless()
    {
        TrainingPlan graphs = Graphs;
        var first = new TrainingDriver(graphs, new DriverOptions { Threads = 1 });
        var second = new TrainingDriver(graphs, new DriverOptions { Threads = 1 });
        Batch batch = TestModels.Batch(4);
        Evaluation evaluation = first.EvalStep(batch, "logits");
        first.Dispose();
        first.Dispose();
        Assert.AreEqual(12L, evaluation["logits"].GetTensorTypeAndShape().ElementCount, "results outlive their driver");
        evaluation.Dispose();
        evaluation.Dispose();
        second.TrainStep(batch);
        batch.Dispose();
        batch.Dispose();
        Assert.IsTrue(second.OptimizerStep());
        second.Optimizer.Dispose();
        second.Dispose();
        Assert.ThrowsExactly<ObjectDisposedException>(() => second.OptimizerStep());
        Assert.ThrowsExactly<ObjectDisposedException>(() => first.ToBuffer());
    }

    [TestMethod]
    public void TwoHundredRounds_OfCreateTrainDispose_LeaveNothing()
    {
        TrainingPlan graphs = Graphs;
        void Round()
        {
            using var driver = new TrainingDriver(graphs, new DriverOptions { Threads = 1 });
            using Batch batch = TestModels.Batch(8);
            driver.TrainStep(batch);
            driver.TrainStep(batch);
            driver.OptimizerStep();
            using Evaluation evaluation = driver.EvalStep(batch);
        }
        for (int i = 0; i < 40; i++) Round();
        long managed = GC.GetTotalMemory(forceFullCollection: true), resident = Resident();
        for (int i = 0; i < 200; i++) Round();
        long managedGrowth = GC.GetTotalMemory(forceFullCollection: true) - managed, growth = Resident() - resident;
        Console.WriteLine($"200 rounds: managed {managedGrowth / 1024} KiB, resident {growth / 1024} KiB");
        Assert.IsLessThan(512 * 1024, managedGrowth, "managed bytes kept");
        Assert.IsLessThan(48L * 1024 * 1024, growth, "resident bytes kept");
    }

    private static long Resident()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        using var process = System.Diagnostics.Process.GetCurrentProcess();
        return process.WorkingSet64;
    }
}
