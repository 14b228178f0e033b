using OrtCpr.Graph;
using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Gradients;

[TestClass]
public sealed class BackwardPassTests
{
    /// <summary>Preprocessing operators, which have no rules, on the way to the loss.</summary>
    private static byte[] Unsupported()
    {
        OnnxModel model = OnnxModel.Create("unsupported", 18);
        model.Opsets["ai.onnx.ml"] = 3;
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, Shape.Of(3, 3));
        Value product = g.Op("MatMul", [x, TestModels.Weight(graph, "first", 3, 3)]);
        Value scaled = g.Op("ai.onnx.ml.Scaler", [product], ("offset", new[] { 0f }), ("scale", new[] { 2f }));
        Value normal = g.Op("ai.onnx.ml.Normalizer", [g.Op("Mul", [product, TestModels.Weight(graph, "second", 3)])], ("norm", "L2"));
        Value y = g.Op("Add", [g.Op("ReduceSum", [scaled], ("keepdims", 0)), g.Op("ReduceSum", [normal], ("keepdims", 0))]);
        graph.Outputs.Add(g.Named(g.Reshape(y, 1), "y"));
        return GraphWriter.ToBytes(model);
    }

    [TestMethod]
    public void MissingRules_AreListedAllAtOnce_WithWhatTheyBlock()
    {
        UnsupportedGradientException error =
            Assert.ThrowsExactly<UnsupportedGradientException>(() =>
                TrainingGraphBuilder.Build(Unsupported(), new TrainingOptions { Loss = new OutputLoss() }));
        foreach (string part in new[]
            { "ai.onnx.ml.Scaler 'Scaler' blocks 'first'", "Normalizer", "'second'", "freeze", "GradientRules.Register" })
        {
            StringAssert.Contains(error.Message, part);
        }
    }

    [TestMethod]
    public void RegisteredRules_AreUsed_AndStayInTheirTable()
    {
        GradientRules rules = GradientRules.Default
            .Register("ai.onnx.ml", "Normalizer", (g, op, dy) => [null])
            .Register("ai.onnx.ml", "Scaler", (g, op, dy) => [g.Mul(dy, 2)]);
        TrainingPlan graphs = TrainingGraphBuilder.Build(Unsupported(), new TrainingOptions { Loss = new OutputLoss(), Rules = rules });
        Assert.IsNotEmpty(graphs.Parameters.Trained);
        Assert.DoesNotContain("ai.onnx.ml.Scaler", GradientRules.Default.Operators);
    }

    [TestMethod]
    public void FrozenParameters_NeedNoRule()
    {
        TrainingPlan graphs =
            TrainingGraphBuilder.Build(TestModels.Case("models/lenet.onnx"), new TrainingOptions
            { Parameters = new() { TrainOnly = ["fc3.*"] } });
        Assert.IsFalse(
            graphs.Training.Graph.Nodes.Any(n =>
                n.OpType is "ConvTranspose" or "ScatterElements" && n.Name.Contains("conv", StringComparison.Ordinal)),
                "nothing is differentiated below the frozen part");
        Assert.HasCount(2, graphs.Parameters.Trained);
    }

    [TestMethod]
    public void BackwardGraph_HasNoDeadNodes_AndNoDoubleTransposes()
    {
        TrainingPlan graphs = TrainingGraphBuilder.Build(TestModels.Case("models/gpt2_legacy.onnx"));
        OnnxGraph graph = graphs.Training.Graph;
        Dictionary<Value, List<Node>> readers = graph.Readers();
        foreach (Node node in graph.Nodes)
        {
            Assert.IsTrue(node.Outputs.Any(o => o is not null && (readers.ContainsKey(o) || graph.Outputs.Contains(o))), $"{node} is dead");
            bool backward = node.Name.Contains("_grad", StringComparison.Ordinal);
            Assert.IsFalse(backward && node.Is("Transpose") && node.In(0)!.Producer is Node { OpType: "Transpose" } inner
                && inner.Name.Contains("_grad", StringComparison.Ordinal), $"{node} follows another Transpose");
        }
        foreach (IGrouping<Value?, Node> shapes in graph.Nodes.Where(n =>
            n.Is("Shape") && !n.Has("start") && n.Name.Contains("_grad", StringComparison.Ordinal)).GroupBy(n => n.In(0)))
        {
            Assert.AreEqual(1, shapes.Count(), $"the shape of {shapes.Key} is computed twice");
        }
    }

    [TestMethod]
    public void UnusedModelInput_IsNoProblem_AndIntegerOutputAsLoss_IsRefused()
    {
        OnnxModel model = OnnxModel.Create("integer", 18);
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x", ElementType.Float, Shape.Of(2, 3));
        Value y = g.Op("ArgMax", [g.Op("MatMul", [x, TestModels.Weight(model.Graph, "w", 3, 3)])], ("axis", 1));
        model.Graph.Outputs.Add(g.Named(y, "class"));
        OptionException error =
            Assert.ThrowsExactly<OptionException>(() =>
                TrainingGraphBuilder.Build(GraphWriter.ToBytes(model), new TrainingOptions { Loss = new OutputLoss() }));
        StringAssert.Contains(error.Message, "'class', which is Int64");
    }
}
