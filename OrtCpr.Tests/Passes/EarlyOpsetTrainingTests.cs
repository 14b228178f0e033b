using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Tests.Passes;

/// <summary>Files of the first opsets, trained and exported as they came.</summary>
[TestClass]
public sealed class EarlyOpsetTrainingTests
{
    private static byte[] Image(int opset, Func<GraphBuilder, Value, Value> body)
    {
        OnnxModel model = OnnxModel.Create("early", opset);
        model.IrVersion = 3;
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("N"), 3, 8, 8));
        model.Graph.Outputs.Add(g.Named(body(g, x), "logits"));
        return GraphWriter.ToBytes(model);
    }

    private static Value Head(GraphBuilder g, Value features, params (string, object)[] attributes) => g.Op("Gemm",
        [g.Op("Flatten", [g.Op("GlobalAveragePool", [features])]), TestModels.Weight(g.Graph, "head.weight", 3, 4),
            TestModels.Weight(g.Graph, "head.bias", 3)], [("transB", 1), .. attributes]);

    private static Value[] Normalization(GraphBuilder g, params long[] dims) =>
        [TestModels.Constant(g.Graph, "scale", 1, dims), TestModels.Constant(g.Graph, "offset", 0, dims),
            TestModels.Constant(g.Graph, "running_mean", 0, dims), TestModels.Constant(g.Graph, "running_var", 1, dims)];

    private static Value Convolved(GraphBuilder g, Value x) => g.Op("Conv", [x, TestModels.Weight(g.Graph, "conv", 4, 3, 3, 3)],
        ("auto_pad", "SAME_UPPER"), ("strides", new long[] { 2, 2 }), ("kernel_shape", new long[] { 3, 3 }));

    private static Batch Batch(int size, int seed = 1)
    {
        var random = new Random(seed);
        float[] x = [.. Enumerable.Range(0, size * 192).Select(_ => (float)((random.NextDouble() * 2) - 1))];
        return new Batch().Add("x", x, size, 3, 8, 8).Add("labels", [.. Enumerable.Range(0, size).Select(_ => (long)random.Next(3))], size);
    }

    private static TrainingDriver Driver(byte[] model, BatchNormalizationMode mode = BatchNormalizationMode.AsExported) =>
        new(TrainingGraphBuilder.Build(model, new TrainingOptions
        {
            Optimizer = new() { Groups = [UpdateRule.AdamCpr(1e-2)] },
            BatchNormalization = mode,
        }), new DriverOptions { Threads = 1 });

    private static void Falls(TrainingDriver driver)
    {
        using Batch batch = Batch(8);
        double first = driver.Step(batch), last = first;
        for (int step = 0; step < 40; step++) last = driver.Step(batch);
        Assert.IsLessThan(first, last);
    }

    private static ModelProto Exported(TrainingDriver driver)
    {
        using var stream = new MemoryStream();
        driver.ExportModel(stream);
        return ModelFile.Load(stream.ToArray()).Proto;
    }

    [TestMethod]
    [DataRow(BatchNormalizationMode.AsExported)]
    [DataRow(BatchNormalizationMode.Training)]
    public void Opset7_TrainsAndRunsAfterItsExport(BatchNormalizationMode mode)
    {
        using TrainingDriver driver = Driver(Image(7, (g, x) =>
            Head(g, g.Op("BatchNormalization", [Convolved(g, x), .. Normalization(g, 4)], ("epsilon", 1e-3f)))), mode);
        Falls(driver);
        ModelProto proto = Exported(driver);
        Assert.AreEqual(7, proto.OpsetImport.Single(o => o.Domain.Length == 0).Version);
        using InferenceSession session = new(Google.Protobuf.MessageExtensions.ToByteArray(proto));
        using Batch batch = Batch(4);
        using Evaluation evaluation = driver.EvalStep(batch, "logits");
        using var run = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> results = session.Run(run, ["x"], [batch.Tensors["x"]], ["logits"]);
        float[] wanted = evaluation["logits"].GetTensorDataAsSpan<float>().ToArray(),
            found = results[0].GetTensorDataAsSpan<float>().ToArray();
        for (int i = 0; i < wanted.Length; i++) Assert.AreEqual(wanted[i], found[i], 1e-5);
    }

    [TestMethod]
    public void StatisticsOfEachPixel_AreUpdated_AndNeverTrained()
    {
        using TrainingDriver driver = Driver(Image(8, (g, x) =>
            Head(g, g.Op("BatchNormalization", [Convolved(g, x), .. Normalization(g, 4, 4, 4)], ("spatial", 0)))),
            BatchNormalizationMode.Training);
        Assert.IsFalse(driver.Plan.Trained.Any(p => p.Name.StartsWith("running", StringComparison.Ordinal)));
        Falls(driver);
        TensorData mean = driver.GetParameter("running_mean");
        CollectionAssert.AreEqual(new long[] { 4, 4, 4 }, mean.Dimensions.ToArray());
        Assert.IsTrue(mean.ToDoubles().Any(m => m != 0));
    }

    [TestMethod]
    [DataRow(6)]
    [DataRow(1)]
    public void TrainingForms_DropAndUpdate_AndTheExportIsTheTestForm(int opset)
    {
        using TrainingDriver driver = Driver(Image(opset, (g, x) =>
        {
            (string, object)[] attributes = opset < 6 ? [("consumed_inputs", new long[] { 0, 0, 0, 1, 1 })] : [];
            Term[] normalized = g.Ops("BatchNormalization", 5, [Convolved(g, x), .. Normalization(g, 4)], attributes);
            return Head(g, g.Op("Dropout", [normalized[0]], ("ratio", 0.25f)), ("broadcast", 1));
        }));
        Assert.IsNotNull(driver.Plan.InitialStatistics.GetValueOrDefault("running_mean"));
        Falls(driver);
        ModelProto proto = Exported(driver);
        Assert.AreEqual(opset, proto.OpsetImport.Single(o => o.Domain.Length == 0).Version);
        foreach (string op in new[] { "BatchNormalization", "Dropout" })
        {
            NodeProto node = proto.Graph.Node.Single(n => n.OpType == op);
            Assert.AreEqual(1, node.Attribute.Single(a => a.Name == "is_test").I);
            Assert.HasCount(1, node.Output);
        }
    }

    [TestMethod]
    [DataRow(1L)]
    [DataRow(2L)]
    public void FilesWithoutAnOpset_AreOfTheFirst(long ir)
    {
        ModelProto proto = ModelFile.Load(Image(1, (g, x) => Head(g, Convolved(g, x), ("broadcast", 1)))).Proto;
        proto.IrVersion = ir;
        proto.OpsetImport.Clear();
        using TrainingDriver driver = Driver(Google.Protobuf.MessageExtensions.ToByteArray(proto));
        Falls(driver);
        ModelProto exported = Exported(driver);
        Assert.AreEqual(ir, exported.IrVersion);
        Assert.IsEmpty(exported.OpsetImport);
    }
}
