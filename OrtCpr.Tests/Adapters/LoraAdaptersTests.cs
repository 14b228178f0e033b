using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Adapters;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tests.Adapters;

[TestClass]
public sealed class LoraAdaptersTests
{
    // x [batch, 8] → Gemm (transB, alpha) → Relu → MatMul behind a Transpose → MatMul → logits [batch, 3].
    private static byte[] Model()
    {
        OnnxModel model = OnnxModel.Create("body", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 8));
        Value h = g.Op("Relu",
            [g.Op("Gemm", [x, TestModels.Weight(graph, "up.weight", 16, 8), TestModels.Weight(graph, "up.bias", 16)], ("transB", 1),
            ("alpha", 0.5f))]);
        h = g.Op("MatMul", [h, g.Op("Transpose", [TestModels.Weight(graph, "middle.weight", 12, 16)], ("perm", new long[] { 1, 0 }))]);
        graph.Outputs.Add(g.Named(g.Op("MatMul", [h, TestModels.Weight(graph, "head.weight", 12, 3)]), "logits"));
        return GraphWriter.ToBytes(model);
    }

    private static double[] Run(byte[] model, Batch batch)
    {
        using var session = new InferenceSession(model);
        using var options = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> results = session.Run(options, ["x"], [batch.Tensors["x"]], ["logits"]);
        return Device.ReadOnHost(results[0]).ToDoubles();
    }

    private static byte[] Train(byte[] model, int steps, out TrainingPlan graphs, out double first, out double last)
    {
        graphs = TrainingGraphBuilder.Build(model, new TrainingOptions
        {
            Loss = new CrossEntropyLoss(),
            Parameters = new() { TrainOnly = [LoraAdapters.Parameters] },
            Optimizer = new() { Groups = [UpdateRule.AdamCpr(1e-2, constraint: new ConstrainNorm { Bound = Bound.AfterSteps(10) })] },
        });
        using var driver = new TrainingDriver(graphs, new DriverOptions { Threads = 1 });
        using Batch batch = TestModels.Batch(16, inputs: 8);
        first = last = driver.TrainStep(batch);
        for (int i = 0; i < steps; i++)
        {
            driver.LazyResetGrad();
            last = driver.TrainStep(batch);
            driver.OptimizerStep();
        }
        using var stream = new MemoryStream();
        driver.ExportModel(stream);
        return stream.ToArray();
    }

    [TestMethod]
    public void AttachTrainMerge_IsTheBodyAgain_WithTheAdaptersInItsWeights()
    {
        byte[] body = Model(), adapted = LoraAdapters.Attach(body, new LoraOptions { Rank = 4, Alpha = 6, Seed = 2 });
        using Batch batch = TestModels.Batch(16, inputs: 8);
        double[] before = Run(body, batch);
        CollectionAssert.AreEqual(before, Run(adapted, batch), "B is 0 in the beginning");
        byte[] trained = Train(adapted, 60, out TrainingPlan graphs, out double first, out double last);
        Assert.IsLessThan(0.9 * first, last);
        CollectionAssert.AreEquivalent(new[] { "up", "middle", "head" }.SelectMany(w =>
            new[] { $"{w}.weight.lora_A", $"{w}.weight.lora_B" }).ToArray(), graphs.Parameters.Trained.Select(p => p.Name).ToArray());
        Assert.IsTrue(graphs.Parameters.Trained.All(p => p.Constrained));
        byte[] merged = LoraAdapters.Merge(trained);
        double[] apart = Run(trained, batch), together = Run(merged, batch);
        Assert.IsGreaterThan(1e-2, before.Zip(apart, (a, b) => Math.Abs(a - b)).Max());
        // Products of up to 16 terms of about 1 are rounded in another order.
        for (int i = 0; i < apart.Length; i++) Assert.AreEqual(apart[i], together[i], 2e-5 * (1 + Math.Abs(apart[i])), $"logit {i}");
        ModelFile original = ModelFile.Load(body), result = ModelFile.Load(merged);
        CollectionAssert.AreEquivalent(original.Proto.Graph.Initializer.Select(i => i.Name).ToArray(),
            result.Proto.Graph.Initializer.Select(i => i.Name).ToArray());
        CollectionAssert.AreEqual(original.Proto.Graph.Node.Select(n => n.OpType).ToArray(),
            result.Proto.Graph.Node.Select(n => n.OpType).ToArray());
    }

    [TestMethod]
    public void Files_AndTheAdaptersApart()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["body.onnx"], Model());
        LoraAdapters.Attach(folder["body.onnx"], folder["adapted.onnx"], new LoraOptions { Rank = 2, Targets = ["middle.*"] });
        IReadOnlyDictionary<string, TensorData> apart = LoraAdapters.Read(folder["adapted.onnx"]);
        CollectionAssert.AreEquivalent(new[] { "middle.weight.lora_A", "middle.weight.lora_B", "middle.weight.lora_scaling" },
            apart.Keys.ToArray());
        CollectionAssert.AreEqual(new long[] { 16, 2 }, apart["middle.weight.lora_A"].Dimensions.ToArray());
        Assert.AreEqual(8, apart["middle.weight.lora_scaling"].ToDoubles()[0]);
        LoraAdapters.Merge(folder["adapted.onnx"], folder["merged.onnx"]);
        using Batch batch = TestModels.Batch(5, inputs: 8);
        CollectionAssert.AreEqual(Run(File.ReadAllBytes(folder["body.onnx"]), batch), Run(File.ReadAllBytes(folder["merged.onnx"]), batch));
        StringAssert.Contains(Assert.ThrowsExactly<ModelFormatException>(() => LoraAdapters.Read(folder["body.onnx"])).Message,
            "has no adapters");
        StringAssert.Contains(Assert.ThrowsExactly<ModelFormatException>(() =>
            LoraAdapters.Merge(folder["body.onnx"], folder["x.onnx"])).Message, "has no adapters");
        StringAssert.Contains(Assert.ThrowsExactly<ModelFormatException>(() =>
            LoraAdapters.Attach(folder["adapted.onnx"], folder["x.onnx"], new LoraOptions())).Message, "has adapters already");
    }

    // 4-bit weights of MatMulNBits: K = 32 inputs, N = 3 outputs, one block of 32, two numbers a byte.
    [TestMethod]
    public void QuantisedBody_IsTrainedThroughItsAdapters()
    {
        OnnxModel model = OnnxModel.Create("quantised", 18);
        OnnxGraph graph = model.Graph;
        model.Opsets["com.microsoft"] = 1;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 32));
        Value packed = graph.AddInitializer("w", TensorData.From<byte>([.. Enumerable.Range(0, 48).Select(i => (byte)(i * 37))], 3, 1, 16)),
            scales = graph.AddInitializer("scales", TensorData.From<float>([0.05f, 0.1f, 0.02f], 3));
        graph.Outputs.Add(g.Named(g.Op("com.microsoft.MatMulNBits", [x, packed, scales], ("K", 32), ("N", 3), ("bits", 4),
            ("block_size", 32)), "logits"));
        byte[] body = GraphWriter.ToBytes(model), adapted = LoraAdapters.Attach(body, new LoraOptions { Rank = 2 });
        TrainingPlan graphs =
            TrainingGraphBuilder.Build(adapted,
            new TrainingOptions
            {
                Parameters = new() { TrainOnly = [LoraAdapters.Parameters] },
                Optimizer = new() { Groups = [UpdateRule.Adam(1e-2)] }
            });
        using var driver = new TrainingDriver(graphs, new DriverOptions { Threads = 1 });
        using Batch batch = TestModels.Batch(16, inputs: 32);
        double first = driver.TrainStep(batch), last = first;
        for (int i = 0; i < 60; i++)
        {
            driver.LazyResetGrad();
            last = driver.TrainStep(batch);
            driver.OptimizerStep();
        }
        Assert.IsLessThan(0.8 * first, last);
        using var stream = new MemoryStream();
        driver.ExportModel(stream);
        // They stay beside weights that have no place for them.
        byte[] merged = LoraAdapters.Merge(stream.ToArray());
        Assert.HasCount(2 + 3, ModelFile.Load(merged).Proto.Graph.Initializer);
        CollectionAssert.AreEqual(Run(stream.ToArray(), batch), Run(merged, batch));
    }

    [TestMethod]
    public void TiedEmbeddings_AndTargetsThatFitNothing_AreRefused()
    {
        OnnxModel model = OnnxModel.Create("tied", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value ids = graph.AddInput("x", ElementType.Int64, new Shape(SymbolicInt.Symbol("batch"))),
            table = TestModels.Weight(graph, "table", 7, 4);
        Value h = g.Op("MatMul", [g.Gather(table, ids), TestModels.Weight(graph, "own", 4, 4)]);
        graph.Outputs.Add(g.Named(g.Op("MatMul", [h, g.Op("Transpose", [table])]), "logits"));
        byte[] bytes = GraphWriter.ToBytes(model);
        byte[] adapted = LoraAdapters.Attach(bytes, new LoraOptions());
        Assert.HasCount(2 + 3, ModelFile.Load(adapted).Proto.Graph.Initializer, "the table is read by Gather too");
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() =>
            LoraAdapters.Attach(bytes, new LoraOptions { Targets = ["table"] })).Message, "There are: own");
        string message = Assert.ThrowsExactly<OptionException>(() =>
            LoraAdapters.Attach(bytes, new LoraOptions { Rank = 0, Alpha = -1, Targets = [] })).Message;
        foreach (string part in new[] { "Rank is 0", "Alpha is -1", "Targets is empty" }) StringAssert.Contains(message, part);
    }
}
