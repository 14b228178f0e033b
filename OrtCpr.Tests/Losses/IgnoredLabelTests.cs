using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Losses;

namespace OrtCpr.Tests.Losses;

/// <summary>Labels that do not count, labels that there are not, and batches of different sizes.</summary>
[TestClass]
public sealed class IgnoredLabelTests
{
    private static readonly float[] X = [5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    private static readonly long[] Labels = [0, -100, 1, 2];

    private static IEnumerable<Batch> Batches(int size) => Enumerable.Range(0, 4 / size).Select(i => Rows(i * size, size));

    private static Batch Rows(int first, int count, float[]? x = null, long[]? labels = null) => new Batch()
        .Add("x", (x ?? X).AsSpan(first * 3, count * 3).ToArray(), count, 3)
        .Add("labels", (labels ?? Labels).AsSpan(first, count).ToArray(), count);

    // (log(e⁵ + 2) − 5 + 2·log 3) / 3.
    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void EvaluatedLoss_DoesNotDependOnTheSizeOfTheBatch(bool kernels)
    {
        using TrainingDriver driver = LossModels.Created(LossModels.Biased(), new CrossEntropyLoss(), kernels);
        double expected = (Math.Log(Math.Exp(5) + 2) - 5 + (2 * Math.Log(3))) / 3;
        Assert.AreEqual(0.73687, expected, 5e-6);
        foreach (int size in new[] { 4, 2, 1 })
            Assert.AreEqual(expected, new Trainer(driver).Evaluate(BatchSource.From(Batches(size))).Loss, 1e-6, $"{size}");
        foreach (int size in new[] { 4, 2, 1 })
        {
            var perplexity = new OrtCpr.Metrics.Perplexity();
            EvaluationReport report = new Trainer(driver).Evaluate(BatchSource.From(Batches(size)), [perplexity]);
            Assert.AreEqual(Math.Exp(expected), report["perplexity"], 1e-5);
        }
    }

    [TestMethod]
    public void EvaluatedSums_AreAdded_AndClassWeightsWeigh()
    {
        using TrainingDriver sum = LossModels.Created(LossModels.Biased(), new CrossEntropyLoss { Reduction = Reduction.Sum });
        using TrainingDriver weighted = LossModels.Created(LossModels.Biased(), new CrossEntropyLoss { ClassWeights = [1, 2, 4] });
        double first = Math.Log(Math.Exp(5) + 2) - 5, other = Math.Log(3);
        foreach (int size in new[] { 4, 2, 1 })
        {
            Assert.AreEqual(first + (2 * other), new Trainer(sum).Evaluate(BatchSource.From(Batches(size))).Loss, 1e-5);
            Assert.AreEqual((first + (6 * other)) / 7, new Trainer(weighted).Evaluate(BatchSource.From(Batches(size))).Loss, 1e-6);
        }
    }

    // Micro-batches of 1 and 3 rows, of which 1 and 2 count, give the gradient and the step of the 4 rows together.
    [TestMethod]
    [DataRow("cross_entropy")]
    [DataRow("weights")]
    [DataRow("smoothing")]
    [DataRow("sum")]
    public void Accumulation_IsOneBatch(string kind)
    {
        Loss loss = kind switch
        {
            "weights" => new CrossEntropyLoss { ClassWeights = [1, 2, 4] },
            "smoothing" => new CrossEntropyLoss { ClassWeights = [1, 2, 4], LabelSmoothing = 0.1 },
            "sum" => new CrossEntropyLoss { Reduction = Reduction.Sum },
            _ => new CrossEntropyLoss(),
        };
        using TrainingDriver whole = LossModels.Created(LossModels.Biased(), loss), parts = LossModels.Created(LossModels.Biased(), loss);
        using Batch all = Rows(0, 4), one = Rows(0, 1), rest = Rows(1, 3);
        parts.WeighBatches = true;
        whole.TrainStep(all);
        double[] expected = whole.GetGradient("b").ToDoubles();
        parts.TrainStep(one);
        parts.TrainStep(rest);
        double scale = kind == "sum" ? 1 : 0.5;
        AreNear(expected, [.. parts.GetGradient("b").ToDoubles().Select(d => d * scale)]);
        whole.OptimizerStep();
        parts.OptimizerStep(scale);
        AreNear(whole.GetParameter("b").ToDoubles(), parts.GetParameter("b").ToDoubles());

        using TrainingDriver fitted = LossModels.Created(LossModels.Biased(), loss);
        var steps = new List<double>();
        var progress = new Reports(r => steps.Add(r.Loss));
        new Trainer(fitted).Fit(BatchSource.From([Rows(0, 1), Rows(1, 3)]),
            new FitOptions { GradientAccumulation = 2, Progress = progress });
        AreNear(whole.GetParameter("b").ToDoubles(), fitted.GetParameter("b").ToDoubles());
        Assert.AreEqual(whole.Loss, steps.Single(), 1e-6);
    }

    // Three batches of which the first and the last have nothing that counts.
    [TestMethod]
    public void Accumulation_WithBatchesInWhichNothingCounts()
    {
        using TrainingDriver whole = LossModels.Created(LossModels.Biased(), new CrossEntropyLoss());
        using TrainingDriver parts = LossModels.Created(LossModels.Biased(), new CrossEntropyLoss());
        parts.WeighBatches = true;
        long[] labels = [-100, 2, 1, -100];
        using Batch all = Rows(0, 4, labels: labels);
        whole.TrainStep(all);
        foreach ((int first, int count) in new[] { (0, 1), (1, 2), (3, 1) })
        {
            using Batch part = Rows(first, count, labels: labels);
            parts.TrainStep(part);
        }
        AreNear(whole.GetGradient("b").ToDoubles(), [.. parts.GetGradient("b").ToDoubles().Select(d => d / 3)]);
    }

    [TestMethod]
    public void Accumulation_OfUnequalElements_IsOneBatch()
    {
        using TrainingDriver whole = LossModels.Created(LossModels.Biased(), new MseLoss()),
            parts = LossModels.Created(LossModels.Biased(), new MseLoss());
        Batch Part(int first, int count) => new Batch().Add("x", X.AsSpan(first * 3, count * 3).ToArray(), count, 3)
            .Add("target", Enumerable.Range(first * 3, count * 3).Select(i => (float)i).ToArray(), count, 3);
        parts.WeighBatches = true;
        using Batch all = Part(0, 4), one = Part(0, 1), rest = Part(1, 3);
        double loss = whole.TrainStep(all);
        parts.TrainStep(one);
        parts.TrainStep(rest);
        AreNear(whole.GetGradient("b").ToDoubles(), [.. parts.GetGradient("b").ToDoubles().Select(d => d / 2)]);
        Assert.AreEqual(loss, new Trainer(whole).Evaluate(BatchSource.From([Part(0, 1), Part(1, 3)])).Loss, 1e-5);
    }

    // Whatever an ignored row holds, neither loss nor gradient sees it; nothing that counts gives 0 and 0.
    [TestMethod]
    [DataRow(true, "")]
    [DataRow(false, "")]
    [DataRow(true, "weights")]
    [DataRow(false, "weights")]
    [DataRow(true, "smoothing")]
    [DataRow(true, "both")]
    public void IgnoredRows_DoNotCount_WhateverTheyHold(bool kernels, string kind)
    {
        var loss = new CrossEntropyLoss
        {
            ClassWeights = kind is "weights" or "both" ? [1, 2, 4] : [],
            LabelSmoothing = kind is "smoothing" or "both" ? 0.1 : 0,
        };
        foreach (ElementType type in new[] { ElementType.Float, ElementType.Double })
        {
            foreach (float bad in new[] { float.NegativeInfinity, float.NaN, float.PositiveInfinity })
            {
                float[] x = [0.3f, -0.2f, 0.1f, 0, 0.5f, 1, bad, 0, bad];
                using TrainingDriver driver = LossModels.Created(LossModels.Biased(3, type), loss, kernels);
                using Batch clean = new Batch().Add("x", TensorData.From<float>([.. x.Take(6)], 2, 3).ConvertTo(type))
                    .Add("labels", [0L, 2], 2);
                using Batch with = new Batch().Add("x", TensorData.From<float>(x, 3, 3).ConvertTo(type)).Add("labels", [0L, 2, -100], 3);
                double expected = driver.TrainStep(clean);
                double[] gradient = driver.GetGradient("b").ToDoubles();
                driver.LazyResetGrad();
                Assert.AreEqual(expected, driver.TrainStep(with), 1e-6, $"{type} {bad}");
                AreNear(gradient, driver.GetGradient("b").ToDoubles());
                using Batch none =
                    new Batch().Add("x", TensorData.From<float>(x, 3, 3).ConvertTo(type)).Add("labels", [-100L, -100, -100], 3);
                driver.LazyResetGrad();
                Assert.AreEqual(0, driver.TrainStep(none));
                AreNear([0, 0, 0], driver.GetGradient("b").ToDoubles());
                Assert.AreEqual(0, new Trainer(driver).Evaluate(BatchSource.From([
                    new Batch().Add("x", TensorData.From<float>(x, 3, 3).ConvertTo(type))
                    .Add("labels", [-100L, -100, -100], 3)])).Loss);
            }
        }
    }

    [TestMethod]
    public void WeightedMean_OfZeroLogits()
    {
        using TrainingDriver driver = LossModels.Created(LossModels.Biased(), new CrossEntropyLoss { ClassWeights = [1, 2, 4] });
        using Batch batch = new Batch().Add("x", new float[9], 3, 3).Add("labels", [0L, 2, -100], 3);
        Assert.AreEqual(1.0986, driver.TrainStep(batch), 1e-4);
    }

    // The driver refuses them with their places; the graph alone, as others run it, stops as well.
    [TestMethod]
    [DataRow(-1, true)]
    [DataRow(3, true)]
    [DataRow(-1, false)]
    [DataRow(3, false)]
    [DataRow(-101, false)]
    public void LabelsThatThereAreNot_AreRefused(int label, bool kernels)
    {
        Loss[] losses = [new CrossEntropyLoss(), new CrossEntropyLoss { ClassWeights = [1, 2, 4] },
            new CrossEntropyLoss { LabelSmoothing = 0.1 }, new NllLoss()];
        foreach (Loss loss in losses)
        {
            foreach (ElementType type in new[] { ElementType.Float, ElementType.Double })
            {
                using TrainingDriver driver = LossModels.Created(LossModels.Biased(3, type), loss, kernels);
                using Batch batch = new Batch().Add("x", LossModels.Zeros(type, 2, 3)).Add("labels", [0L, label], 2);
                string message = Assert.ThrowsExactly<DriverException>(() => driver.TrainStep(batch)).Message;
                StringAssert.Contains(message, $"found {label} at position 1");
                StringAssert.Contains(message, "must be 0 to 2, or -100");
                Assert.ThrowsExactly<DriverException>(() => driver.EvalStep(batch));
                foreach (byte[] graph in new[] { driver.Plan.TrainingToBytes(), driver.Plan.EvaluationToBytes() })
                {
                    using var quiet = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
                    using var session = new InferenceSession(graph, quiet);
                    var inputs = batch.Tensors.ToDictionary(t => t.Key, t => t.Value);
                    using var options = new RunOptions();
                    using Batch bias = new Batch().Add("b", LossModels.Zeros(type, 3));
                    inputs["b"] = bias.Tensors["b"];
                    Assert.Throws<OnnxRuntimeException>(() =>
                        session.Run(options, inputs, session.OutputNames));
                }
            }
        }
    }

    private static void AreNear(double[] expected, double[] found)
    {
        Assert.HasCount(expected.Length, found);
        for (int i = 0; i < found.Length; i++) Assert.AreEqual(expected[i], found[i], 1e-6, $"element {i}");
    }

    private sealed class Reports(Action<StepReport> action) : IProgress<StepReport>
    {
        public void Report(StepReport value) => action(value);
    }
}
