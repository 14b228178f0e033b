using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Gradients;

/// <summary>What the property test cannot show of control flow: parameters inside bodies, and what is
/// refused.</summary>
[TestClass]
public sealed class ControlFlowTests
{
    /// <summary>The mean of x after a loop of 3 iterations, in each of which the body writes the next x.</summary>
    private static byte[] Loop(Func<GraphBuilder, Value, Value> write)
    {
        OnnxModel model = OnnxModel.Create("loop", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, Shape.Of(2, 3));
        var body = new OnnxGraph("body", graph.Names);
        body.AddInput("iteration", ElementType.Int64, Shape.Scalar);
        Value go = body.AddInput("go", ElementType.Bool, Shape.Scalar), state = body.AddInput("state", ElementType.Float, null);
        var b = new GraphBuilder(body) { Scope = "body" };
        body.Outputs.Add(GraphBuilder.Like(b.Identity(go), go));
        body.Outputs.Add(GraphBuilder.Typed(write(b, state), ElementType.Float, null));
        Value y = g.Op("Loop", [g.Int(3), null, g.Op("Mul", [x, TestModels.Weight(graph, "outer", 3)])], ("body", body));
        graph.Outputs.Add(GraphBuilder.Typed(g.Named(g.Op("ReduceMean", [y], ("keepdims", 0)), "y"), ElementType.Float, Shape.Scalar));
        return GraphWriter.ToBytes(model);
    }

    private static TrainingPlan Build(Func<GraphBuilder, Value, Value> write) =>
        TrainingGraphBuilder.Build(Loop(write), new TrainingOptions { Loss = new OutputLoss() });

    [TestMethod]
    public void WeightsOfABody_AreTrained_AndExported()
    {
        TrainingPlan graphs = Build((b, state) => b.Op("Tanh", [b.Mul(state, TestModels.Weight(b.Graph, "inner", 3))]));
        CollectionAssert.AreEquivalent(new[] { "inner", "outer" }, graphs.Parameters.Trained.Select(p => p.Name).ToArray());
        using var driver = new TrainingDriver(graphs);
        using Batch batch = new Batch().Add("x", [1f, 2, 3, 4, 5, 6], 2, 3);
        double before = driver.TrainStep(batch);
        driver.OptimizerStep();
        using var file = new MemoryStream();
        driver.ExportModel(file);
        TrainingPlan again = TrainingGraphBuilder.Build(file.ToArray(), new TrainingOptions { Loss = new OutputLoss() });
        CollectionAssert.AreEqual(driver.GetParameter("inner").ToDoubles(), again.InitialParameters["inner"].ToDoubles());
        Assert.AreNotEqual(graphs.InitialParameters["inner"].ToDoubles()[0], again.InitialParameters["inner"].ToDoubles()[0]);
        using var second = new TrainingDriver(again);
        Assert.IsLessThan(before, second.TrainStep(batch));
    }

    [TestMethod]
    public void AStateThatGrows_IsRefused()
    {
        UnsupportedGradientException error =
            Assert.ThrowsExactly<UnsupportedGradientException>(() => Build((b, state) => b.Concat(0, state, state)));
        StringAssert.Contains(error.Message, "'state'");
    }

    [TestMethod]
    public void RandomNumbersInABody_AreRefused()
    {
        UnsupportedGradientException error =
            Assert.ThrowsExactly<UnsupportedGradientException>(() => Build((b, state) => b.Mul(state, b.Op("RandomNormalLike", [state]))));
        StringAssert.Contains(error.Message, "RandomNormalLike");
    }
}
