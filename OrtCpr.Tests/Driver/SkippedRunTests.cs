using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Driver;

/// <summary>A fit of which no step counts is an error that names the node and the parameters.</summary>
[TestClass]
public sealed class SkippedRunTests
{
    // x [batch, 4] → x·W + b → what is wrong with it → y.
    private static byte[] Model(Func<GraphBuilder, OnnxGraph, Term, Term> wrong)
    {
        OnnxModel model = OnnxModel.Create("wrong", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 4));
        Term h = g.Term(g.Op("Gemm", [x, TestModels.Weight(graph, "weight", 4, 3), TestModels.Weight(graph, "bias", 3)]));
        graph.Outputs.Add(g.Named(wrong(g, graph, h), "y"));
        return GraphWriter.ToBytes(model);
    }

    private static Term Called(Term term, string name)
    {
        term.Value.Producer!.Name = name;
        return term;
    }

    private static BatchSource Batches(int count) => BatchSource.From(_ => Enumerable.Range(0, count).Select(_ =>
        new Batch().Add("x", [.. Enumerable.Range(0, 8).Select(i => MathF.Sin(i + 1))], 2, 4).Add("target", new float[6], 2, 3)));

    private static NotFiniteException Fit(byte[] model, int batches = 3, FitOptions? options = null)
    {
        using var driver = new TrainingDriver(TrainingGraphBuilder.Build(model, new TrainingOptions { Loss = new MseLoss() }),
            new DriverOptions { Threads = 1 });
        double[] before = driver.GetParameter("weight").ToDoubles();
        NotFiniteException error =
            Assert.ThrowsExactly<NotFiniteException>(() => new Trainer(driver).Fit(Batches(batches), options));
        CollectionAssert.AreEqual(before, driver.GetParameter("weight").ToDoubles());
        // Constants of the test's own are parameters too.
        CollectionAssert.IsSubsetOf(new[] { "weight", "bias" }, error.Parameters.ToArray(), error.Message);
        return error;
    }

    [TestMethod]
    public void LogOfANegativeNumber_IsNamed()
    {
        NotFiniteException error = Fit(Model((g, _, h) => g.Tanh(Called(g.Log(g.Neg(g.Abs(h)) - 1), "/bad/Log"))));
        Assert.AreEqual("/bad/Log", error.Node, error.Message);
        StringAssert.Contains(error.Message, "Log '/bad/Log'");
        StringAssert.Contains(error.Message, "NaN");
        StringAssert.Contains(error.Message, "all 3 were skipped");
    }

    [TestMethod]
    public void DivisionByZero_IsNamed_AndNotWhatBecomesOfIt()
    {
        NotFiniteException error = Fit(Model((g, graph, h) =>
        {
            Term infinite = Called(h / graphZero(graph), "/bad/Div");
            return infinite - Called(g.Identity(infinite), "/same");

            Term graphZero(OnnxGraph owner) => g.Term(TestModels.Constant(owner, "zero", 0));
        }));
        Assert.AreEqual("/bad/Div", error.Node, error.Message);
        StringAssert.Contains(error.Message, "an infinity, of which");
    }

    // The guard looks at gradients: a step that it lets through counts as one.
    [TestMethod]
    public void ALossThatIsNotFinite_WithGradientsThatAre_IsAStepThatCounts()
    {
        byte[] model = Model((g, _, h) => h + g.Log(g.Term(g.Op("ReduceMin", [h * 0])) - 1));
        using var driver = new TrainingDriver(TrainingGraphBuilder.Build(model, new TrainingOptions { Loss = new OutputLoss() }),
            new DriverOptions { Threads = 1 });
        double[] before = driver.GetParameter("bias").ToDoubles();
        var steps = new List<StepReport>();
        BatchSource batches = BatchSource.From(_ => Enumerable.Range(0, 3).Select(_ => new Batch().Add("x", new float[8], 2, 4)));
        FitResult result = new Trainer(driver).Fit(batches, new FitOptions { Progress = new TrainerTests.Reporter(steps.Add) });
        CollectionAssert.AreNotEqual(before, driver.GetParameter("bias").ToDoubles());
        Assert.AreEqual(0, result.SkippedSteps);
        Assert.IsTrue(steps.All(s => s.Applied && double.IsNaN(s.Loss)));
    }

    // A mask of -inf is right as long as it does not fill a row: what is named is what reaches the loss.
    [TestMethod]
    public void AMask_IsNotTakenForTheFault()
    {
        NotFiniteException error = Fit(Model((g, graph, h) =>
        {
            Term mask = g.Term(graph.AddInitializer("mask", TensorData.From<float>([0, 0, float.NegativeInfinity], 3)));
            return Called(g.Sqrt(g.Softmax(Called(h + mask, "/mask/Add"), 1) - 2), "/bad/Sqrt");
        }));
        Assert.AreEqual("/bad/Sqrt", error.Node, error.Message);
    }

    // The loss is finite, 1/(1 + ∞); the slope is ∞/∞.
    [TestMethod]
    public void WhatIsWrongOnTheWayBackOnly_IsNamedToo()
    {
        NotFiniteException error = Fit(Model((g, _, h) => g.Reciprocal(Called(g.Exp((g.Abs(h) + 1) * 1000), "/bad/Exp") + 1)));
        StringAssert.Contains(error.Message, "on the way back");
        Assert.AreEqual("/bad/Exp", error.Node, error.Message);
    }

    [TestMethod]
    public void ABatchWithNaN_IsNamedByItsInput()
    {
        using var driver = new TrainingDriver(TrainingGraphBuilder.Build(TestModels.Linear()), new DriverOptions { Threads = 1 });
        NotFiniteException error = Assert.ThrowsExactly<NotFiniteException>(() => new Trainer(driver).Fit(BatchSource.From(_ =>
            [new Batch().Add("x", Enumerable.Repeat(float.NaN, 8).ToArray(), 2, 4).Add("labels", new long[2], 2)])));
        Assert.AreEqual("x", error.Node, error.Message);
    }

    // A hundred steps are enough in an epoch that has no end, ten at the end of one.
    [TestMethod]
    [DataRow(100000, 1, 1, 100)]
    [DataRow(12, 50, 1, 12)]
    [DataRow(2, 50, 1, 10)]
    [DataRow(6, 2, 4, 4)]
    public void ARunWithoutAChance_EndsEarly(int batches, int epochs, int accumulation, int steps)
    {
        NotFiniteException error = Fit(Model((g, _, h) => g.Log(g.Neg(g.Abs(h)) - 1)), batches,
            new FitOptions { Epochs = epochs, GradientAccumulation = accumulation });
        StringAssert.Contains(error.Message, $"all {steps} were skipped");
    }
}
