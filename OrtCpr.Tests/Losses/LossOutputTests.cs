using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Metrics;
using static OrtCpr.Tests.Losses.LossModels;

namespace OrtCpr.Tests.Losses;

/// <summary>Which tensor a loss takes, which labels, and what metrics read then.</summary>
[TestClass]
public sealed class LossOutputTests
{
    private static byte[] TwoOutputs(ElementType first = ElementType.Float) => Make((g, graph) =>
    {
        Value x = graph.AddInput("x", ElementType.Float, new Shape(Symbol("N"), 3));
        Value logits = g.Add(x, graph.AddInitializer("b", Zeros(ElementType.Float, 3)));
        Value aux = g.Mul(x, -1);
        return [("aux", first == ElementType.Float ? aux : g.Cast(aux, first)), ("logits", logits)];
    });

    private static byte[] TwoTargets() => Make((g, graph) =>
    {
        Value x = graph.AddInput("x", ElementType.Float, new Shape(Symbol("N"), 3));
        Value b = graph.AddInitializer("b", Zeros(ElementType.Float, 3));
        Value a = g.Named(g.Add(x, b), "a");
        return [("a", a), ("c", g.ReduceSum(a, true, 1)), ("e", g.Mul(a, 2))];
    });

    [TestMethod]
    public void AnyTensorOfTheGraph_MayBeTheOutput()
    {
        using TrainingDriver driver = Created(Of(new Shape(Symbol("N"), 3),
            (g, z) => [("y", g.ReduceMean(g.Op("Relu", [z]), true, 1))], 3), new MseLoss { Output = "z" });
        using Batch batch = new Batch().Add("x", [1f, 2, 3], 1, 3).Add("target", [0f, 0, 0], 1, 3);
        Assert.AreEqual(14 / 3.0, driver.TrainStep(batch), 1e-6);
        Assert.AreEqual(14 / 3.0, driver.EvalStep(batch, "z").Loss, 1e-6);
        CollectionAssert.AreEqual(new[] { "y" }, driver.Plan.ModelOutputs.ToArray());
        using Prediction prediction = driver.Predict(batch);
        Assert.AreEqual(2, prediction["y"].GetTensorDataAsSpan<float>()[0]);
        // Metrics read the tensor of the loss.
        EvaluationReport report = new Trainer(driver).Evaluate(
            BatchSource.From([new Batch().Add("x", [1f, 2, 3], 1, 3).Add("target", [0f, 0, 0], 1, 3)]), [Metric.MeanSquaredError()]);
        Assert.AreEqual(14 / 3.0, report["mse"], 1e-6);
    }

    [TestMethod]
    public void UnknownNames_AreRefused_WithNamesLikeThem()
    {
        string message = Assert.ThrowsExactly<OptionException>(() =>
            Created(TwoOutputs(), new CrossEntropyLoss { Output = "logit" })).Message;
        foreach (string part in new[]
            { "output 'logit', which the model does not have", "Its outputs: 'aux' Float", "Names like it: 'logits'" })
        {
            StringAssert.Contains(message, part);
        }
        byte[] folded = Make((g, graph) =>
        {
            Value x = graph.AddInput("x", ElementType.Float, new Shape(Symbol("N"), 3));
            Value b = graph.AddInitializer("b", Zeros(ElementType.Float, 3));
            Term shape = g.Named(g.Op("Shape", [b]), "size");
            return [("y", g.Add(x, b) * g.Cast(g.Named(g.Mul(shape, g.Ints(1)), "gone"), ElementType.Float))];
        });
        StringAssert.Contains(
            Assert.ThrowsExactly<OptionException>(() => Created(folded, new MseLoss { Output = "gone" })).Message, "gone");
    }

    [TestMethod]
    public void Metrics_ReadTheOutputOfTheLoss()
    {
        using TrainingDriver driver = Created(TwoOutputs(), new CrossEntropyLoss { Output = "logits" });
        Batch Make() => new Batch().Add("x", [1f, 0, 0, 0, 1, 0, 0, 0, 1], 3, 3).Add("labels", [0L, 1, 2], 3);
        Assert.AreEqual(1, new Trainer(driver).Evaluate(BatchSource.From([Make()]), [Metric.Accuracy()])["accuracy"]);
        Assert.AreEqual(0, new Trainer(driver).Evaluate(BatchSource.From([Make()]), [Metric.Accuracy(output: "aux")])["accuracy"]);
        // An integer output in front is nobody's business.
        using TrainingDriver integers = Created(TwoOutputs(ElementType.Int64), new CrossEntropyLoss { Output = "logits" });
        Assert.AreEqual(1, new Trainer(integers).Evaluate(BatchSource.From([Make()]), [Metric.Accuracy()])["accuracy"]);
        // What does not fit is refused before the first step.
        string message = Assert.ThrowsExactly<DriverException>(() => new Trainer(integers).Fit(BatchSource.From([Make()]), new FitOptions
        {
            Validation = BatchSource.From(_ => [Make()]),
            Metrics = [Metric.Accuracy(output: "aux")],
        })).Message;
        StringAssert.Contains(message, "Metric 'accuracy' does not fit the model: output 'aux' is Int64");
        StringAssert.Contains(Assert.ThrowsExactly<DriverException>(() =>
            new Trainer(driver).Evaluate(BatchSource.From([Make()]), [Metric.Accuracy(output: "no")])).Message,
            "reads output 'no', which the model does not have");
        Assert.AreEqual(0, driver.Optimizer.Steps);
    }

    [TestMethod]
    public void Metrics_OfASum_ReadTheTermThatFits()
    {
        var loss = new WeightedSumLoss((new MseLoss { Output = "aux" }, 0.5), (new CrossEntropyLoss { Output = "logits" }, 1));
        using TrainingDriver driver = Created(TwoOutputs(), loss);
        Batch Make() => new Batch().Add("x", [1f, 0, 0, 0, 1, 0], 2, 3).Add("labels", [0L, 1], 2).Add("target", new float[6], 2, 3);
        EvaluationReport report = new Trainer(driver).Evaluate(BatchSource.From([Make()]), [Metric.Accuracy(), Metric.MeanSquaredError()]);
        Assert.AreEqual(1, report["accuracy"]);
        Assert.AreEqual(2 / 6.0, report["mse"], 1e-6);
        double entropy = Math.Log(Math.E + 2) - 1;
        Assert.AreEqual(entropy, report.LossTerms["cross_entropy"], 1e-6);
        Assert.AreEqual(2 / 6.0, report.LossTerms["mse"], 1e-6);
        Assert.AreEqual((0.5 / 3) + entropy, report.Loss, 1e-6);
        // Unequal batches: each term by what it divides by.
        using Batch first = new Batch().Add("x", [1f, 0, 0], 1, 3).Add("labels", [0L], 1).Add("target", new float[3], 1, 3);
        EvaluationReport parts = new Trainer(driver).Evaluate(
            BatchSource.From([
                new Batch().Add("x", [1f, 0, 0, 9, 9, 9], 2, 3).Add("labels", [0L, -100], 2).Add("target", new float[6], 2, 3),
                new Batch().Add("x", [0f, 1, 0], 1, 3).Add("labels", [1L], 1).Add("target", new float[3], 1, 3)]), []);
        Assert.AreEqual(entropy, parts.LossTerms["cross_entropy"], 1e-6);
        Assert.AreEqual((2 + 243) / 9.0, parts.LossTerms["mse"], 1e-4);
    }

    [TestMethod]
    public void TwoLosses_OfOneTarget_AreRefused_UnlessTheyTakeOneOutput()
    {
        string Refusal(Loss first, Loss second) => Assert.ThrowsExactly<OptionException>(() =>
            Created(TwoTargets(), new WeightedSumLoss((first, 1), (second, 1)))).Message;
        foreach (string other in new[] { "c", "e" })
        {
            string message = Refusal(new MseLoss { Output = "a" }, new L1Loss { Output = other });
            foreach (string part in new[] { "two losses name 'target'", "'a'", $"'{other}'", "TargetName" })
                StringAssert.Contains(message, part);
        }
        // Another shape or type under one name is wrong, whoever gave the name.
        StringAssert.Contains(Refusal(new MseLoss { Output = "a", TargetName = "t" }, new MseLoss { Output = "c", TargetName = "t" }),
            "two losses name 't'");
        StringAssert.Contains(
            Refusal(new MseLoss { Output = "a", TargetName = "t" }, new CrossEntropyLoss { Output = "a", LabelName = "t" }),
            "two losses name 't'");
        using TrainingDriver own = Created(TwoTargets(),
            new WeightedSumLoss((new MseLoss { Output = "a" }, 1), (new MseLoss { Output = "c", TargetName = "sum" }, 1)));
        CollectionAssert.AreEqual(new[] { "target", "sum" },
            own.Plan.BatchInputs.Where(i => i.IsLabel).Select(i => i.Name).ToArray());
        CollectionAssert.AreEqual(new[] { "mse.target", "mse.sum" }, own.Plan.LossTerms.Select(t => t.Name).ToArray());
        // Meant: one name, given twice, for two outputs that agree.
        using TrainingDriver shared = Created(TwoTargets(),
            new WeightedSumLoss((new MseLoss { Output = "a", TargetName = "t" }, 1), (new MseLoss { Output = "e", TargetName = "t" }, 1)));
        Assert.HasCount(2, shared.Plan.BatchInputs);
    }

    [TestMethod]
    public void ClassAxis_FollowsTheModel_AndIsAskedForWhereTwoFit()
    {
        Dim n = Symbol("N");
        int? AxisOf(byte[] model, CrossEntropyLoss? loss = null)
        {
            using TrainingDriver driver = Created(model, loss ?? new CrossEntropyLoss());
            return driver.Plan.LossTerms[0].ClassAxis;
        }
        // As PyTorch has it where nothing else is known and the sizes differ.
        Assert.AreEqual(1, AxisOf(Of(new Shape(n, 3, 4), (g, z) => [("y", g.Op("Relu", [z]))], 1)));
        Assert.AreEqual(1, AxisOf(Of(new Shape(n, 3, 4, 5), (g, z) => [("y", g.Op("Relu", [z]))], 1)));
        // Three classes and three places: asked.
        byte[] square = Of(new Shape(n, 3, 3), (g, z) => [("y", g.Op("Relu", [z]))], 1);
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => Created(square, new CrossEntropyLoss())).Message, "ClassAxis");
        Assert.AreEqual(1, AxisOf(square, new CrossEntropyLoss { ClassAxis = 1 }));
        Assert.AreEqual(2, AxisOf(square, new CrossEntropyLoss { ClassAxis = -1 }));
        // Tokens: a product with a weight makes the last axis; behind a transposition it is the second.
        Value Head(GraphBuilder g, Value z) => g.MatMul(z, g.Constant(TensorData.From<float>(new float[6 * 9], 6, 9)));
        byte[] tokens = Of(new Shape(n, Symbol("T"), 6), (g, z) => [("y", Head(g, z))], 1);
        Assert.AreEqual(2, AxisOf(tokens));
        Assert.AreEqual(1, AxisOf(Of(new Shape(n, Symbol("T"), 6), (g, z) => [("y", g.Transpose(Head(g, z), 0, 2, 1))], 1)));
        // Even where there are as many places as classes a convolution tells.
        Value Convolved(GraphBuilder g, Value z) => g.Op("Conv", [z, g.Constant(TensorData.From<float>(new float[8 * 6], 8, 6, 1))]);
        Assert.AreEqual(1, AxisOf(Of(new Shape(n, 6, 8), (g, z) => [("y", Convolved(g, z))], 1)));
        // Class weights tell, and so does a Softmax of the model.
        Assert.AreEqual(2, AxisOf(Of(new Shape(n, 3, 4), (g, z) => [("y", g.Op("Relu", [z]))], 1),
            new CrossEntropyLoss { ClassWeights = [1, 1, 1, 1] }));
        Assert.AreEqual(1, AxisOf(Of(new Shape(n, 3, 3), (g, z) => [("y", g.Softmax(z, 1))], 1)));
    }

    // [1, 3, 3] logits 0 … 8, labels 0, 1, 2 along the last axis: column l is (l, 3 + l, 6 + l), so each loss is log Σ − own.
    [TestMethod]
    public void ClassAxisOne_GivesTheValueOfPyTorch()
    {
        using TrainingDriver driver = Created(Of(new Shape(Symbol("N"), 3, 3), (g, z) => [("y", g.Op("Relu", [z]))], 1),
            new CrossEntropyLoss { ClassAxis = 1 });
        using Batch batch = new Batch().Add("x", [0f, 1, 2, 3, 4, 5, 6, 7, 8], 1, 3, 3).Add("labels", [0L, 1, 2], 1, 3);
        double log = Math.Log(1 + Math.Exp(-3) + Math.Exp(-6));
        Assert.AreEqual((6 + 3 + 0) / 3.0 + log, driver.TrainStep(batch), 1e-5);
    }
}
