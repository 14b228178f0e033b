using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Losses;

// Losses against plain double loops, and their gradients against central differences. The model hands its trained tensor on as the output.
[TestClass]
public sealed class LossTests
{
    // out = table[index], so that every logit is a parameter.
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
        using var driver = new TrainingDriver(TrainingGraphBuilder.Build(Passing(dims), new TrainingOptions { Loss = loss, Parameters = new() { Train = ["table"] } }), new DriverOptions { Threads = 1 });
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

    // Rows of classes with a stride, in torch's definition.
    private static Func<double[], double> CrossEntropy(int classes, long[] labels, Func<int, int, int> at, double[]? weights = null, long ignore = -100, double smoothing = 0, bool sum = false) => x =>
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
        double[] gradient = Check(new CrossEntropyLoss { ClassWeights = [0.5f, 2, 1], LabelSmoothing = 0.1 }, [4, 3], "labels", Labels(labels, 4),
            CrossEntropy(3, labels, (r, c) => (r * 3) + c, weights, smoothing: 0.1));
        for (int i = 3; i < 6; i++) Assert.AreEqual(0, gradient[i], "an ignored row has no gradient");
    }

    [TestMethod]
    public void CrossEntropy_Sum_WithAnotherIgnoreIndex() =>
        Check(new CrossEntropyLoss { Reduction = Reduction.Sum, IgnoreIndex = 1 }, [3, 2], "labels", Labels([0, 1, 0], 3), CrossEntropy(2, [0, 1, 0], (r, c) => (r * 2) + c, ignore: 1, sum: true));

    [TestMethod]
    public void CrossEntropy_ClassesLast_OverTokens()
    {
        long[] labels = [0, 2, 3, -100, 1, 1];
        Check(new CrossEntropyLoss(), [2, 3, 4], "labels", Labels(labels, 2, 3), CrossEntropy(4, labels, (r, c) => (r * 4) + c));
    }

    [TestMethod]
    public void CrossEntropy_ClassesSecond_OverPixels()
    {
        long[] labels = [0, 2, 1, 1, 2, 0, 0, 1];
        // [2, 3, 2, 2]: pixel p of image b, class c lies at (b·3 + c)·4 + p.
        Check(new CrossEntropyLoss(), [2, 3, 2, 2], "labels", Labels(labels, 2, 2, 2), CrossEntropy(3, labels, (r, c) => (((r / 4 * 3) + c) * 4) + (r % 4)));
    }

    [TestMethod]
    public void CrossEntropy_ClassAxisOneOfThree()
    {
        long[] labels = [0, 1, 1, 0, 1, 0];
        Check(new CrossEntropyLoss { ClassAxis = 1 }, [2, 2, 3], "labels", Labels(labels, 2, 3), CrossEntropy(2, labels, (r, c) => (((r / 3 * 2) + c) * 3) + (r % 3)));
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
        using var driver = new TrainingDriver(TrainingGraphBuilder.Build(Passing(2, 2), new TrainingOptions { Loss = new OutputLoss(), Parameters = new() { Train = ["table"] } }), new DriverOptions { Threads = 1 });
        using Batch batch = new Batch().Add("zero", TensorData.Scalar(0.0));
        Assert.AreEqual(driver.GetParameter("table").ToDoubles().Average(), driver.TrainStep(batch), 1e-12);
        foreach (double d in driver.GetGradient("table").ToDoubles()) Assert.AreEqual(0.25, d, 1e-12);
    }

    [TestMethod]
    public void WrongOutput_WrongWeights_WrongRank_AreRefused()
    {
        static string Refusal(Loss loss, params long[] dims) =>
            Assert.ThrowsExactly<OptionException>(() => TrainingGraphBuilder.Build(Passing(dims), new TrainingOptions { Loss = loss })).Message;
        StringAssert.Contains(Refusal(new MseLoss { Output = "logit" }, 2, 3), "output 'logit', which the model does not have. Its outputs: 'out'");
        StringAssert.Contains(Refusal(new CrossEntropyLoss { ClassWeights = [1, 2] }, 2, 3), "has 2 entries");
        StringAssert.Contains(Refusal(new CrossEntropyLoss(), 3), "rank 2 or more");
        StringAssert.Contains(Refusal(new CrossEntropyLoss { LabelSmoothing = 2 }, 2, 3), "LabelSmoothing is 2");
        StringAssert.Contains(Refusal(new CrossEntropyLoss { LabelName = "zero" }, 2, 3), "'zero'");
    }
}
