using Microsoft.ML.OnnxRuntime;
using OrtCpr.Checkpoints;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tests.Driver;

/// <summary>Training in 16 bits on the CPU, where casts round: near float32, with float32 masters, and with a loss scale in
/// float16.</summary>
[TestClass]
public sealed class MixedPrecisionTests
{
    private static readonly DriverOptions OneThread = new() { Threads = 1 };

    private static TrainingDriver Create(byte[] model, TrainingOptions options) =>
        new(TrainingGraphBuilder.Build(model, options), OneThread);

    private static Batch Tokens(int step)
    {
        var random = new Random(step % 5);
        long[] tokens = [.. Enumerable.Range(0, 8).SelectMany(_ => new[] { random.Next(113), random.Next(113), 113L })];
        return new Batch().Add("tokens", tokens, 8, 3).Add("labels", [.. Enumerable.Range(0, 8).Select(_ => (long)random.Next(113))], 8);
    }

    private static Batch Images(int step)
    {
        var random = new Random(step % 5);
        float[] x = [.. Enumerable.Range(0, 4 * 784).Select(_ => (float)random.NextDouble())];
        return new Batch().Add("image", x, 4, 1, 28, 28).Add("labels", [.. Enumerable.Range(0, 4).Select(_ => (long)random.Next(10))], 4);
    }

    private static (string Model, Func<int, Batch> Batches) Job(string name) => name switch
    {
        "transformer" => (TestModels.Grokking, Tokens),
        "conv" => (TestModels.Case("models/lenet.onnx"), Images),
        _ => ("", step => TestModels.Batch(16, seed: step % 5)),
    };

    private static TrainingPlan Plan(string job, Precision precision, LossScaling? scaling = null)
    {
        var options = new TrainingOptions
        {
            Precision = precision,
            LossScaling = scaling ?? new(),
            Optimizer = new OptimizerOptions { Groups = [UpdateRule.AdamW()], MaxGradientNorm = 1 },
        };
        string path = Job(job).Model;
        return path.Length > 0 ? TrainingGraphBuilder.Build(path, options)
            : TrainingGraphBuilder.Build(TestModels.BatchNormalized(), options);
    }

    private static double[] Train(TrainingDriver driver, Func<int, Batch> batches, int steps, int from = 0)
    {
        double[] losses = new double[steps];
        for (int t = 0; t < steps; t++)
        {
            using Batch batch = batches(from + t);
            losses[t] = driver.Step(batch);
        }
        return losses;
    }

    /// <summary>Rounding errors of single products average out in a loss: within 4 units of the format, of the largest loss. Later, steps
    /// on other weights take the runs apart, as another order of summation would.</summary>
    [TestMethod]
    [DataRow("mlp", Precision.BFloat16)]
    [DataRow("mlp", Precision.Float16)]
    [DataRow("conv", Precision.BFloat16)]
    [DataRow("conv", Precision.Float16)]
    [DataRow("transformer", Precision.BFloat16)]
    [DataRow("transformer", Precision.Float16)]
    public void Losses_AreNearThoseOfFloat32(string job, Precision precision)
    {
        const int steps = 20;
        using var wide = new TrainingDriver(Plan(job, Precision.Float32), OneThread);
        using var low = new TrainingDriver(Plan(job, precision), OneThread);
        double[] expected = Train(wide, Job(job).Batches, steps), found = Train(low, Job(job).Batches, steps);
        double unit = precision == Precision.BFloat16 ? Math.ScaleB(1, -8) : Math.ScaleB(1, -11), largest = expected.Max();
        double worst = Enumerable.Range(0, steps).Max(t => Math.Abs(expected[t] - found[t]) / largest);
        Assert.IsLessThan(4 * unit, worst, $"{worst / unit:0.00} units");
        Assert.IsGreaterThan(0, worst, "nothing was rounded");
        Assert.AreEqual(0, low.Optimizer.SkippedSteps);
        // The same batch later.
        Assert.IsLessThan(found[0], found[15]);
        // Masters keep what the 16 bits do not.
        Assert.IsTrue(low.Plan.Trained.All(p => low.GetParameter(p.Name).Type == ElementType.Float));
        using Batch batch = Job(job).Batches(0);
        Assert.AreEqual(Graph32(low, batch), low.EvalStep(batch).Loss, "evaluation is float32");
    }

    // The same weights in a job of float32.
    private static double Graph32(TrainingDriver driver, Batch batch)
    {
        using var stream = new MemoryStream();
        driver.ExportModel(stream);
        using var exported = new TrainingDriver(TrainingGraphBuilder.Build(stream.ToArray()), OneThread);
        return exported.EvalStep(batch).Loss;
    }

    [TestMethod]
    public void TheExportedModel_GivesWhatEvaluationGives()
    {
        using var folder = new TemporaryFolder();
        using var driver = new TrainingDriver(Plan("conv", Precision.BFloat16), OneThread);
        Train(driver, Images, 3);
        using Batch batch = Images(9);
        using Prediction expected = driver.Predict(batch);
        driver.ExportModel(folder["model.onnx"]);
        using var session = new InferenceSession(folder["model.onnx"]);
        using var run = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> results =
            session.Run(run, ["image"], [batch.Tensors["image"]], session.OutputNames);
        double[] found = Device.ReadOnHost(results[0]).ToDoubles();
        double[] wanted = Device.ReadOnHost(expected[session.OutputNames[0]]).ToDoubles();
        for (int i = 0; i < found.Length; i++) Assert.AreEqual(wanted[i], found[i], 1e-5);
    }

    private static double BFloat16(double value)
    {
        uint bits = BitConverter.SingleToUInt32Bits((float)value);
        return BitConverter.UInt32BitsToSingle((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16);
    }

    /// <summary>y = x·Wᵀ + b, L = mean (y − t)², W ← W − r·dW, computed here in float64 with each rounding written down. All sums are
    /// exact in float32.</summary>
    [TestMethod]
    public void OneStepOfALinearLayer_IsWhatRoundingByHandGives()
    {
        const int rows = 4, inputs = 4, outputs = 2;
        const double rate = 0.5;
        var random = new Random(3);
        float[] Numbers(int count) => [.. Enumerable.Range(0, count).Select(_ => random.Next(-2048, 2048) / 1024f)];
        float[] x = Numbers(rows * inputs), weight = Numbers(outputs * inputs), bias = Numbers(outputs), target = Numbers(rows * outputs);
        using TrainingDriver driver = Create(TestModels.Linear(inputs: inputs, outputs: outputs), new TrainingOptions
        {
            Loss = new MseLoss(),
            Precision = Precision.BFloat16,
            TrainingOutputs = ["logits"],
            Optimizer = new OptimizerOptions { Groups = [UpdateRule.Sgd(rate, new ScaleByMomentum { Momentum = 0 })] },
        });
        driver.Optimizer.Set("weight", TensorData.From<float>(weight, outputs, inputs));
        driver.Optimizer.Set("bias", TensorData.From<float>(bias, outputs));
        using Batch batch = new Batch().Add("x", x, rows, inputs).Add("target", target, rows, outputs);
        double loss = driver.Step(batch);

        double[] y = new double[rows * outputs], dy = new double[rows * outputs];
        for (int r = 0; r < rows; r++)
        {
            for (int o = 0; o < outputs; o++)
            {
                double sum = BFloat16(bias[o]);
                for (int i = 0; i < inputs; i++) sum += BFloat16(x[(r * inputs) + i]) * BFloat16(weight[(o * inputs) + i]);
                y[(r * outputs) + o] = BFloat16(sum);
                dy[(r * outputs) + o] = 2 * (y[(r * outputs) + o] - target[(r * outputs) + o]) / (rows * outputs);
            }
        }
        CollectionAssert.AreEqual(y, driver.GetOutput("logits").ToDoubles());
        Assert.AreEqual(y.Select((v, i) => (v - target[i]) * (v - target[i])).Average(), loss, 1e-6);
        double[] gradient = driver.GetGradient("weight").ToDoubles(), updated = driver.GetParameter("weight").ToDoubles();
        for (int o = 0; o < outputs; o++)
        {
            for (int i = 0; i < inputs; i++)
            {
                double sum = Enumerable.Range(0, rows).Sum(r => BFloat16(dy[(r * outputs) + o]) * BFloat16(x[(r * inputs) + i]));
                Assert.AreEqual(BFloat16(sum), gradient[(o * inputs) + i], $"dW[{o}, {i}]");
                Assert.AreEqual((float)(weight[(o * inputs) + i] - (rate * BFloat16(sum))), (float)updated[(o * inputs) + i],
                    $"W[{o}, {i}]");
            }
        }
        // The gradient of the bias is a sum: float32.
        double[] ofBias = driver.GetGradient("bias").ToDoubles();
        for (int o = 0; o < outputs; o++) Assert.AreEqual(Enumerable.Range(0, rows).Sum(r => dy[(r * outputs) + o]), ofBias[o], 1e-7);
    }

    [TestMethod]
    [DataRow(Precision.BFloat16)]
    [DataRow(Precision.Float16)]
    public void ResumedRun_EqualsTheUninterruptedOne_BitForBit(Precision precision)
    {
        using var folder = new TemporaryFolder();
        TrainingPlan plan = Plan("transformer", precision, new LossScaling { GrowthInterval = 3, InitialScale = 1024 });
        using var whole = new TrainingDriver(plan, OneThread);
        double[] expected = Train(whole, Tokens, 10);
        using (var first = new TrainingDriver(plan, OneThread))
        {
            Train(first, Tokens, 5);
            TrainingCheckpoint.Save(first, folder["run.safetensors"]);
            ArtifactsFolder.Save(first, folder["job"]);
        }
        using var second = new TrainingDriver(plan, OneThread);
        TrainingCheckpoint.Load(second, folder["run.safetensors"]);
        // The folder tells the precision, and has graphs that do not tell the types of inner values.
        using TrainingDriver third = ArtifactsFolder.Load(folder["job"], OneThread);
        Assert.AreEqual(precision, third.Plan.Precision);
        foreach (TrainingDriver resumed in new[] { second, third })
        {
            CollectionAssert.AreEqual(expected[5..], Train(resumed, Tokens, 5, from: 5));
            Assert.AreEqual(whole.Optimizer.LossScale, resumed.Optimizer.LossScale);
            foreach (ParameterSpec p in plan.Trained)
                CollectionAssert.AreEqual(whole.GetParameter(p.Name).ToDoubles(), resumed.GetParameter(p.Name).ToDoubles(), p.Name);
        }
        Assert.AreEqual(precision == Precision.Float16 ? 1024 * 8 : 1, whole.Optimizer.LossScale);
    }

    [TestMethod]
    public void TheLossScale_HalvesOnAnOverflow_AndGrowsAfterCleanSteps()
    {
        var scaling = new LossScaling { GrowthInterval = 3, InitialScale = 4096 };
        using var driver = new TrainingDriver(Plan("mlp", Precision.Float16, scaling), OneThread);
        var seen = new List<double>();
        for (int t = 0; t < 9; t++)
        {
            using Batch batch = t == 4 ? Overflowing() : TestModels.Batch(16, seed: t);
            double[] before = driver.GetParameter("fc2.weight").ToDoubles();
            driver.Step(batch);
            CollectionAssert.AreEqual(before, t == 4 ? driver.GetParameter("fc2.weight").ToDoubles() : before);
            seen.Add(driver.Optimizer.LossScale);
        }
        CollectionAssert.AreEqual(new double[] { 4096, 4096, 8192, 8192, 4096, 4096, 4096, 8192, 8192 }, seen);
        Assert.AreEqual(1, driver.Optimizer.SkippedSteps);
    }

    private static Batch Overflowing() => new Batch().Add("x", [.. Enumerable.Range(0, 64).Select(i => i % 2 == 0 ? 1e5f : -1e5f)], 16, 4)
        .Add("labels", new long[16], 16);

    /// <summary>What is read is unscaled, whatever the scale: loss, norm, gradients; and what is set is scaled.</summary>
    [TestMethod]
    public void GradientsAndNorm_AreToldUnscaled_BeforeAndAfterAStep()
    {
        using var small = new TrainingDriver(Plan("mlp", Precision.Float16, new LossScaling { InitialScale = 256, GrowthInterval = 1 }),
            OneThread);
        using var wide = new TrainingDriver(Plan("mlp", Precision.Float32), OneThread);
        using Batch batch = TestModels.Batch(16);
        foreach (TrainingDriver driver in new[] { small, wide })
        {
            driver.LazyResetGrad();
            driver.TrainStep(batch);
        }
        double[] expected = wide.GetGradient("fc2.weight").ToDoubles(), before = small.GetGradient("fc2.weight").ToDoubles();
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], before[i], 2e-3 * expected.Max(Math.Abs));
        Assert.AreEqual(wide.Loss, small.Loss, 2e-3);
        small.Optimizer.SetGradient("fc2.weight", small.GetGradient("fc2.weight"));
        small.OptimizerStep();
        wide.OptimizerStep();
        Assert.AreEqual(512, small.Optimizer.LossScale);
        CollectionAssert.AreEqual(before, small.GetGradient("fc2.weight").ToDoubles());
        Assert.AreEqual(wide.Optimizer.GradientNorm, small.Optimizer.GradientNorm, 2e-3 * wide.Optimizer.GradientNorm);
    }

    // Weighed batches put their weight in the place of the loss's own gradient; the scale stays beside it.
    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Accumulation_InFloat16_IsThatOfFloat32(bool weigh)
    {
        double[] Run(Precision precision)
        {
            using var driver = new TrainingDriver(Plan("mlp", precision, new LossScaling { InitialScale = 1024 }), OneThread);
            driver.WeighBatches = weigh;
            for (int t = 0; t < 3; t++)
            {
                using Batch batch = TestModels.Batch(4 + (4 * t), seed: t);
                driver.TrainStep(batch);
            }
            driver.OptimizerStep(1.0 / 3);
            return [.. driver.GetGradient("fc1.weight").ToDoubles(), driver.Optimizer.GradientNorm];
        }
        double[] expected = Run(Precision.Float32), found = Run(Precision.Float16);
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], found[i], 3e-3 * expected.Max(Math.Abs));
    }

    // The joined nodes of flat memory, and those that stay one a parameter.
    [TestMethod]
    [DataRow("adamcpr")]
    [DataRow("sgd")]
    [DataRow("awd")]
    [DataRow("rescaling")]
    public void EveryOptimizer_DividesByTheScale(string name)
    {
        double[] Run(Precision precision)
        {
            UpdateRule rule = name switch
            {
                "adamcpr" => UpdateRule.AdamCpr(1e-2, constraint: new ConstrainNorm { Bound = Bound.TimesInitial(0.9) }),
                "sgd" => UpdateRule.Sgd(0.1) with { Maximize = true },
                "awd" => UpdateRule.AdamAwd(),
                _ => UpdateRule.AdamW(),
            };
            using TrainingDriver driver = Create(TestModels.BatchNormalized(), new TrainingOptions
            {
                Precision = precision,
                Optimizer = new OptimizerOptions { Groups = [rule], Rescaling = name == "rescaling" ? new RescaleWeights() : null },
            });
            return Train(driver, t => TestModels.Batch(16, seed: t), 10);
        }
        double[] expected = Run(Precision.Float32), found = Run(Precision.Float16);
        for (int t = 0; t < expected.Length; t++) Assert.AreEqual(expected[t], found[t], 4e-3 * expected[t], $"loss of step {t}");
    }

    // x [batch, 4] → x·W · 3e4 → y: from 65536 on the gradient of the product overflows until the scale is small.
    private static byte[] Steep()
    {
        OnnxModel model = OnnxModel.Create("steep", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 4));
        Term product = g.Op("Gemm", [x, TestModels.Weight(graph, "weight", 4, 3)]);
        graph.Outputs.Add(g.Named(g.Op("ReduceSum", [g.Term(g.Op("Exp", [product * 1e-3])) * 3e4]), "y"));
        return GraphWriter.ToBytes(model);
    }

    private static FitResult Fit(byte[] model, int steps, LossScaling? scaling = null)
    {
        using TrainingDriver driver = Create(model, new TrainingOptions
        {
            Precision = Precision.Float16,
            LossScaling = scaling ?? new(),
            Loss = new OutputLoss(),
            Optimizer = new OptimizerOptions { Groups = [UpdateRule.Sgd(1e-6)] },
        });
        BatchSource batches = BatchSource.From(_ => Enumerable.Range(0, steps).Select(_ =>
            new Batch().Add("x", [.. Enumerable.Range(0, 8).Select(i => 64 * MathF.Sin(i + 1))], 2, 4)));
        return new Trainer(driver).Fit(batches);
    }

    [TestMethod]
    public void StepsSkippedWhileTheScaleFalls_DoNotEndTheRun()
    {
        FitResult result = Fit(Steep(), 30, new LossScaling { InitialScale = Math.ScaleB(1, 24) });
        Assert.IsInRange(11, 25, result.SkippedSteps);
        StringAssert.Contains(result.Warnings.Single(), "casts");
    }

    [TestMethod]
    public void ARunTooShortForItsScale_IsToldSo()
    {
        NotFiniteException error = Assert.ThrowsExactly<NotFiniteException>(() => Fit(Steep(), 3, new LossScaling
        {
            InitialScale = Math.ScaleB(1, 24),
        }));
        StringAssert.Contains(error.Message, "all 3 were skipped");
    }

    [TestMethod]
    public void OptionErrors_AreAllToldAtOnce()
    {
        var options = new TrainingOptions
        {
            Precision = Precision.Float16,
            LossScaling = new() { InitialScale = 0.5, GrowthFactor = double.NaN, BackoffFactor = 1, GrowthInterval = 0 },
            Optimizer = new OptimizerOptions { NonFiniteGuard = false },
        };
        OptionException error =
            Assert.ThrowsExactly<OptionException>(() => TrainingGraphBuilder.Build(TestModels.Linear(), options));
        foreach (string part in new[] { "LossScaling.InitialScale is 0.5", "GrowthFactor is NaN", "BackoffFactor is 1",
            "GrowthInterval is 0", "NonFiniteGuard is off" })
        {
            StringAssert.Contains(error.Message, part);
        }
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() =>
            TrainingGraphBuilder.Build(TestModels.Linear(), new TrainingOptions { Precision = (Precision)9 })).Message, "Precision is 9");
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => TrainingGraphBuilder.Build(TestModels.Linear(ElementType.Double),
            new TrainingOptions { Precision = Precision.BFloat16 })).Message, "the trained parameters are Double");
    }

    // The guard may be off, and the scaling whatever it is, where nothing is scaled.
    [TestMethod]
    public void TensorFloat32_OnTheCpu_IsFloat32_AndSaysSo()
    {
        using var wide = new TrainingDriver(Plan("mlp", Precision.Float32), OneThread);
        using var same = new TrainingDriver(Plan("mlp", Precision.TensorFloat32), OneThread);
        CollectionAssert.AreEqual(Train(wide, Job("mlp").Batches, 5), Train(same, Job("mlp").Batches, 5));
        StringAssert.Contains(same.DeviceWarnings.Single(), "TensorFloat-32");
        Assert.IsEmpty(wide.DeviceWarnings);
    }

    [TestMethod]
    public void AModelThatUsesOurNames_TrainsInFloat16()
    {
        OnnxModel model = OnnxModel.Create("names", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("gradient_loss_scale", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 4));
        graph.Outputs.Add(g.Named(g.Op("Gemm", [x, TestModels.Weight(graph, "loss_scale", 4, 3)]), "loss_scale.updated"));
        using TrainingDriver driver = Create(GraphWriter.ToBytes(model), new TrainingOptions { Precision = Precision.Float16 });
        using Batch batch = new Batch().Add("gradient_loss_scale", new float[8], 2, 4).Add("labels", new long[2], 2);
        driver.Step(batch);
        Assert.AreEqual(65536, driver.Optimizer.LossScale);
        CollectionAssert.AreEqual(new long[] { 4, 3 }, driver.GetParameter("loss_scale").Dimensions.ToArray());
    }
}
