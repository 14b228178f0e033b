using OrtCpr.Checkpoints;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tests.Collectives;

// Several ranks with a batch each are one process with a batch of all their examples.
[TestClass]
public sealed class DataParallelTests
{
    private const int Examples = 50;

    private static readonly Dictionary<string, Bound> Bounds = new(StringComparer.Ordinal)
    {
        ["fixed"] = Bound.Fixed(0.2),
        ["times"] = Bound.TimesInitial(0.9),
        ["after"] = Bound.AfterSteps(3),
        ["inflection"] = Bound.AtInflection(2, maxWait: 7),
    };

    // Two layers, so that two ranks have state to share.
    private static byte[] Model { get; } = TwoLayers();

    private static byte[] TwoLayers()
    {
        OnnxModel model = OnnxModel.Create("two_layers", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 4));
        Value sums = g.Op("Gemm", [x, TestModels.Weight(graph, "fc1.weight", 7, 4), TestModels.Weight(graph, "fc1.bias", 7)],
            ("transB", 1)), hidden = g.Op("Tanh", [sums]);
        Value logits = g.Op("Gemm", [hidden, TestModels.Weight(graph, "fc2.weight", 3, 7), TestModels.Weight(graph, "fc2.bias", 3)],
            ("transB", 1));
        graph.Outputs.Add(g.Named(logits, "logits"));
        return GraphWriter.ToBytes(model);
    }

    private static DataSource Source(bool masked = false)
    {
        var random = new Random(5);
        float[] x = [.. Enumerable.Range(0, Examples * 4).Select(_ => (random.NextSingle() * 2) - 1)];
        long[] labels = [.. Enumerable.Range(0, Examples).Select(i => masked && i % 3 == 0 ? -100L : random.Next(3))];
        return DataSource.FromTensors(new Dictionary<string, TensorData>
        {
            ["x"] = TensorData.From<float>(x, Examples, 4),
            ["labels"] = TensorData.From<long>(labels, Examples),
        });
    }

    private sealed record Outcome(double[] Parameters, string Losses, double[][] Constraints, long Steps);

    private static Outcome Train(ICollective? collective, int batchSize, UpdateRule rule, bool masked = false, int accumulation = 1,
        double clip = 0, string? folder = null, long epochs = 3, long maxSteps = long.MaxValue, bool shards = false, bool kernels = true)
    {
        using DataSource source = Source(masked);
        using TrainingDriver driver = new(TrainingGraphBuilder.Build(Model, new TrainingOptions
        {
            Loss = new CrossEntropyLoss(),
            Optimizer = new OptimizerOptions { Groups = [rule], MaxGradientNorm = clip },
        }), new DriverOptions { Threads = 1, Collective = collective, ShardOptimizerState = shards, Kernels = kernels });
        var loader = new DataLoader(source, driver.Plan.BatchInputs, new DataLoaderOptions { BatchSize = batchSize, Prefetch = 0 });
        var losses = new List<string>();
        FitResult result = new Trainer(driver).Fit(loader, new FitOptions
        {
            Epochs = epochs,
            MaxSteps = maxSteps,
            GradientAccumulation = accumulation,
            Callbacks = [new Each(r => losses.Add($"{r.Loss:F4}"))],
            Checkpoint = folder is null ? null : new CheckpointOptions(folder) { Resume = true, EverySteps = 1 },
        });
        return new Outcome(driver.ToBuffer().ToDoubles(), string.Join(' ', losses),
            [.. driver.Optimizer.GetConstraints().Select(c => new[] { c.Lambda, c.Kappa })], result.Steps);
    }

    private static void AreClose(Outcome expected, Outcome actual, double tolerance = 2e-5)
    {
        Assert.AreEqual(expected.Steps, actual.Steps);
        for (int i = 0; i < expected.Parameters.Length; i++)
            Assert.AreEqual(expected.Parameters[i], actual.Parameters[i], tolerance, $"{i}");
        for (int i = 0; i < expected.Constraints.Length; i++)
        {
            Assert.AreEqual(expected.Constraints[i][0], actual.Constraints[i][0], tolerance, $"λ {i}");
            Assert.AreEqual(expected.Constraints[i][1], actual.Constraints[i][1], tolerance, $"κ {i}");
        }
        Assert.AreEqual(expected.Losses, actual.Losses);
    }

    [TestMethod]
    [DataRow(2, "fixed", false, 1, 0.0)]
    [DataRow(2, "times", true, 1, 0.0)]
    [DataRow(4, "after", true, 1, 0.3)]
    [DataRow(4, "inflection", false, 2, 0.3)]
    [DataRow(3, "after", true, 3, 0.0)]
    public void Ranks_AreOneProcess_WithTheWholeBatch(int ranks, string bound, bool masked, int accumulation, double clip)
    {
        UpdateRule rule = UpdateRule.AdamCpr(0.02, constraint: new ConstrainNorm { Bound = Bounds[bound] });
        // 50 examples: the last batch is ragged, and with 4 ranks some have no example in it.
        Outcome whole = Train(null, ranks * 4, rule, masked, accumulation, clip);
        Outcome[] parts = ThreadRanks.Run(ranks, c => Train(c, 4, rule, masked, accumulation, clip));
        foreach (Outcome part in parts)
        {
            AreClose(whole, part);
            CollectionAssert.AreEqual(parts[0].Parameters, part.Parameters, "all ranks have the same bits");
        }
    }

    [TestMethod]
    public void ARankWithoutExamples_MakesTheStepToo()
    {
        UpdateRule rule = UpdateRule.AdamW(0.02);
        // 50 = 3 · 16 + 2: two of four ranks have nothing in the last batch.
        Outcome whole = Train(null, 16, rule);
        foreach (Outcome part in ThreadRanks.Run(4, c => Train(c, 4, rule))) AreClose(whole, part);
    }

    [TestMethod]
    public void ARun_GoesOnWithAnotherNumberOfRanks_AtTheSameExample()
    {
        using var folder = new TemporaryFolder();
        UpdateRule rule = UpdateRule.AdamCpr(0.02, constraint: new ConstrainNorm { Bound = Bounds["after"] });
        // Batches of 8 in all: 2 ranks of 4, then 4 of 2, then one of 8; seven batches an epoch, each part ends inside one.
        Outcome whole = Train(null, 8, rule);
        ThreadRanks.Run(2, c => Train(c, 4, rule, folder: folder["run"], maxSteps: 5));
        ThreadRanks.Run(4, c => Train(c, 2, rule, folder: folder["run"], maxSteps: 12));
        Outcome last = Train(null, 8, rule, folder: folder["run"]);
        for (int i = 0; i < whole.Parameters.Length; i++) Assert.AreEqual(whole.Parameters[i], last.Parameters[i], 2e-5);
        Assert.AreEqual(whole.Steps, last.Steps);
        // A batch of all that does not divide what was taken begins with the next example all the same.
        ThreadRanks.Run(3, c => Train(c, 2, rule, folder: folder["other"], maxSteps: 1));
        Outcome odd = Train(null, 8, rule, folder: folder["other"], epochs: 1);
        Assert.AreEqual(1 + 6, odd.Steps, "6 examples, then 44 in batches of 8");
    }

    [TestMethod]
    [DataRow("fixed", true)]
    [DataRow("after", true)]
    [DataRow("inflection", true)]
    [DataRow("times", false)]
    public void ShardedState_GivesTheSameBits_AndOneCheckpoint(string bound, bool kernels)
    {
        using var folder = new TemporaryFolder();
        UpdateRule rule = UpdateRule.AdamCpr(0.02, constraint: new ConstrainNorm { Bound = Bounds[bound] });
        foreach (int ranks in new[] { 2, 3 })
        {
            Outcome[] whole = ThreadRanks.Run(ranks, c => Train(c, 4, rule, clip: 0.3, folder: folder[$"whole{ranks}"], kernels: kernels));
            Outcome[] parts = ThreadRanks.Run(ranks, c => Train(c, 4, rule, clip: 0.3, folder: folder[$"parts{ranks}"], shards: true,
                kernels: kernels));
            foreach (Outcome part in parts)
            {
                CollectionAssert.AreEqual(whole[0].Parameters, part.Parameters);
                for (int i = 0; i < part.Constraints.Length; i++) CollectionAssert.AreEqual(whole[0].Constraints[i], part.Constraints[i]);
            }
            CollectionAssert.AreEqual(Tensors(folder[$"whole{ranks}"]), Tensors(folder[$"parts{ranks}"]));
        }
        // A run goes on sharded as whole.
        Outcome longer = Train(null, 8, rule, clip: 0.3, epochs: 5, folder: folder["whole2"], kernels: kernels);
        Outcome[] sharded = ThreadRanks.Run(2, c => Train(c, 4, rule, clip: 0.3, epochs: 5, folder: folder["parts2"], shards: true,
            kernels: kernels));
        for (int i = 0; i < longer.Parameters.Length; i++) Assert.AreEqual(longer.Parameters[i], sharded[1].Parameters[i], 2e-5);

        static string[] Tensors(string job)
        {
            using SafetensorsFile file = SafetensorsFile.Read(Path.Combine(job, "checkpoint.safetensors"));
            return [.. file.Tensors.OrderBy(t => t.Key, StringComparer.Ordinal)
                .Select(t => $"{t.Key} {Convert.ToHexString(t.Value.Bytes.Span)}")];
        }
    }

    [TestMethod]
    public void ShardedState_IsKeptByOneRank()
    {
        long[] elements = ThreadRanks.Run(2, c =>
        {
            using TrainingDriver driver = new(TrainingGraphBuilder.Build(Model),
                new DriverOptions { Threads = 1, Collective = c, ShardOptimizerState = true });
            string[] state = [.. new[] { "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias" }.Select(p => $"{p}.exp_avg")];
            string[] kept = [.. state.Where(driver.Optimizer.Store.Contains)];
            string missing = state.Except(kept).First();
            StringAssert.Contains(Assert.ThrowsExactly<DriverException>(() => driver.Optimizer.Get(missing)).Message,
                $"'{missing}' is kept by rank {1 - c.Rank} of 2");
            return kept.Sum(s => driver.Optimizer.Get(s).ElementCount);
        });
        Assert.AreEqual(28 + 7 + 21 + 3, elements.Sum());
        Assert.IsLessThan(8, Math.Abs(elements[0] - elements[1]));
    }

    private static double[] TrainNormalized(ICollective? collective, int batchSize, bool synchronised, bool masked)
    {
        using DataSource source = Source(masked);
        using TrainingDriver driver = new(TrainingGraphBuilder.Build(TestModels.BatchNormalized(), new TrainingOptions
        {
            SynchronizeBatchNormalization = synchronised,
            UnbiasedRunningVariance = masked,
            // Adam would make steps of the rounding in the gradient of a bias in front of the node, which is 0.
            Optimizer = new OptimizerOptions { Groups = [UpdateRule.Sgd(0.05)] },
        }), new DriverOptions { Threads = 1, Collective = collective });
        var loader = new DataLoader(source, driver.Plan.BatchInputs, new DataLoaderOptions { BatchSize = batchSize });
        new Trainer(driver).Fit(loader, new FitOptions { Epochs = 3, GradientAccumulation = masked ? 2 : 1 });
        return driver.ToBuffer().ToDoubles();
    }

    [TestMethod]
    [DataRow(2, false)]
    [DataRow(2, true)]
    [DataRow(3, true)]
    public void BatchNormalization_OverAllRanks_IsThatOfTheWholeBatch(int ranks, bool masked)
    {
        // 50 examples: the last batch of 8 has 2 and that of 12 has 2, too few for three ranks.
        double[] whole = TrainNormalized(null, ranks * 4, synchronised: false, masked);
        double[][] parts = ThreadRanks.Run(ranks, c => TrainNormalized(c, 4, synchronised: true, masked));
        if (ranks == 2)
        {
            for (int i = 0; i < whole.Length; i++) Assert.AreEqual(whole[i], parts[0][i], 1e-4, $"{i}");
        }
        foreach (double[] part in parts) CollectionAssert.AreEqual(parts[0], part);
        // By default each rank has its own, and running statistics are their mean.
        double[][] own = ThreadRanks.Run(ranks, c => TrainNormalized(c, 4, synchronised: false, masked));
        foreach (double[] part in own) CollectionAssert.AreEqual(own[0], part);
        Assert.IsTrue(own[0].Zip(whole).Any(p => Math.Abs(p.First - p.Second) > 1e-3));
        // Alone it is what it is without.
        double[] alone = TrainNormalized(null, 8, synchronised: true, masked);
        double[] plain = TrainNormalized(null, 8, synchronised: false, masked);
        for (int i = 0; i < plain.Length; i++) Assert.AreEqual(plain[i], alone[i], 1e-4);
    }

    [TestMethod]
    public void NotFiniteAnywhere_SkipsTheStepEverywhere()
    {
        double[][] results = ThreadRanks.Run(2, c =>
        {
            using TrainingDriver driver = new(TrainingGraphBuilder.Build(TestModels.Linear()),
                new DriverOptions { Threads = 1, Collective = c });
            double[] before = driver.ToBuffer().ToDoubles();
            float bad = c.Rank == 1 ? float.NaN : 1;
            using Batch batch = new Batch().Add("x", [bad, 1, 1, 1], 1, 4).Add("labels", new long[] { 1 }, 1);
            driver.Step(batch);
            Assert.AreEqual(1, driver.Optimizer.SkippedSteps);
            CollectionAssert.AreEqual(before, driver.ToBuffer().ToDoubles());
            using Batch good = TestModels.Batch(3, seed: c.Rank);
            driver.Step(good);
            Assert.AreEqual(1, driver.Optimizer.SkippedSteps);
            return driver.ToBuffer().ToDoubles();
        });
        CollectionAssert.AreEqual(results[0], results[1]);
    }

    [TestMethod]
    public void Batches_OfASourceWithoutExamples_AreDealtOut()
    {
        static BatchSource Numbers(int count) => BatchSource.From(_ => Enumerable.Range(0, count)
            .Select(i => new Batch().Add("x", new float[] { i }, 1)));
        static string Of(BatchSource source, long skip = 0) => string.Join(' ', source.Batches(0, skip).Select(b =>
        {
            using (b) return b.IsPadding ? "-" : b.Tensors["x"].GetTensorDataAsSpan<float>()[0].ToString("F0");
        }));
        Assert.AreEqual("0 3 6", Of(Numbers(8).Share(0, 3)));
        Assert.AreEqual("1 4 7", Of(Numbers(8).Share(1, 3)));
        Assert.AreEqual("2 5 -", Of(Numbers(8).Share(2, 3)));
        Assert.AreEqual("5 -", Of(Numbers(8).Share(2, 3), 1));
        Assert.AreEqual(3, Numbers(8).WithBatchesPerEpoch(8).Share(1, 3).BatchesPerEpoch);
    }

    [TestMethod]
    public void RanksThatTrainSomethingElse_AreRefusedByName()
    {
        string Message(Func<ICollective, TrainingDriver> make) => Assert.ThrowsExactly<CollectiveException>(() => ThreadRanks.Run(3, c =>
        {
            using TrainingDriver driver = make(c);
            return 0;
        })).Message;
        StringAssert.Contains(Message(c => new(TrainingGraphBuilder.Build(TestModels.Linear(outputs: c.Rank == 2 ? 4 : 3)),
            new DriverOptions { Collective = c })), "Ranks differ from rank 0: model of rank 2");
        StringAssert.Contains(Message(c => new(TrainingGraphBuilder.Build(TestModels.Linear(), new TrainingOptions
        {
            Optimizer = new() { Groups = [UpdateRule.AdamW(c.Rank == 1 ? 0.1 : 0.2)] },
        }), new DriverOptions { Collective = c })), "optimizer of rank 1");
        string data = Assert.ThrowsExactly<CollectiveException>(() => ThreadRanks.Run(2, c => Train(c, c.Rank == 0 ? 4 : 5,
            UpdateRule.AdamW()))).Message;
        StringAssert.Contains(data, "examples a batch of all ranks of rank 1 (8 on rank 0, 10 there)");
    }

    [TestMethod]
    public void ARankThatIsCancelled_EndsAllAtOneStep_WithACheckpoint()
    {
        using var folder = new TemporaryFolder();
        long[] steps = ThreadRanks.Run(2, c =>
        {
            using DataSource source = Source();
            using TrainingDriver driver = new(TrainingGraphBuilder.Build(TestModels.Linear()),
                new DriverOptions { Threads = 1, Collective = c });
            var loader = new DataLoader(source, driver.Plan.BatchInputs, new DataLoaderOptions { BatchSize = 4 });
            using var stop = new CancellationTokenSource();
            Assert.Throws<OperationCanceledException>(() => new Trainer(driver).Fit(loader, new FitOptions
            {
                Epochs = 5,
                Callbacks = [new Each(r => { if (c.Rank == 1 && r.Step == 9) stop.Cancel(); })],
                Checkpoint = new CheckpointOptions(folder["run"]),
            }, stop.Token));
            return driver.Optimizer.Steps;
        });
        CollectionAssert.AreEqual(new long[] { 9, 9 }, steps);
        using TrainingDriver again = new(TrainingGraphBuilder.Build(TestModels.Linear()));
        TrainingProgress progress = TrainingCheckpoint.Load(again, Path.Combine(folder["run"], "checkpoint.safetensors"));
        Assert.AreEqual(9, again.Optimizer.Steps);
        Assert.AreEqual((1, 2), (progress.Epoch, progress.Batch));
    }

    private sealed class Each(Action<StepReport> look) : TrainerCallback
    {
        public override void OnStepEnd(Trainer trainer, StepReport report, FitControl control) => look(report);
    }
}
