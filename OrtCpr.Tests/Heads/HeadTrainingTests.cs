using OrtCpr.Graph;
using OrtCpr.Graph.Heads;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Tests.Heads;

// Models with a new head are models like any other: they train, and what is exported runs.
[TestClass]
public sealed class HeadTrainingTests
{
    private static byte[] Train(byte[] model, Batch batch, int steps, out double first, out double last,
        ParameterOptions? parameters = null, BatchNormalizationMode normalization = BatchNormalizationMode.AsExported)
    {
        TrainingPlan plan = TrainingGraphBuilder.Build(model, new TrainingOptions
        {
            Optimizer = new() { Groups = [UpdateRule.Adam(1e-2)] },
            Parameters = parameters ?? new(),
            BatchNormalization = normalization,
        });
        using var driver = new TrainingDriver(plan, new DriverOptions { Threads = 1 });
        first = driver.EvalStep(batch).Loss;
        for (int i = 0; i < steps; i++)
        {
            driver.LazyResetGrad();
            driver.TrainStep(batch);
            driver.OptimizerStep();
        }
        last = driver.EvalStep(batch).Loss;
        using var stream = new MemoryStream();
        driver.ExportModel(stream);
        return stream.ToArray();
    }

    private static Batch Images(int classes)
    {
        var random = new Random(5);
        return new Batch().Add("image", [.. Enumerable.Range(0, 8 * 28 * 28).Select(_ => random.NextSingle())], 8, 1, 28, 28)
            .Add("labels", [.. Enumerable.Range(0, 8).Select(i => (long)(i % classes))], 8);
    }

    [TestMethod]
    public void ALenetOfFiveClasses_Learns_AndIsExported_WithItsNames()
    {
        string[] names = ["daisy", "dandelion", "rose", "sunflower", "\"tulip\""];
        byte[] model = ModelHead.Replace(File.ReadAllBytes(TestModels.Case("models/lenet.onnx")), null,
            new DenseHead { Classes = 5, Dropout = 0.1, ClassNames = [.. names] });
        NodeProto dropout = ModelFile.Load(model).Proto.Graph.Node.Single(n => n.OpType == "Dropout");
        Assert.HasCount(3, dropout.Input, "drops while training");
        using Batch batch = Images(5);
        byte[] trained = Train(model, batch, 40, out double first, out double last);
        Assert.IsLessThan(0.7 * first, last);
        Assert.HasCount(1, ModelFile.Load(trained).Proto.Graph.Node.Single(n => n.OpType == "Dropout").Input.Skip(1).ToArray());
        double[] logits = HeadModels.Run(trained, batch, "logits")[0].ToDoubles();
        CollectionAssert.AreEqual(logits, HeadModels.Run(trained, batch, "logits")[0].ToDoubles(), "nothing is dropped any more");
        Assert.AreEqual("[\"daisy\",\"dandelion\",\"rose\",\"sunflower\",\"\\\"tulip\\\"\"]",
            HeadModels.Metadata(trained)[ModelHead.ClassNamesKey]);
        CollectionAssert.AreEqual(ModelHead.Parameters(model).Select(p => p.Text).ToArray(),
            ModelHead.Parameters(trained).Select(p => p.Text).ToArray());
        // Once more: the Dropout of the head that goes is not in front of that of the new one.
        byte[] again = ModelHead.Replace(trained, null, new DenseHead { Classes = 2, Dropout = 0.5 });
        Assert.HasCount(1, HeadModels.Operators(again).Where(o => o == "Dropout").ToArray());
        CollectionAssert.AreEqual(new[] { "head.weight", "head.bias" }, ModelHead.Parameters(again).Select(p => p.Text).ToArray());
        Assert.IsFalse(HeadModels.Metadata(again).ContainsKey(ModelHead.ClassNamesKey));
    }

    [TestMethod]
    [DataRow(Pooling.Mean)]
    [DataRow(Pooling.Max)]
    [DataRow(Pooling.Cls)]
    public void AnEncoderOfTokens_LearnsThroughItsMask(Pooling pool)
    {
        byte[] model = ModelHead.Replace(HeadModels.Encoder(), null, new DenseHead { Classes = 2, Pool = pool });
        using Batch batch = HeadModels.Sentences().Add("labels", new long[] { 0, 1, 0 }, 3);
        byte[] trained = Train(model, batch, 60, out double first, out double last);
        Assert.IsLessThan(0.6 * first, last);
        CollectionAssert.AreNotEqual(HeadModels.Initializer(model, "table"), HeadModels.Initializer(trained, "table"));
    }

    [TestMethod]
    [DataRow("models/lenet.onnx")]
    [DataRow(null)]
    public void AFrozenBody_KeepsItsBytes(string? name)
    {
        byte[] body = name is null ? TestModels.BatchNormalized() : File.ReadAllBytes(TestModels.Case(name));
        byte[] model = ModelHead.Replace(body, null, new DenseHead { Classes = 3 });
        using Batch batch = name is null ? TestModels.Batch(16) : Images(3);
        byte[] trained = Train(model, batch, 200, out double first, out double last,
            new ParameterOptions { TrainOnly = ModelHead.Parameters(model) }, BatchNormalizationMode.Inference);
        Assert.IsLessThan(0.95 * first, last);
        var before = ModelFile.Load(model).Proto.Graph.Initializer.ToDictionary(i => i.Name);
        foreach (TensorProto after in ModelFile.Load(trained).Proto.Graph.Initializer)
        {
            bool isHead = after.Name.StartsWith("head.", StringComparison.Ordinal);
            Assert.AreEqual(!isHead, after.RawData.Equals(before[after.Name].RawData), after.Name);
        }
    }
}
