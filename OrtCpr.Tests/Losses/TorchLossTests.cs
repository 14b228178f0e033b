using System.Text.Json;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Losses;

/// <summary>Values and gradients of losses in float64 against libtorch 2.10 (TorchSharp 0.107), <c>Data/losses/torch-losses.json</c>;
/// focal, hinge, Dice, InfoNCE and Gaussian NLL there are their formulas in torch's operators. Numbers are sin(a·i + b).</summary>
[TestClass]
public sealed class TorchLossTests
{
    private static readonly Dictionary<string, JsonElement> Expected = JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(
        File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Data", "losses", "torch-losses.json")))!;

    private static double[] Waves(int count, double a, double b) => [.. Enumerable.Range(0, count).Select(i => Math.Sin((a * i) + b))];

    private static readonly double[] X4x3 = Waves(12, 1.7, 0.3), X2x3 = Waves(6, 1.7, 0.3), Other = Waves(12, 0.7, 1);

    /// <summary>Outputs out0, out1 … that are parameters t0, t1 … of given shapes.</summary>
    private static byte[] Passing(params (double[] Values, long[] Dims)[] tables)
    {
        OnnxModel model = OnnxModel.Create("passing", 18);
        var g = new GraphBuilder(model.Graph);
        Value zero = model.Graph.AddInput("zero", ElementType.Double, Shape.Scalar);
        for (int i = 0; i < tables.Length; i++)
        {
            Value table = model.Graph.AddInitializer($"t{i}", TensorData.From<double>(tables[i].Values, tables[i].Dims));
            model.Graph.Outputs.Add(g.Named(g.Add(table, zero), $"out{i}"));
        }
        return GraphWriter.ToBytes(model);
    }

    private sealed record Case(string Name, Loss Loss, (double[] Values, long[] Dims)[] Tables, (string Name, TensorData Data)[] Labels);

    private static TensorData Longs(long[] values, params long[] dims) => TensorData.From<long>(values, dims);

    private static TensorData Doubles(double[] values, params long[] dims) => TensorData.From<double>(values, dims);

    private static IEnumerable<Case> Cases(Reduction r)
    {
        (double[], long[]) rows = (X4x3, [4, 3]), elements = (X2x3, [2, 3]), a = (X4x3, [3, 4]), b = (Other, [3, 4]);
        (string, TensorData) labels = ("labels", Longs([0, -100, 1, 2], 4)), whole = ("labels", Longs([0, 2, 1, 2], 4));
        (string, TensorData) Target(params double[] t) => ("target", Doubles(t, 2, 3));
        yield return new("nll", new NllLoss { Output = "out0", ClassWeights = [0.5f, 2, 1], Reduction = r }, [rows], [labels]);
        yield return new("cross_entropy", new CrossEntropyLoss { ClassWeights = [0.5f, 2, 1], LabelSmoothing = 0.1, Reduction = r },
            [rows], [labels]);
        yield return new("cross_entropy_axis1", new CrossEntropyLoss { ClassAxis = 1, Reduction = r },
            [(Waves(18, 1.7, 0.3), [2, 3, 3])], [("labels", Longs([0, 1, 2, 2, -100, 1], 2, 3))]);
        yield return new("bce", new BceLoss(r), [([0.2, 0.9, 0.5, 0.01, 0.99, 0.3], [2, 3])], [Target(1, 0, 0.25, 0, 1, 0.5)]);
        yield return new("kl_divergence", new KlDivergenceLoss(r), [elements], [Target(0.2, 0.3, 0.5, 0, 0.6, 0.4)]);
        yield return new("kl_divergence_log_target", new KlDivergenceLoss(r) { LogTarget = true }, [elements],
            [Target(Waves(6, 0.9, -1))]);
        foreach (int power in new[] { 1, 2 })
        {
            yield return new($"multi_margin_{power}",
                new MultiMarginLoss { Power = power, Margin = 0.8, ClassWeights = [0.5f, 2, 1], Reduction = r }, [rows], [whole]);
        }
        yield return new("cosine_embedding", new CosineEmbeddingLoss("out1", r) { Output = "out0", Margin = 0.1 }, [a, b],
            [("target", Doubles([1, -1, -1], 3))]);
        foreach (bool swap in new[] { false, true })
        {
            yield return new($"triplet_margin{(swap ? "_swap" : "")}",
                new TripletMarginLoss("out1", "out2", r) { Output = "out0", Margin = 1.5, Swap = swap },
                [a, b, (Waves(12, 2.3, -1), [3, 4])], []);
        }
        foreach (bool full in new[] { false, true })
        {
            yield return new($"gaussian_nll{(full ? "_full" : "")}",
                new GaussianNllLoss(r) { Output = "out0", VarianceOutput = "out1", Full = full },
                [elements, ([.. Waves(6, 0.7, 1).Select(d => (d * d) + 0.1)], [2, 3])], [Target(Waves(6, 0.4, 2))]);
        }
        yield return new("info_nce_symmetric", new InfoNceLoss("out1", r) { Output = "out0", Temperature = 0.5 }, [a, b], []);
        yield return new("info_nce",
            new InfoNceLoss("out1", r) { Output = "out0", Temperature = 0.5, Normalize = false, Symmetric = false }, [a, b], []);
        (double[], long[]) times = (Waves(72, 1.7, 0.3), [6, 3, 4]);
        yield return new("ctc", new CtcLoss { Reduction = r, InputLengthName = "input_lengths" }, [times],
            [("labels", Longs([1, 2, -1, 3, 3, 1, 99, 0, 0], 3, 3)), ("label_lengths", Longs([2, 3, 0], 3)),
                ("input_lengths", Longs([6, 5, 4], 3))]);
        yield return new("ctc_zero_infinity", new CtcLoss { Reduction = r, InputLengthName = "input_lengths", ZeroInfinity = true },
            [times], [("labels", Longs([1, 2, 1, 3, 3, 3, 2, 2, 1], 3, 3)), ("label_lengths", Longs([3, 3, 3], 3)),
                ("input_lengths", Longs([6, 4, 4], 3))]);
        yield return new("focal", new FocalLoss { Gamma = 1.5, Reduction = r }, [rows], [whole]);
        yield return new("binary_focal", new BinaryFocalLoss(r), [elements], [Target(1, 0, 1, 0, 0, 1)]);
        yield return new("hinge", new HingeLoss(r), [elements], [Target(1, -1, 1, -1, -1, 1)]);
        yield return new("hinge_squared", new HingeLoss(r) { Squared = true }, [elements], [Target(1, -1, 1, -1, -1, 1)]);
        yield return new("dice", new DiceLoss(r) { Smooth = 1, FromLogits = true }, [(Waves(24, 1.7, 0.3), [2, 3, 4])],
            [("target", Doubles([.. Waves(24, 0.9, 1).Select(d => d > 0 ? 1.0 : 0)], 2, 3, 4))]);
    }

    [TestMethod]
    [DataRow(Reduction.Mean)]
    [DataRow(Reduction.Sum)]
    public void ValuesAndGradients_AreThoseOfTorch(Reduction reduction)
    {
        string suffix = reduction == Reduction.Mean ? "mean" : "sum";
        var failures = new List<string>();
        int count = 0;
        foreach (Case c in Cases(reduction))
        {
            count++;
            failures.AddRange(Compare(c, $"{c.Name}/{suffix}"));
        }
        Assert.AreEqual(Expected.Count(e => e.Key.EndsWith($"/{suffix}", StringComparison.Ordinal)), count);
        Assert.IsEmpty(failures, string.Join('\n', failures));
    }

    [TestMethod]
    public void KlDivergence_BatchMean()
    {
        var c = new Case("", new KlDivergenceLoss { BatchMean = true }, [(X2x3, [2, 3])],
            [("target", Doubles([0.2, 0.3, 0.5, 0, 0.6, 0.4], 2, 3))]);
        Assert.IsEmpty(Compare(c, "kl_divergence/batch_mean"));
    }

    // With the probability 1 for a class it is the cross-entropy of that class, value and gradient; mixed targets are linear in the two.
    [TestMethod]
    public void SoftCrossEntropy_IsTheMixOfCrossEntropies()
    {
        (double Loss, double[] Gradient) Of(Loss loss, TensorData labels)
        {
            using var driver = new TrainingDriver(TrainingGraphBuilder.Build(Passing((X2x3, [2, 3])), new TrainingOptions
            {
                Loss = loss,
                Parameters = new() { Train = ["t*"] },
            }), new DriverOptions { Threads = 1 });
            using Batch batch = new Batch().Add("zero", TensorData.Scalar(0.0)).Add(loss.Labels[0], labels);
            double value = driver.TrainStep(batch);
            return (value, driver.GetGradient("t0").ToDoubles());
        }

        foreach (Reduction r in new[] { Reduction.Mean, Reduction.Sum })
        {
            (double first, double[] firstGradient) = Of(new CrossEntropyLoss { Reduction = r }, Longs([0, 2], 2));
            (double second, double[] secondGradient) = Of(new CrossEntropyLoss { Reduction = r }, Longs([1, 2], 2));
            (double hot, double[] hotGradient) = Of(new SoftCrossEntropyLoss(r), Doubles([1, 0, 0, 0, 0, 1], 2, 3));
            (double mixed, double[] mixedGradient) = Of(new SoftCrossEntropyLoss(r), Doubles([0.3, 0.7, 0, 0, 0, 1], 2, 3));
            Assert.AreEqual(first, hot, 1e-12);
            Assert.AreEqual((0.3 * first) + (0.7 * second), mixed, 1e-12);
            for (int i = 0; i < 6; i++)
            {
                Assert.AreEqual(firstGradient[i], hotGradient[i], 1e-12);
                Assert.AreEqual((0.3 * firstGradient[i]) + (0.7 * secondGradient[i]), mixedGradient[i], 1e-12);
            }
        }
    }

    private static List<string> Compare(Case c, string key)
    {
        var failures = new List<string>();
        try
        {
            using var driver = new TrainingDriver(TrainingGraphBuilder.Build(Passing(c.Tables), new TrainingOptions
            {
                Loss = c.Loss,
                Parameters = new() { Train = ["t*"] },
            }), new DriverOptions { Threads = 1 });
            using Batch batch = new Batch().Add("zero", TensorData.Scalar(0.0));
            foreach ((string name, TensorData data) in c.Labels) batch.Add(name, data);
            double loss = driver.TrainStep(batch), expected = Expected[key].GetProperty("loss").GetDouble();
            if (!(Math.Abs(loss - expected) < 1e-12 * Math.Max(1, Math.Abs(expected)))) failures.Add($"{key}: loss {loss} for {expected}");
            double evaluated = driver.EvalStep(batch).Loss;
            if (evaluated != loss) failures.Add($"{key}: evaluated {evaluated} for {loss}");
            int i = 0;
            foreach (JsonElement gradient in Expected[key].GetProperty("gradients").EnumerateArray())
            {
                double[] found = driver.GetGradient($"t{i}").ToDoubles();
                double[] wanted = [.. gradient.EnumerateArray().Select(e => e.GetDouble())];
                for (int j = 0; j < wanted.Length; j++)
                {
                    if (!(Math.Abs(found[j] - wanted[j]) < 1e-10)) failures.Add($"{key}: d t{i}[{j}] {found[j]} for {wanted[j]}");
                }
                i++;
            }
        }
        catch (OrtCprException error)
        {
            failures.Add($"{key}: {error.Message}");
        }
        return failures;
    }

    // A way that there is not costs +∞, or nothing; the other examples of the batch keep their gradients.
    [TestMethod]
    public void Ctc_OfTooFewOutputs_IsInfinite_WithoutNaN()
    {
        using var driver = new TrainingDriver(TrainingGraphBuilder.Build(Passing((Waves(24, 1.7, 0.3), [3, 2, 4])), new TrainingOptions
        {
            Loss = new CtcLoss(),
            Parameters = new() { Train = ["t*"] },
        }), new DriverOptions { Threads = 1 });
        using Batch batch = new Batch().Add("zero", TensorData.Scalar(0.0)).Add("labels", [1L, 1, 2, 3], 2, 2)
            .Add("label_lengths", [2L, 2], 2);
        Assert.IsTrue(double.IsFinite(driver.TrainStep(batch)), "1, blank, 1 lies in three outputs");
        using Batch impossible = new Batch().Add("zero", TensorData.Scalar(0.0)).Add("labels", [1L, 1, 1, 3, 0, 0], 2, 3)
            .Add("label_lengths", [3L, 1], 2);
        driver.LazyResetGrad();
        Assert.AreEqual(double.PositiveInfinity, driver.TrainStep(impossible));
        double[] gradient = driver.GetGradient("t0").ToDoubles();
        Assert.IsTrue(gradient.All(double.IsFinite));
        Assert.IsTrue(gradient.Where((_, i) => i / 4 % 2 == 0).All(d => d == 0), "the example without a way");
        Assert.IsTrue(gradient.Where((_, i) => i / 4 % 2 == 1).Any(d => d != 0), "the other one");
    }
}
