using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;
using OrtCpr.Metrics;

namespace OrtCpr.Tests.Metrics;

// Metrics against figures counted by hand; the model hands its input on, so that the scores are the batch's own.
[TestClass]
public sealed class MetricTests
{
    private static TrainingDriver HandsOn(Loss? loss, params long[] shape)
    {
        OnnxModel model = OnnxModel.Create("hands_on", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, new Shape([SymbolicInt.Symbol("batch"), .. shape.Skip(1).Select(d => (Dim)d)]));
        graph.Outputs.Add(g.Named(g.Mul(x, TestModels.Constant(graph, "one", 1, shape[^1])), "scores"));
        return new TrainingDriver(TrainingGraphBuilder.Build(GraphWriter.ToBytes(model),
            new TrainingOptions { Loss = loss ?? new CrossEntropyLoss() }), new DriverOptions { Threads = 1 });
    }

    private static double Measure(Metric metric, Loss? loss, float[] scores, long[] shape, Action<Batch> label)
    {
        using TrainingDriver driver = HandsOn(loss, shape);
        Batch batch = new Batch().Add("x", scores, shape);
        label(batch);
        return new Trainer(driver).Evaluate(BatchSource.From([batch]), [metric])[metric.Name];
    }

    [TestMethod]
    public void Accuracy_CountsRows_TiesToTheLowerClass()
    {
        float[] scores = [1, 2, 3, 5, 5, 1, 0, 9, 9, float.NaN, 1, 0];
        Assert.AreEqual(0.5, Measure(Metric.Accuracy(), null, scores, [4, 3], b => b.Add("labels", new long[] { 2, 1, 1, 2 }, 4)));
        Assert.AreEqual(1, Measure(Metric.Accuracy(top: 2), null, scores, [4, 3], b => b.Add("labels", new long[] { 2, 1, 1, 2 }, 4)));
        Assert.AreEqual(0.5, Measure(Metric.Accuracy(), null, scores, [4, 3], b => b.Add("labels", new long[] { 2, 1, -100, -100 }, 4)),
            "ignored rows do not count");
    }

    [TestMethod]
    public void Accuracy_OfSequencesAndOfMaps()
    {
        // [B, T, C] with classes last, and [B, C, H, W] with classes second.
        Assert.AreEqual(0.75,
            Measure(Metric.Accuracy(), new CrossEntropyLoss { ClassAxis = -1 }, [0, 1, 1, 0, 1, 0, 0, 1], [2, 2, 2],
                b => b.Add("labels", new long[] { 1, 0, 0, 0 }, 2, 2)));
        Assert.AreEqual(0.5,
            Measure(Metric.Accuracy(), null, [0, 1, 1, 0], [1, 2, 1, 2], b => b.Add("labels", new long[] { 1, 1 }, 1, 1, 2)));
    }

    [TestMethod]
    public void Perplexity_IsTheExponentialOfTheMeanLoss() =>
        Assert.AreEqual(4,
            Measure(Metric.Perplexity(), null, [1, 1, 1, 1, 2, 2, 2, 2], [2, 4], b => b.Add("labels", new long[] { 0, 3 }, 2)),
            1e-5);

    [TestMethod]
    public void MeanSquaredError_AndOwnMetrics()
    {
        Assert.AreEqual((1 + 0 + 4 + 1) / 4.0,
            Measure(Metric.MeanSquaredError(), new MseLoss(), [1, 2, 3, 4], [2, 2], b =>
                b.Add("target", new float[] { 2, 2, 1, 5 }, 2, 2)));
        Metric largest = Metric.Create("largest", b => (b.Output("scores").ToDoubles().Max() * b.Rows, b.Rows), true, "scores");
        Assert.AreEqual(4, Measure(largest, new MseLoss(), [1, 2, 3, 4], [2, 2], b => b.Add("target", new float[4], 2, 2)));
    }

    [TestMethod]
    public void WhatDoesNotFit_IsRefused()
    {
        Assert.ThrowsExactly<OptionException>(() => Metric.Accuracy(0));
        StringAssert.Contains(Assert.ThrowsExactly<DriverException>(() =>
            Measure(Metric.Accuracy(), new MseLoss(), [1, 2], [1, 2], b => b.Add("target", new float[2], 1, 2))).Message,
            "do not belong together");
        StringAssert.Contains(Assert.ThrowsExactly<DriverException>(() =>
            Measure(Metric.Create("other", b => (b.Label("nothing").ElementCount, 1)), new MseLoss(), [1, 2], [1, 2], b =>
            b.Add("target", new float[2], 1, 2))).Message, "no entry 'nothing'");
    }
}
