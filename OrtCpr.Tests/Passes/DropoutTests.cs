using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Tests.Passes;

/// <summary>Dropout while training: masks that depend on seed, step and micro-batch alone.</summary>
[TestClass]
public sealed class DropoutTests
{
    private const int Rows = 200, Columns = 96;

    private const double Ratio = 0.3;

    /// <summary>x [batch, 96] · weight → two Dropouts of one tensor → y = first + second. As exported in eval mode
    /// unless <c>flag</c>.</summary>
    private static byte[] Model(bool flag = false, bool anyRank = false)
    {
        OnnxModel model = OnnxModel.Create("dropout", 18);
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), Columns));
        Value scaled = g.Mul(x, TestModels.Constant(model.Graph, "weight", 1, Columns));
        if (anyRank) scaled = g.Reshape(scaled, -1, 4, 6, 4);
        Value?[] settings = [g.Scalar(Ratio, ElementType.Float), flag ? g.Scalar(1, ElementType.Bool) : null];
        Value first = g.Op("Dropout", [scaled, .. settings]), second = g.Op("Dropout", [scaled, .. settings]);
        model.Graph.Outputs.Add(g.Named(first, "first"));
        model.Graph.Outputs.Add(g.Named(second, "second"));
        return GraphWriter.ToBytes(model);
    }

    private static TrainingDriver Driver(DropoutMode mode = DropoutMode.Training, bool flag = false, long seed = 1, bool anyRank = false) =>
        new(TrainingGraphBuilder.Build(Model(flag, anyRank), new TrainingOptions
        {
            Loss = new WeightedSumLoss((new OutputLoss(Reduction.Sum) { Output = "first" }, 1),
            (new OutputLoss(Reduction.Sum) { Output = "second" }, 1)),
            TrainingOutputs = ["first", "second"],
            Dropout = mode,
            Seed = seed,
        }), new DriverOptions { Threads = 1 });

    private static Batch Ones(int rows = Rows) => new Batch().Add("x", Enumerable.Repeat(1f, rows * Columns).ToArray(), rows, Columns);

    private static float[] Step(TrainingDriver driver, string output = "first")
    {
        using Batch batch = Ones();
        driver.TrainStep(batch);
        return driver.GetOutput(output).ToArray<float>();
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Masks_KeepTheRightShare_OfEveryRowColumnAndPair(bool anyRank)
    {
        using TrainingDriver driver = Driver(anyRank: anyRank);
        double[][] kept = [.. Enumerable.Range(0, 10).Select(_ =>
        {
            double[] y = [.. Step(driver).Select(v => v == 0 ? 0.0 : 1.0)];
            driver.OptimizerStep();
            driver.LazyResetGrad();
            return y;
        })];
        const double p = 1 - Ratio;
        int n = kept.Length * Rows * Columns;
        Assert.AreEqual(p, kept.Average(k => k.Average()), 4 * Math.Sqrt(p * Ratio / n), "share");
        // Neighbours in a row, in a column, in time, and the four corners of rectangles, of which a product of row and
        // column numbers would tell.
        (string, Func<double[], double[], int, double>, int)[] pairs =
        [
            ("row", (a, _, i) => a[i] * a[i + 1], 1), ("column", (a, _, i) => a[i] * a[i + Columns], Columns),
                ("steps", (a, b, i) => a[i] * b[i], 0),
        ];
        foreach ((string what, Func<double[], double[], int, double> pair, int reach) in pairs)
        {
            double both = Enumerable.Range(1, kept.Length - 1)
                .Average(s => Enumerable.Range(0, (Rows * Columns) - reach).Average(i => pair(kept[s], kept[s - 1], i)));
            Assert.AreEqual(p * p, both, 6 * Math.Sqrt(p * p * (1 - (p * p)) / n), what);
        }
        double corners =
            kept.Average(k =>
                Enumerable.Range(0, (Rows - 7) * Columns).Where(i => i % Columns < Columns - 5)
                .Average(i => Sign(k, i) * Sign(k, i + 5) * Sign(k, i + (7 * Columns)) * Sign(k, i + (7 * Columns) + 5)));
        Assert.AreEqual(Math.Pow((2 * p) - 1, 4), corners, 6 / Math.Sqrt(n), "rectangles");
    }

    private static double Sign(double[] kept, int i) => (2 * kept[i]) - 1;

    [TestMethod]
    public void KeptElements_AreScaled_AndGradientsSeeTheSameMask()
    {
        using TrainingDriver driver = Driver();
        float[] first = Step(driver), second = driver.GetOutput("second").ToArray<float>();
        Assert.IsTrue(first.All(v => v == 0 || Math.Abs(v - (1 / (1 - Ratio))) < 1e-6));
        CollectionAssert.AreNotEqual(first, second, "two nodes draw two masks");
        float[] gradient = driver.GetGradient("weight").ToArray<float>();
        for (int c = 0; c < Columns; c++)
        {
            Assert.AreEqual(Enumerable.Range(0, Rows)
                .Sum(r => first[(r * Columns) + c] + second[(r * Columns) + c]), gradient[c], 1e-3, $"column {c}");
        }
    }

    [TestMethod]
    public void StepsMicroBatchesAndSeeds_DrawDifferentMasks()
    {
        using TrainingDriver driver = Driver(), other = Driver(seed: 2);
        float[] first = Step(driver), accumulated = Step(driver);
        driver.OptimizerStep();
        driver.LazyResetGrad();
        float[] next = Step(driver);
        CollectionAssert.AreNotEqual(Mask(first), Mask(accumulated));
        CollectionAssert.AreNotEqual(Mask(first), Mask(next));
        CollectionAssert.AreNotEqual(Mask(accumulated), Mask(next));
        CollectionAssert.AreNotEqual(Mask(first), Mask(Step(other)));
    }

    private static bool[] Mask(float[] values) => [.. values.Select(v => v != 0)];

    [TestMethod]
    public void ResumedRun_DrawsTheSameMasks_BitForBit()
    {
        string path = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.safetensors");
        try
        {
            using TrainingDriver driver = Driver(), resumed = Driver();
            for (int i = 0; i < 3; i++) TrainOnce(driver);
            TrainingCheckpoint.Save(driver, path);
            TrainingCheckpoint.Load(resumed, path);
            for (int i = 0; i < 3; i++)
            {
                TrainOnce(driver);
                TrainOnce(resumed);
            }
            CollectionAssert.AreEqual(driver.GetParameter("weight").Bytes.ToArray(), resumed.GetParameter("weight").Bytes.ToArray());
        }
        finally
        {
            File.Delete(path);
        }

        static void TrainOnce(TrainingDriver driver)
        {
            driver.LazyResetGrad();
            Step(driver);
            Step(driver);
            driver.OptimizerStep();
        }
    }

    [TestMethod]
    public void Modes_DecideOverTheExportedFlag_AndEvaluationNeverDrops()
    {
        foreach ((DropoutMode mode, bool flag, bool drops) in new[]
            { (DropoutMode.AsExported, false, false), (DropoutMode.AsExported, true, true), (DropoutMode.Training, false, true),
                (DropoutMode.Inference, true, false) })
        {
            using TrainingDriver driver = Driver(mode, flag);
            Assert.AreEqual(drops, Step(driver).Contains(0f), $"{mode}, exported {flag}");
            using Batch batch = Ones(3);
            using Evaluation evaluation = driver.EvalStep(batch);
            Assert.AreEqual(2.0 * 3 * Columns, evaluation.Loss, 1e-3, "evaluation");
            Assert.AreEqual(drops, driver.Plan.DropoutSeed is not null);
        }
    }

    [TestMethod]
    public void ComputedRatio_IsRefused_WithTheWayOut()
    {
        OnnxModel model = OnnxModel.Create("computed", 18);
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x", ElementType.Float, Shape.Of(2, 3));
        Value ratio = model.Graph.AddInput("ratio", ElementType.Float, Shape.Scalar);
        model.Graph.Outputs.Add(g.Named(g.Op("Dropout", [g.Mul(x, TestModels.Weight(model.Graph, "w", 3)), ratio]), "y"));
        UnsupportedGradientException error = Assert.ThrowsExactly<UnsupportedGradientException>(() =>
            TrainingGraphBuilder.Build(GraphWriter.ToBytes(model), new TrainingOptions
            { Loss = new OutputLoss(), Dropout = DropoutMode.Training }));
        StringAssert.Contains(error.Message, "'ratio'");
    }
}
