using OrtCpr.Graph;
using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Gradients;

/// <summary>Rules that a user registers, for operators of the user's own. The example of docs/layout.md.</summary>
[TestClass]
public sealed class UserRuleTests
{
    /// <summary>y = Reverse(x · weight), Reverse being a function of the model that gives back what it gets: the layer
    /// that turns gradients around (Ganin 2015).</summary>
    private static byte[] Reversal()
    {
        OnnxModel model = OnnxModel.Create("reversal", 18);
        model.Opsets["my.own"] = 1;
        var body = new OnnxGraph("Reverse", new NameAuthority());
        Value a = body.AddInput("a", ElementType.Float, null);
        body.Outputs.Add(new GraphBuilder(body).Identity(a));
        var function = new OnnxFunction("my.own", "Reverse", body);
        function.Opsets[""] = 18;
        model.Functions.Add(function);
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x", ElementType.Float, Shape.Of(2, 3));
        model.Graph.Outputs.Add(
            g.Named(GraphBuilder.Like(g.Op("my.own.Reverse", [g.Mul(x, TestModels.Weight(model.Graph, "weight", 3))]), x), "y"));
        return GraphWriter.ToBytes(model);
    }

    private static float[] Gradient(GradientRules rules)
    {
        TrainingPlan graphs =
            TrainingGraphBuilder.Build(Reversal(), new TrainingOptions { Loss = new OutputLoss(Reduction.Sum), Rules = rules });
        using var driver = new TrainingDriver(graphs, new DriverOptions { Threads = 1 });
        using Batch batch = new Batch().Add("x", new float[] { 1, 2, 3, 4, 5, 6 }, 2, 3);
        driver.TrainStep(batch);
        return driver.GetGradient("weight").ToArray<float>();
    }

    private static string Refusal(GradientRule rule) => Assert.ThrowsExactly<UnsupportedGradientException>(
        () => Gradient(GradientRules.Default.Register("my.own", "Reverse", rule))).Message;

    [TestMethod]
    public void ARuleWithTooManyGradients_IsRefused()
    {
        string message = Refusal((g, op, dy) => [-dy, dy]);
        StringAssert.Contains(message, "returned 2 gradients; expected at most 1");
        StringAssert.Contains(message, "my.own.Reverse");
    }

    [TestMethod]
    public void ARuleThatUsesValuesOfAnotherGraph_IsRefused()
    {
        var other = new OnnxGraph("other", new NameAuthority());
        Value stray = other.AddInput("stray", ElementType.Float, Shape.Of(2, 3));
        StringAssert.Contains(Refusal((g, op, dy) => [dy * stray]), "uses 'stray', which the graph does not have");
        StringAssert.Contains(Refusal((g, op, dy) => [stray]), "uses 'stray', which the graph does not have");
        var elsewhere = new GraphBuilder(other);
        StringAssert.Contains(Refusal((g, op, dy) => [elsewhere.Neg(dy)]), "which the graph does not have");
    }

    [TestMethod]
    public void RegisteredRule_WinsOverTheFunctionsBody()
    {
        CollectionAssert.AreEqual(new[] { 5f, 7f, 9f }, Gradient(GradientRules.Default));
        CollectionAssert.AreEqual(new[]
            { -5f, -7f, -9f }, Gradient(GradientRules.Default.Register("my.own", "Reverse", (g, op, dy) => [-dy])));
    }
}
