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

    // The example of scikit-learn's user guide: truths 2 0 2 2 0 1, found 0 0 2 2 0 2.
    private static readonly float[] Guide = [9, 0, 0, 9, 0, 0, 0, 0, 9, 0, 0, 9, 9, 0, 0, 0, 0, 9];
    private static readonly long[] GuideTruths = [2, 0, 2, 2, 0, 1];

    [TestMethod]
    [DataRow("precision", null, (2 / 3.0 + 0 + 2 / 3.0) / 3)]
    [DataRow("recall", null, (1 + 0 + 2 / 3.0) / 3)]
    [DataRow("f1", null, (0.8 + 0 + 2 / 3.0) / 3)]
    [DataRow("precision", 0, 2 / 3.0)]
    [DataRow("recall", 2, 2 / 3.0)]
    [DataRow("f1", 1, 0.0)]
    public void FiguresOfAConfusionMatrix(string name, int? of, double expected)
    {
        Metric metric = name == "precision" ? Metric.Precision(of) : name == "recall" ? Metric.Recall(of) : Metric.F1(of);
        Assert.AreEqual(expected, Measure(metric, null, Guide, [6, 3], b => b.Add("labels", GuideTruths, 6)), 1e-12);
    }

    [TestMethod]
    public void ConfusionMatrix_IsInTheReport_OverAllBatches_WithoutIgnoredRows()
    {
        using TrainingDriver driver = HandsOn(null, 6, 3);
        Batch First() => new Batch().Add("x", Guide, 6, 3).Add("labels", GuideTruths, 6);
        Batch second = new Batch().Add("x", new float[] { 0, 9, 0, 9, 0, 0 }, 2, 3).Add("labels", new long[] { 1, -100 }, 2);
        EvaluationReport report = new Trainer(driver).Evaluate(BatchSource.From([First(), second]), [Metric.Accuracy(), Metric.F1()]);
        ConfusionMatrix matrix = report.Confusion!;
        long[,] expected = { { 2, 0, 0 }, { 0, 1, 1 }, { 1, 0, 2 } };
        for (int t = 0; t < 3; t++)
        {
            for (int f = 0; f < 3; f++) Assert.AreEqual(expected[t, f], matrix[t, f], $"{t}, {f}");
        }
        Assert.AreEqual(7, matrix.Count);
        Assert.AreEqual(report["accuracy"], matrix.Accuracy, 1e-12);
        CollectionAssert.AreEqual(new[] { (1, 2, 1L), (2, 0, 1L) }, matrix.Mistakes(5).ToArray());
        Assert.IsNull(new Trainer(driver).Evaluate(BatchSource.From([First()]), [Metric.Accuracy()]).Confusion);
    }

    [TestMethod]
    public void ConfusionMatrix_NamesClasses_LeavesOutThoseThatNobodySaw()
    {
        var matrix = new ConfusionMatrix(new long[,] { { 3, 1, 0 }, { 0, 4, 0 }, { 0, 0, 0 } }, ["cat", "dog", "bird"]);
        StringAssert.Contains(matrix.ToString(), "cat");
        Assert.DoesNotContain("bird", matrix.ToString());
        Assert.AreEqual((0.75 + 1) / 2, matrix.Mean(matrix.Recall), 1e-12);
        ConfusionMatrix named = matrix.Named(["a", "b", "c"]);
        CollectionAssert.AreEqual(new[] { "a", "b", "c" }, named.ClassNames.ToArray());
        Assert.AreEqual(matrix[0, 1], named[0, 1]);
        Assert.ThrowsExactly<ArgumentException>(() => matrix.Named(["a"]));
        Assert.ThrowsExactly<ArgumentException>(() => new ConfusionMatrix(new long[2, 3]));
        Assert.ThrowsExactly<ArgumentException>(() => new ConfusionMatrix(new long[2, 2], ["one"]));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => matrix[3, 0]);
    }

    // scikit-learn's example: truths 0 0 1 1, probabilities of class 1 0.1 0.4 0.35 0.8.
    [TestMethod]
    public void RocAuc_CountsPairs_TiesByHalf()
    {
        float[] logits = [.. new[] { 0.1, 0.4, 0.35, 0.8 }.SelectMany(p => new[] { 0f, (float)Math.Log(p / (1 - p)) })];
        Assert.AreEqual(0.75, Measure(Metric.RocAuc(), null, logits, [4, 2], b => b.Add("labels", new long[] { 0, 0, 1, 1 }, 4)), 1e-12);
        Assert.AreEqual(0.5, Measure(Metric.RocAuc(), null, new float[8], [4, 2], b => b.Add("labels", new long[] { 0, 0, 1, 1 }, 4)));
        Assert.AreEqual(1, Measure(Metric.RocAuc(), null, [5, 0, 0, 0, 5, 0], [2, 3], b => b.Add("labels", new long[] { 0, 1 }, 2)),
            "the mean over the classes that have rows of both sides");
        Assert.AreEqual(double.NaN, Measure(Metric.RocAuc(), null, [1, 0], [1, 2], b => b.Add("labels", new long[] { 0 }, 1)));
        Assert.ThrowsExactly<DriverException>(() =>
            Measure(Metric.RocAuc(7), null, [1, 0], [1, 2], b => b.Add("labels", new long[] { 0 }, 1)));
    }

    // One score of yes, as binary cross-entropy takes it: a probability or a logit.
    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void ClassMetrics_TakeAScoreOfYes(bool isLogit)
    {
        double[] yes = [0.1, 0.4, 0.35, 0.8, 1e-9, 2e-9];
        float[] truths = [0, 0, 1, 1, 0, 1], scores = [.. yes.Select(p => (float)(isLogit ? Math.Log(p / (1 - p)) : p))];
        Loss loss = isLogit ? new BceWithLogitsLoss() : new BceLoss();
        double Of(Metric metric, long[] shape) => Measure(metric, loss, scores, shape,
            b => b.Add("target", truths, shape));
        foreach (long[] shape in new long[][] { [6, 1], [3, 2] })
        {
            // Pairs of a yes and a no: (0.35, 0.8, 2e-9) over (0.1, 0.4, 1e-9).
            Assert.AreEqual(6 / 9.0, Of(Metric.RocAuc(), shape), 1e-12);
            Assert.AreEqual(4 / 6.0, Of(Metric.Accuracy(), shape), 1e-12);
            Assert.AreEqual(1 / 3.0, Of(Metric.Recall(of: 1), shape), 1e-12);
            Assert.AreEqual(1, Of(Metric.Precision(of: 1), shape), 1e-12);
        }
    }

    // scikit-learn's example: truths 3 −0.5 2 7, found 2.5 0 2 8.
    [TestMethod]
    public void R2_AndMeanAbsoluteError()
    {
        double Of(Metric metric, float[] target) =>
            Measure(metric, new MseLoss(), [2.5f, 0, 2, 8], [2, 2], b => b.Add("target", target, 2, 2));
        Assert.AreEqual(0.9486081370449679, Of(Metric.R2(), [3, -0.5f, 2, 7]), 1e-12);
        Assert.AreEqual(0.5, Of(Metric.MeanAbsoluteError(), [3, -0.5f, 2, 7]), 1e-12);
        Assert.AreEqual(0, Of(Metric.R2(), [1, 1, 1, 1]));
        Assert.IsFalse(Metric.MeanAbsoluteError().HigherIsBetter);
        Assert.IsTrue(Metric.R2().HigherIsBetter);
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
