using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Losses;

/// <summary>Losses against plain double loops, and their gradients against central differences. The model hands its
/// trained tensor on as the output.</summary>
[TestClass]
public sealed class LossTests
{
    /// <summary>out = table[index], so that every logit is a parameter.</summary>
    private static byte[] Passing(params long[] dims)
    {
        OnnxModel model = OnnxModel.Create("passing", 18);
        var g = new GraphBuilder(model.Graph);
        Value zero = model.Graph.AddInput("zero", ElementType.Double, Shape.Scalar);
        Value y = g.Op("Add", [TestModels.Weight(model.Graph, "table", ElementType.Double, dims), zero]);
        model.Graph.Outputs.Add(g.Named(y, "out"));
        return GraphWriter.ToBytes(model);
    }

    private static double[] Check(Loss loss, long[] dims, string labelName, TensorData labels, Func<double[], double> expected)
    {
        using var driver =
            new TrainingDriver(
                TrainingGraphBuilder.Build(Passing(dims), new TrainingOptions { Loss = loss, Parameters = new() { Train = ["table"] } }),
                new DriverOptions { Threads = 1 });
        using Batch batch = new Batch().Add("zero", TensorData.Scalar(0.0)).Add(labelName, labels);
        double[] x = driver.GetParameter("table").ToDoubles();
        Assert.AreEqual(expected(x), driver.TrainStep(batch), 1e-12);
        double[] gradient = driver.GetGradient("table").ToDoubles();
        const double step = 1e-6;
        for (int i = 0; i < x.Length; i++)
        {
            double[] up = [.. x], down = [.. x];
            up[i] += step;
            down[i] -= step;
            Assert.AreEqual((expected(up) - expected(down)) / (2 * step), gradient[i], 1e-8, $"element {i}");
        }
        return gradient;
    }

    /// <summary>Rows of classes with a stride, in torch's definition.</summary>
    private static Func<double[], double> CrossEntropy(int classes, long[] labels, Func<int, int, int> at, double[]? weights = null,
        long ignore = -100, double smoothing = 0, bool sum = false) => x =>
    {
        double total = 0, count = 0;
        for (int row = 0; row < labels.Length; row++)
        {
            if (labels[row] == ignore) continue;
            double[] z = [.. Enumerable.Range(0, classes).Select(c => x[at(row, c)])];
            double log = Math.Log(z.Sum(Math.Exp));
            double w = weights?[labels[row]] ?? 1;
            total += (1 - smoothing) * w * (log - z[labels[row]]);
            total += smoothing / classes * Enumerable.Range(0, classes).Sum(c => (weights?[c] ?? 1) * (log - z[c]));
            count += w;
        }
        return sum ? total : total / count;
    };

    private static TensorData Labels(long[] values, params long[] dims) => TensorData.From<long>(values, dims);

    [TestMethod]
    public void CrossEntropy_OfRows() =>
        Check(new CrossEntropyLoss(), [4, 3], "labels", Labels([0, 2, 1, 2], 4), CrossEntropy(3, [0, 2, 1, 2], (r, c) => (r * 3) + c));

    [TestMethod]
    public void CrossEntropy_WithWeightsIgnoredRowsAndSmoothing()
    {
        long[] labels = [0, -100, 1, 2];
        double[] weights = [0.5, 2, 1];
        double[] gradient =
            Check(new CrossEntropyLoss { ClassWeights = [0.5f, 2, 1], LabelSmoothing = 0.1 }, [4, 3], "labels", Labels(labels, 4),
            CrossEntropy(3, labels, (r, c) => (r * 3) + c, weights, smoothing: 0.1));
        for (int i = 3; i < 6; i++) Assert.AreEqual(0, gradient[i], "an ignored row has no gradient");
    }

    [TestMethod]
    public void CrossEntropy_Sum_WithAnotherIgnoreIndex() =>
        Check(new CrossEntropyLoss
        { Reduction = Reduction.Sum, IgnoreIndex = 1 }, [3, 2], "labels", Labels([0, 1, 0], 3),
            CrossEntropy(2, [0, 1, 0], (r, c) => (r * 2) + c, ignore: 1, sum: true));

    [TestMethod]
    public void CrossEntropy_ClassesLast_OverTokens()
    {
        long[] labels = [0, 2, 3, -100, 1, 1];
        Check(new CrossEntropyLoss { ClassAxis = -1 }, [2, 3, 4], "labels", Labels(labels, 2, 3),
            CrossEntropy(4, labels, (r, c) => (r * 4) + c));
    }

    [TestMethod]
    public void CrossEntropy_ClassesSecond_OverPixels()
    {
        long[] labels = [0, 2, 1, 1, 2, 0, 0, 1];
        // [2, 3, 2, 2]: pixel p of image b, class c lies at (b·3 + c)·4 + p.
        Check(new CrossEntropyLoss(), [2, 3, 2, 2], "labels", Labels(labels, 2, 2, 2),
            CrossEntropy(3, labels, (r, c) => (((r / 4 * 3) + c) * 4) + (r % 4)));
    }

    [TestMethod]
    public void CrossEntropy_ClassAxisOneOfThree()
    {
        long[] labels = [0, 1, 1, 0, 1, 0];
        Check(new CrossEntropyLoss
        { ClassAxis = 1 }, [2, 2, 3], "labels", Labels(labels, 2, 3),
            CrossEntropy(2, labels, (r, c) => (((r / 3 * 2) + c) * 3) + (r % 3)));
    }

    [TestMethod]
    [DataRow(Reduction.Mean)]
    [DataRow(Reduction.Sum)]
    public void Mse(Reduction reduction)
    {
        double[] target = [0.5, -1, 2, 0.25, 0, 1];
        Check(new MseLoss(reduction), [2, 3], "target", TensorData.From<double>(target, 2, 3),
            x => x.Zip(target, (a, b) => (a - b) * (a - b)).Sum() / (reduction == Reduction.Mean ? 6 : 1));
    }

    [TestMethod]
    public void OutputIsTheLoss()
    {
        using var driver =
            new TrainingDriver(
                TrainingGraphBuilder.Build(Passing(2, 2), new TrainingOptions
                { Loss = new OutputLoss(), Parameters = new() { Train = ["table"] } }), new DriverOptions { Threads = 1 });
        using Batch batch = new Batch().Add("zero", TensorData.Scalar(0.0));
        Assert.AreEqual(driver.GetParameter("table").ToDoubles().Average(), driver.TrainStep(batch), 1e-12);
        foreach (double d in driver.GetGradient("table").ToDoubles()) Assert.AreEqual(0.25, d, 1e-12);
    }

    [TestMethod]
    public void WrongOutput_WrongWeights_WrongRank_AreRefused()
    {
        static string Refusal(Loss loss, params long[] dims) =>
            Assert.ThrowsExactly<OptionException>(() =>
                TrainingGraphBuilder.Build(Passing(dims), new TrainingOptions { Loss = loss })).Message;
        StringAssert.Contains(Refusal(new MseLoss { Output = "logit" }, 2, 3),
            "output 'logit', which the model does not have. Its outputs: 'out'");
        StringAssert.Contains(Refusal(new CrossEntropyLoss { ClassWeights = [1, 2] }, 2, 3), "has 2 entries");
        StringAssert.Contains(Refusal(new CrossEntropyLoss(), 3), "rank 2 or more");
        StringAssert.Contains(Refusal(new CrossEntropyLoss { LabelSmoothing = 2 }, 2, 3), "LabelSmoothing is 2");
    }

    private static double[] Targets(int n, Func<int, double> at) => [.. Enumerable.Range(0, n).Select(at)];

    [TestMethod]
    [DataRow(Reduction.Mean)]
    [DataRow(Reduction.Sum)]
    public void L1_FollowsTheDefinition(Reduction reduction)
    {
        double[] t = Targets(6, i => 0.3 * (i - 3));
        Check(new L1Loss(reduction), [2, 3], "target", TensorData.From<double>(t, 2, 3), x =>
            x.Zip(t, (a, b) => Math.Abs(a - b)).Sum() / (reduction == Reduction.Mean ? 6 : 1));
    }

    [TestMethod]
    [DataRow(1.0)]
    [DataRow(0.2)]
    public void Huber_FollowsTheDefinition_OnBothSidesOfDelta(double delta)
    {
        double[] t = Targets(6, i => 0.5 * (i - 3));
        double Each(double e) => Math.Abs(e) <= delta ? e * e / 2 : delta * (Math.Abs(e) - (delta / 2));
        Check(new HuberLoss(delta), [2, 3], "target", TensorData.From<double>(t, 2, 3), x => x.Zip(t, (a, b) => Each(a - b)).Average());
    }

    [TestMethod]
    [DataRow(1.0)]
    [DataRow(3.0)]
    public void BceWithLogits_FollowsTheDefinition(double positive)
    {
        double[] t = [1, 0, 0.25, 1, 0, 0.5];
        double Each(double x, double y) =>
            (-positive * y * Math.Log(1 / (1 + Math.Exp(-x)))) - ((1 - y) * Math.Log(1 - (1 / (1 + Math.Exp(-x)))));
        Check(new BceWithLogitsLoss { PositiveWeight = positive }, [2, 3], "target", TensorData.From<double>(t, 2, 3), x =>
            x.Zip(t, Each).Average());
    }

    [TestMethod]
    public void BceWithLogits_StaysFinite_ForLargeLogits()
    {
        using var driver =
            new TrainingDriver(TrainingGraphBuilder.Build(TestModels.Linear(), new TrainingOptions { Loss = new BceWithLogitsLoss() }),
                new DriverOptions { Threads = 1 });
        using Batch batch = new Batch().Add("x", [1e4f, -1e4f, 1e4f, 1e4f], 1, 4).Add("target", [0f, 1, 0], 1, 3);
        Assert.IsTrue(double.IsFinite(driver.TrainStep(batch)));
        Assert.IsTrue(driver.OptimizerStep());
    }

    [TestMethod]
    public void WeightedSum_AddsItsTerms_AndSharesTargets()
    {
        double[] t = Targets(6, i => 0.3 * (i - 3));
        var loss = new WeightedSumLoss((new MseLoss(), 0.5), (new L1Loss(Reduction.Sum), 2));
        Check(loss, [2, 3], "target", TensorData.From<double>(t, 2, 3), x =>
            (0.5 * x.Zip(t, (a, b) => (a - b) * (a - b)).Average()) + (2 * x.Zip(t, (a, b) => Math.Abs(a - b)).Sum()));
    }

    [TestMethod]
    public void CustomLoss_IsWrittenWithTheBuilder()
    {
        double[] t = Targets(6, i => 0.3 * (i - 3));
        var loss = new CustomLoss(c =>
        {
            Term output = c.FindFloating(null), error = output - c.Label("wanted", output.Type, output.Shape!);
            return c.G.ReduceMean(c.G.Log(1 + error * error), false);
        });
        Check(loss, [2, 3], "wanted", TensorData.From<double>(t, 2, 3), x =>
            x.Zip(t, (a, b) => Math.Log(1 + ((a - b) * (a - b)))).Average());
    }

    [TestMethod]
    public void SenselessLosses_AreRefused_AllProblemsAtOnce()
    {
        string Refusal(Loss loss) =>
            Assert.ThrowsExactly<OptionException>(() =>
                TrainingGraphBuilder.Build(TestModels.Linear(), new TrainingOptions { Loss = loss })).Message;
        string message =
            Refusal(new WeightedSumLoss((new HuberLoss(0), double.NaN),
                (new BceWithLogitsLoss { PositiveWeight = -1, TargetName = "" }, 1)));
        foreach (string part in new[]
            { "Terms[0]: Delta is 0", "Terms[0]: Weight is NaN", "Terms[1]: TargetName is empty", "Terms[1]: PositiveWeight is -1" })
        {
            StringAssert.Contains(message, part);
        }
        StringAssert.Contains(Refusal(new WeightedSumLoss([])), "expected at least one loss");
        StringAssert.Contains(Refusal(new CustomLoss(c => c.FindFloating(null))), "expected a scalar");
        StringAssert.Contains(Refusal(new CustomLoss(c => c.G.Int(1))), "expected a floating scalar");
        Value stray = new OnnxGraph("other", new NameAuthority()).AddInput("stray", ElementType.Float, Shape.Of());
        StringAssert.Contains(Refusal(new CustomLoss(c => stray)), "uses 'stray', which the graph does not have");
        StringAssert.Contains(
            Refusal(new CustomLoss(c => c.G.ReduceMean(c.FindFloating(null) * stray, false))),
            "uses 'stray', which the graph does not have");
    }

    [TestMethod]
    public void NumbersInMessages_DoNotDependOnTheCulture()
    {
        using CommaCulture comma = new();
        string[] problems = [.. new Loss[]
        {
            new HuberLoss(-0.5), new BceWithLogitsLoss { PositiveWeight = -0.5 }, new CrossEntropyLoss { LabelSmoothing = -0.5 },
        }.SelectMany(loss => loss.Problems())];
        Assert.HasCount(3, problems);
        foreach (string problem in problems) StringAssert.Contains(problem, "is -0.5;");
    }
}
