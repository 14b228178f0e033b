using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tests.Driver;

[TestClass]
public sealed class TrainingDriverTests
{
    private static TrainingDriver Create(byte[] model, OptimizerOptions? optimizer = null, DriverOptions? options = null) =>
        new(TrainingGraphBuilder.Build(model, new TrainingOptions { Optimizer = optimizer ?? Dependent }),
            options ?? new DriverOptions { Threads = 1 });

    private static OptimizerOptions Dependent => new()
    {
        Groups = [UpdateRule.AdamCpr(1e-2, constraint: new ConstrainNorm { Bound = Bound.TimesInitial(0.8) })],
    };

    private static void Step(TrainingDriver driver, Batch batch)
    {
        driver.LazyResetGrad();
        driver.TrainStep(batch);
        driver.OptimizerStep();
    }

    private static Dictionary<string, byte[]> Everything(TrainingDriver driver) =>
        driver.Optimizer.Store.Names.ToDictionary(n => n, n => driver.Optimizer.Store.Read(n).Bytes.ToArray());

    [TestMethod]
    public void Loss_Falls_OnABatchLearnedByHeart()
    {
        using TrainingDriver driver = Create(TestModels.Linear());
        using Batch batch = TestModels.Batch(16);
        double first = driver.TrainStep(batch);
        for (int i = 0; i < 100; i++) Step(driver, batch);
        driver.LazyResetGrad();
        Assert.IsLessThan(0.9 * first, driver.TrainStep(batch));
    }

    [TestMethod]
    public unsafe void Buffers_KeepTheirAddresses()
    {
        using TrainingDriver driver = Create(TestModels.BatchNormalized());
        Dictionary<string, nint> Addresses() => driver.Optimizer.Store.Names.ToDictionary(n => n, n =>
            (nint)System.Runtime.CompilerServices.Unsafe.AsPointer(ref MemoryMarshal.GetReference(driver.Optimizer.Store[n]
                .GetTensorMutableRawData())));
        Dictionary<string, nint> before = Addresses();
        for (int i = 0; i < 5; i++)
        {
            using Batch batch = TestModels.Batch(5 + i);
            Step(driver, batch);
        }
        foreach ((string name, nint address) in Addresses()) Assert.AreEqual(before[name], address, name);
    }

    [TestMethod]
    public void Memory_StaysFlat_OverTwentyThousandSteps()
    {
        using TrainingDriver driver = Create(TestModels.Linear());
        using Batch batch = TestModels.Batch(4);
        for (int i = 0; i < 200; i++) Step(driver, batch);
        // What a step keeps is kept in every window; what the runtime keeps beside it, once in a while.
        const int steps = 7_000, windows = 3;
        long resident = Environment.WorkingSet, least = long.MaxValue;
        for (int window = 0; window < windows; window++)
        {
            long managed = GC.GetTotalMemory(forceFullCollection: true);
            for (int i = 0; i < steps; i++) Step(driver, batch);
            least = Math.Min(least, GC.GetTotalMemory(forceFullCollection: true) - managed);
        }
        Assert.IsLessThan(12 * steps, least, "managed bytes kept, 12 a step");
        Assert.IsLessThan(64L * 1024 * 1024, Environment.WorkingSet - resident, "resident bytes kept");
    }

    [TestMethod]
    public void BatchSize_MayChange_FromStepToStep()
    {
        using TrainingDriver driver = Create(TestModels.BatchNormalized());
        foreach (int size in new[] { 8, 3, 17, 2, 8 })
        {
            using Batch batch = TestModels.Batch(size);
            driver.LazyResetGrad();
            Assert.IsTrue(double.IsFinite(driver.TrainStep(batch)));
            Assert.IsTrue(driver.OptimizerStep());
        }
    }

    [TestMethod]
    public void Gradients_AddUp_UntilReset()
    {
        using TrainingDriver driver = Create(TestModels.Linear());
        using Batch one = TestModels.Batch(4, seed: 1), two = TestModels.Batch(6, seed: 2);
        driver.TrainStep(one);
        float[] first = driver.GetGradient("weight").ToArray<float>();
        driver.LazyResetGrad();
        driver.TrainStep(two);
        float[] second = driver.GetGradient("weight").ToArray<float>();
        driver.TrainStep(one);
        Assert.AreEqual(2, driver.AccumulatedSteps);
        float[] both = driver.GetGradient("weight").ToArray<float>();
        for (int i = 0; i < both.Length; i++) Assert.AreEqual(first[i] + second[i], both[i], 1e-6f);
    }

    [TestMethod]
    [DataRow(float.NaN)]
    [DataRow(float.PositiveInfinity)]
    public void NonFiniteGradient_SkipsTheStep_AndChangesNothing(float poison)
    {
        using TrainingDriver driver = Create(TestModels.BatchNormalized());
        using Batch good = TestModels.Batch(8);
        Step(driver, good);
        Dictionary<string, byte[]> before = Everything(driver);
        float[] x = [.. Enumerable.Repeat(poison, 8 * 4)];
        using Batch bad = new Batch().Add("x", x, 8, 4).Add("labels", new long[8], 8);
        driver.LazyResetGrad();
        driver.TrainStep(bad);
        Assert.IsFalse(driver.OptimizerStep());
        Assert.AreEqual(1, driver.Optimizer.SkippedSteps);
        Assert.IsFalse(double.IsFinite(driver.Optimizer.GradientNorm));
        string[] transient = ["step_applied", "grad_norm", "skipped_steps", "loss"];
        foreach ((string name, byte[] bytes) in Everything(driver)
            .Where(t => !t.Key.EndsWith("_grad", StringComparison.Ordinal) && !transient.Contains(t.Key)))
        {
            CollectionAssert.AreEqual(before[name], bytes, name);
        }

        Step(driver, good);
        Assert.AreEqual(1, driver.Optimizer.SkippedSteps);
    }

    [TestMethod]
    public void RunningStatistics_FollowTheBatches_WhenTheStepIsApplied()
    {
        using TrainingDriver driver = Create(TestModels.BatchNormalized());
        using Batch batch = TestModels.Batch(32);
        driver.TrainStep(batch);
        Assert.AreEqual(0f, driver.GetParameter("bn.running_mean").ToArray<float>()[0], "not committed before the step");
        driver.OptimizerStep();
        float[] committed = driver.GetParameter("bn.running_mean").ToArray<float>();
        Assert.AreNotEqual(0f, committed[0]);
        CollectionAssert.AreEqual(committed, driver.GetParameter("bn.running_mean.pending").ToArray<float>());
    }

    [TestMethod]
    public void EvalStep_UsesStoredStatistics_AndChangesNothing()
    {
        using TrainingDriver driver = Create(TestModels.BatchNormalized());
        using Batch batch = TestModels.Batch(8);
        Step(driver, batch);
        Dictionary<string, byte[]> before = Everything(driver);
        using Evaluation whole = driver.EvalStep(batch, "logits");
        float[] logits = whole["logits"].GetTensorDataAsSpan<float>().ToArray();
        foreach ((string name, byte[] bytes) in Everything(driver)) CollectionAssert.AreEqual(before[name], bytes, name);
        // With stored statistics a row does not depend on its neighbours.
        float[] x = batch.Tensors["x"].GetTensorDataAsSpan<float>()[..4].ToArray();
        using Batch row = new Batch().Add("x", x, 1, 4).Add("labels", new long[1], 1);
        using Evaluation alone = driver.EvalStep(row, "logits");
        for (int i = 0; i < 3; i++) Assert.AreEqual(logits[i], alone["logits"].GetTensorDataAsSpan<float>()[i], 1e-5f);
    }

    [TestMethod]
    public void DoubleModel_TrainsInDouble()
    {
        using TrainingDriver driver = Create(TestModels.Linear(ElementType.Double));
        double[] x = [.. Enumerable.Range(0, 8).Select(i => i / 8.0)];
        using Batch batch = new Batch().Add("x", x, 2, 4).Add("labels", new long[] { 0, 2 }, 2);
        double first = driver.TrainStep(batch);
        driver.OptimizerStep();
        driver.LazyResetGrad();
        Assert.IsLessThan(first, driver.TrainStep(batch));
        Assert.AreEqual(ElementType.Double, driver.GetParameter("weight").Type);
    }

    [TestMethod]
    public void ExportedModel_HasTheOriginalsFace_AndTheEvaluationsNumbers()
    {
        using var folder = new TemporaryFolder();
        using TrainingDriver driver = Create(TestModels.BatchNormalized());
        using Batch batch = TestModels.Batch(8);
        for (int i = 0; i < 3; i++) Step(driver, batch);
        driver.ExportModel(folder["trained.onnx"]);
        using var session = new InferenceSession(folder["trained.onnx"]);
        CollectionAssert.AreEqual(new[] { "x" }, session.InputNames.ToArray());
        CollectionAssert.AreEqual(new[] { "logits" }, session.OutputNames.ToArray());
        using var run = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> results = session.Run(run, ["x"], [batch.Tensors["x"]], ["logits"]);
        using Evaluation evaluation = driver.EvalStep(batch, "logits");
        float[] expected = evaluation["logits"].GetTensorDataAsSpan<float>().ToArray(),
            actual = results[0].GetTensorDataAsSpan<float>().ToArray();
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], actual[i], 1e-5f);
        using var stream = new MemoryStream();
        driver.ExportModel(stream);
        CollectionAssert.AreEqual(File.ReadAllBytes(folder["trained.onnx"]), stream.ToArray());
    }

    [TestMethod]
    public void RunningStatisticsAsAnOutput_AreTheStoredOnes_InEvaluationAndExport()
    {
        using var folder = new TemporaryFolder();
        var options = new TrainingOptions { Optimizer = Dependent, Loss = new OrtCpr.Graph.Losses.CrossEntropyLoss { Output = "logits" } };
        using var driver = new TrainingDriver(TrainingGraphBuilder.Build(TestModels.BatchNormalized(withStatistics: true), options),
            new DriverOptions { Threads = 1 });
        using Batch batch = TestModels.Batch(8);
        Step(driver, batch);
        float[] stored = driver.GetParameter("bn.running_mean").ToArray<float>();
        using Evaluation evaluation = driver.EvalStep(batch, "statistics");
        CollectionAssert.AreEqual(stored, evaluation["statistics"].GetTensorDataAsSpan<float>().ToArray());
        driver.ExportModel(folder["trained.onnx"]);
        using var session = new InferenceSession(folder["trained.onnx"]);
        using var run = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> results = session.Run(run, ["x"], [batch.Tensors["x"]], ["statistics"]);
        CollectionAssert.AreEqual(stored, results[0].GetTensorDataAsSpan<float>().ToArray());
    }

    [TestMethod]
    public void HalfPrecisionModel_ReturnsToItsTypeAtExport()
    {
        using var folder = new TemporaryFolder();
        using TrainingDriver driver =
            TrainingDriver.Create(TestModels.Case("models/mlp_float16.onnx"), new TrainingOptions { Optimizer = Dependent },
            new DriverOptions { Threads = 1 });
        Assert.AreEqual(ElementType.Float, driver.GetParameter(driver.Plan.Parameters.Trained[0].Name).Type);
        driver.ExportModel(folder["half.onnx"]);
        using var session = new InferenceSession(folder["half.onnx"]);
        Assert.AreEqual(typeof(Float16), session.InputMetadata.Values.Single().ElementType);
    }

    [TestMethod]
    public void LambdaAndKappa_AreReadableAsATable()
    {
        using TrainingDriver driver = Create(TestModels.Linear());
        using Batch batch = TestModels.Batch(8);
        Assert.IsFalse(driver.Optimizer.GetConstraints().Single().IsSet);
        Assert.IsTrue(double.IsNaN(driver.Optimizer.GetConstraints().Single().Kappa));
        double before = driver.GetParameter("weight").ToDoubles().Sum(w => w * w);
        Step(driver, batch);
        ConstraintInfo row = driver.Optimizer.GetConstraints().Single();
        Assert.AreEqual("weight", row.Name);
        Assert.AreEqual(0.8 * before, row.Kappa, 1e-5);
        Assert.IsGreaterThan(0, row.Lambda);
        Assert.AreEqual("bounds set 1/1, ever active 1/1", driver.Optimizer.ConstraintSummary);
    }

    [TestMethod]
    public void ThreadsAndKernels_DoNotChangeTheResult()
    {
        double[] Run(DriverOptions options)
        {
            using TrainingDriver driver = Create(TestModels.Linear(), options: options);
            using Batch batch = TestModels.Batch(8);
            for (int i = 0; i < 10; i++) Step(driver, batch);
            return driver.GetParameter("weight").ToDoubles();
        }
        double[] kernels = Run(new DriverOptions { Threads = 1 }), two = Run(new DriverOptions { Threads = 2 }),
            bodies = Run(new DriverOptions { Threads = 1, Kernels = false });
        CollectionAssert.AreEqual(kernels, two);
        for (int i = 0; i < kernels.Length; i++) Assert.AreEqual(kernels[i], bodies[i], 1e-5);
    }

    [TestMethod]
    public void OptimizerStep_BeforeAnyTrainStep_IsRefused()
    {
        using TrainingDriver driver = Create(TestModels.Linear());
        Assert.ThrowsExactly<DriverException>(() => driver.OptimizerStep());
    }

    [TestMethod]
    public void Dispose_TwiceIsHarmless_AndUseAfterItIsRefused()
    {
        TrainingDriver driver = Create(TestModels.Linear());
        driver.Dispose();
        driver.Dispose();
        using Batch batch = TestModels.Batch(2);
        Assert.ThrowsExactly<ObjectDisposedException>(() => driver.TrainStep(batch));
    }
}
