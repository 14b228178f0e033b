using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tests.Devices;

// Training with everything on a device with memory of its own: all nodes there (a fallback to the CPU is refused at load), under full
// validation. ORTCPR_DEVICE=cuda runs them on a GPU.
[TestClass]
[DoNotParallelize]
public sealed class DeviceTrainingTests
{
    private const int Steps = 20;

    private static OptimizerOptions Cpr =>
        new()
        {
            Groups = [UpdateRule.AdamCpr(1e-3, constraint: new ConstrainNorm { Bound = Bound.TimesInitial(0.9) })],
            MaxGradientNorm = 1
        };

    private static TrainingPlan Grokking =>
        TrainingGraphBuilder.Build(TestModels.Grokking,
        new TrainingOptions { Optimizer = Cpr, Parameters = new() { RegularizeEmbeddings = true } });

    private static Batch GrokkingBatch(int step)
    {
        var random = new Random(step);
        int size = 4 + (step % 3);
        long[] tokens = [.. Enumerable.Range(0, size).SelectMany(_ => new[] { random.Next(113), random.Next(113), 113L })];
        return new Batch().Add("tokens", tokens, size, 3)
            .Add("labels", [.. Enumerable.Range(0, size).Select(_ => (long)random.Next(113))], size);
    }

    private static Batch Images(int step)
    {
        var random = new Random(step);
        float[] x = [.. Enumerable.Range(0, 4 * 784).Select(_ => (float)random.NextDouble())];
        return new Batch().Add("image", x, 4, 1, 28, 28).Add("labels", [.. Enumerable.Range(0, 4).Select(_ => (long)random.Next(10))], 4);
    }

    // 30 layers of width 8: more state than one binding group holds.
    private static byte[] Deep()
    {
        OnnxModel model = OnnxModel.Create("deep", 18);
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 8));
        for (int i = 0; i < 30; i++) x = g.Add(x, g.Tanh(g.Op("Gemm", [x, Small(model.Graph, $"layer{i:00}.weight", i)])));
        model.Graph.Outputs.Add(g.Named(x, "logits"));
        return GraphWriter.ToBytes(model);
    }

    // Weights that keep 30 layers tame.
    private static Value Small(OnnxGraph graph, string name, int seed)
    {
        var random = new Random(seed);
        return graph.AddInitializer(name,
            TensorData.From<float>([.. Enumerable.Range(0, 64).Select(_ => (float)(0.2 * (random.NextDouble() - 0.5)))], 8, 8));
    }

    private static (double[] Losses, ConstraintInfo[] Constraints) Train(TrainingPlan graphs, Func<int, Batch> batches, string device)
    {
        using var driver = new TrainingDriver(graphs, new DriverOptions { Threads = 1, Device = device });
        double[] losses = new double[Steps];
        for (int t = 0; t < Steps; t++)
        {
            using Batch batch = batches(t);
            driver.LazyResetGrad();
            losses[t] = driver.TrainStep(batch);
            driver.OptimizerStep();
        }
        Assert.AreEqual(0, driver.Optimizer.SkippedSteps);
        return (losses, [.. driver.Optimizer.GetConstraints()]);
    }

    private static void Agrees(TrainingPlan graphs, Func<int, Batch> batches)
    {
        (double[] expected, ConstraintInfo[] bounds) = Train(graphs, batches, "cpu");
        (double[] actual, ConstraintInfo[] found) = Train(graphs, batches, SoftwareAdapter.DeviceOfChoice);
        for (int t = 0; t < Steps; t++)
        {
            Assert.AreEqual(expected[t], actual[t], 1e-4 * Math.Max(1, Math.Abs(expected[t])), $"loss of step {t}");
        }
        for (int i = 0; i < bounds.Length; i++)
        {
            Assert.AreEqual(bounds[i].Kappa, found[i].Kappa, 1e-4 * bounds[i].Kappa, bounds[i].Name);
            Assert.AreEqual(bounds[i].Lambda, found[i].Lambda, 1e-3 * Math.Max(bounds[i].Lambda, 1e-2), bounds[i].Name);
            Assert.AreEqual(bounds[i].EverActive, found[i].EverActive, bounds[i].Name);
        }
    }

    [TestMethod]
    public void Grokking_TrainsOnTheDevice_AsOnTheCpu() => Agrees(Grokking, GrokkingBatch);

    [TestMethod]
    public void LeNet_TrainsOnTheDevice_AsOnTheCpu()
    {
        TrainingPlan graphs = TrainingGraphBuilder.Build(TestModels.Case("models/lenet.onnx"), new TrainingOptions { Optimizer = Cpr });
        Agrees(graphs, Images);
    }

    [TestMethod]
    public void ThirtyConstrainedMatrices_TrainOnTheDevice_AsOnTheCpu()
    {
        TrainingPlan graphs = TrainingGraphBuilder.Build(Deep(), new TrainingOptions { Optimizer = Cpr });
        Assert.HasCount(30, graphs.Constrained);
        Agrees(graphs, t => TestModels.Batch(5, inputs: 8, classes: 8, seed: t));
    }

    [TestMethod]
    public void RunningStatistics_Accumulation_AndCheckpoints_WorkOnTheDevice()
    {
        using var folder = new TemporaryFolder();
        TrainingPlan graphs = TrainingGraphBuilder.Build(TestModels.BatchNormalized(), new TrainingOptions { Optimizer = Cpr });
        using var cpu = new TrainingDriver(graphs, new DriverOptions { Threads = 1 });
        using var device = new TrainingDriver(graphs, new DriverOptions { Threads = 1, Device = SoftwareAdapter.DeviceOfChoice });
        foreach (TrainingDriver driver in new[] { cpu, device })
        {
            // The gradient of a bias in front of a normalization is rounding, which Adam scales up to full steps.
            driver.Optimizer.Freeze("fc1.bias");
            for (int t = 0; t < 4; t++)
            {
                driver.LazyResetGrad();
                for (int a = 0; a < 2; a++)
                {
                    using Batch batch = TestModels.Batch(6, seed: (2 * t) + a);
                    driver.TrainStep(batch);
                }
                driver.OptimizerStep(0.5);
            }
        }
        foreach (string name in new[] { "bn.running_mean", "bn.running_var", "fc1.weight", "fc2.bias" })
        {
            double[] expected = cpu.GetParameter(name).ToDoubles(), actual = device.GetParameter(name).ToDoubles();
            for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], actual[i], 2e-4, $"{name}[{i}]");
        }
        using Batch held = TestModels.Batch(5, seed: 99);
        using Evaluation a1 = cpu.EvalStep(held), b1 = device.EvalStep(held);
        Assert.AreEqual(a1.Loss, b1.Loss, 1e-4);

        // A checkpoint of one device goes on on the other.
        TrainingCheckpoint.Save(device, folder["c.safetensors"]);
        TrainingCheckpoint.Load(cpu, folder["c.safetensors"]);
        CollectionAssert.AreEqual(device.ToBuffer().ToDoubles(), cpu.ToBuffer().ToDoubles());
        Assert.AreEqual(4, cpu.Optimizer.Steps);
    }

    [TestMethod]
    public void StepInWhichNobodyReads_CopiesNothing()
    {
        using var driver = new TrainingDriver(Grokking, new DriverOptions { Threads = 1, Device = SoftwareAdapter.DeviceOfChoice });
        using Batch batch = GrokkingBatch(1);
        void Step()
        {
            driver.LazyResetGrad();
            Assert.IsTrue(double.IsNaN(driver.TrainStep(batch, readLoss: false)));
            driver.OptimizerStep();
        }
        Step();
        long before = driver.Optimizer.Device.CopyCount;
        for (int i = 0; i < 3; i++) Step();
        Assert.AreEqual(before, driver.Optimizer.Device.CopyCount);
        Assert.IsTrue(double.IsFinite(driver.Loss));
        Assert.AreEqual(before + 1, driver.Optimizer.Device.CopyCount);
    }

    // The loss lives on the device, also where the model has it as an output.
    [TestMethod]
    public void LossThatIsAnOutputOfTheModel_IsRead()
    {
        OnnxModel model = OnnxModel.Create("model", 18);
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 8));
        Value y = g.Op("MatMul", [x, Small(model.Graph, "weight", 1)]);
        model.Graph.Outputs.Add(g.Named(y, "y"));
        model.Graph.Outputs.Add(g.Named(g.ReduceSum(g.Mul(y, y), false), "loss"));
        TrainingPlan graphs =
            TrainingGraphBuilder.Build(GraphWriter.ToBytes(model),
            new TrainingOptions { Loss = new OutputLoss { Output = "loss" }, TrainingOutputs = ["y", "loss"] });
        using var driver = new TrainingDriver(graphs, new DriverOptions { Threads = 1, Device = SoftwareAdapter.DeviceOfChoice });
        using Batch batch = new Batch().Add("x", [.. Enumerable.Range(0, 24).Select(i => i / 24f)], 3, 8);
        double loss = driver.TrainStep(batch);
        Assert.AreEqual(loss, driver.GetOutput("loss").ToDoubles()[0]);
        Assert.AreEqual(loss, driver.GetOutput("y").ToDoubles().Sum(v => v * v), 1e-5 * loss);
    }

    [TestMethod]
    public void NonFiniteGradient_ChangesNothingOnTheDevice_AndIsCounted()
    {
        TrainingPlan graphs = TrainingGraphBuilder.Build(TestModels.Linear(), new TrainingOptions { Optimizer = Cpr });
        using var driver = new TrainingDriver(graphs, new DriverOptions { Threads = 1, Device = SoftwareAdapter.DeviceOfChoice });
        double[] before = driver.ToBuffer().ToDoubles();
        using Batch bad = new Batch().Add("x", [.. Enumerable.Repeat(float.PositiveInfinity, 8)], 2, 4).Add("labels", new long[2], 2);
        driver.TrainStep(bad);
        driver.OptimizerStep();
        Assert.AreEqual(1, driver.Optimizer.SkippedSteps);
        CollectionAssert.AreEqual(before, driver.ToBuffer().ToDoubles());
    }

    [TestMethod]
    public void SeveralDrivers_ShareTheDevice_AndAreDisposedInAnyOrder()
    {
        TrainingPlan graphs = TrainingGraphBuilder.Build(TestModels.Linear(), new TrainingOptions { Optimizer = Cpr });
        var options = new DriverOptions { Threads = 1, Device = SoftwareAdapter.DeviceOfChoice };
        var first = new TrainingDriver(graphs, options);
        var second = new TrainingDriver(graphs, options);
        using Batch batch = TestModels.Batch(4);
        Assert.AreEqual(first.TrainStep(batch), second.TrainStep(batch));
        first.Dispose();
        first.Dispose();
        second.OptimizerStep();
        Assert.IsTrue(double.IsFinite(second.TrainStep(batch)));
        second.Dispose();
    }
}
