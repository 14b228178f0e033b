using OrtCpr.Graph;
using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Tests.Passes;

/// <summary>Which nodes behind a batch normalisation become part of it.</summary>
[TestClass]
public sealed class FuseBatchNormTests
{
    private static Value Norm(OnnxModel model, GraphBuilder g, Value x, string name)
    {
        Value gain = model.Graph.AddInput($"{name}.gain", ElementType.Float, Shape.Of(3));
        Value bias = model.Graph.AddInput($"{name}.bias", ElementType.Float, Shape.Of(3));
        return BatchNormalization.Of(g, x, gain, bias, 1e-5f, [0, 2]).Y;
    }

    private static string[] Fused(Func<OnnxModel, GraphBuilder, Value, Value> build)
    {
        OnnxModel model = OnnxModel.Create("norm", 18);
        Value x = model.Graph.AddInput("x", ElementType.Float, Shape.Of(2, 3, 4));
        var g = new GraphBuilder(model.Graph);
        Value y = build(model, g, x);
        if (!model.Graph.Outputs.Contains(y)) model.Graph.Outputs.Add(y);
        OperatorTable.Attach(model);
        FuseBatchNorm.Run(model);
        GraphChecker.Check(model, "fused");
        return [.. model.Graph.Nodes.Select(n => n.OpType)];
    }

    private static Value Relu(GraphBuilder g, Value x) => GraphBuilder.Like(g.Op("Relu", [x]), x);

    [TestMethod]
    public void ReluAndResiduals_BecomeOneNode()
    {
        CollectionAssert.AreEqual(new[] { "BatchNormRelu" }, Fused((m, g, x) => Relu(g, Norm(m, g, x, "a"))));
        CollectionAssert.AreEqual(new[] { "BatchNormAddRelu" }, Fused((m, g, x) => Relu(g, g.Add(Norm(m, g, x, "a"), x))));
        // What is added comes later in the graph than the normalisation.
        CollectionAssert.AreEqual(new[] { "Neg", "BatchNormAddRelu" }, Fused((m, g, x) =>
        {
            Value y = Norm(m, g, x, "a");
            return Relu(g, g.Add(GraphBuilder.Like(g.Neg(x), x), y));
        }));
    }

    [TestMethod]
    public void TwoNormsThatMeet_AreFusedOnce() =>
        CollectionAssert.AreEquivalent(new[]
            { "BatchNorm", "BatchNormAddRelu" }, Fused((m, g, x) => Relu(g, g.Add(Norm(m, g, x, "a"), Norm(m, g, x, "b")))));

    [TestMethod]
    public void ResultsThatSomethingElseReads_StayApart()
    {
        CollectionAssert.AreEqual(new[] { "BatchNorm", "Relu" }, Fused((m, g, x) =>
        {
            Value y = Norm(m, g, x, "a");
            m.Graph.Outputs.Add(y);
            return Relu(g, y);
        }));
        CollectionAssert.AreEqual(new[] { "BatchNorm", "Relu", "Add" }, Fused((m, g, x) =>
        {
            Value y = Norm(m, g, x, "a");
            return g.Add(Relu(g, y), y);
        }));
        // A row that is broadcast, and the normalisation added to itself.
        CollectionAssert.AreEqual(new[]
            { "BatchNorm", "Add", "Relu" },
            Fused((m, g, x) => Relu(g, g.Add(Norm(m, g, x, "a"), m.Graph.AddInput("row", ElementType.Float, Shape.Of(4))))));
        CollectionAssert.AreEqual(new[] { "BatchNorm", "Add", "Relu" }, Fused((m, g, x) =>
        {
            Value y = Norm(m, g, x, "a");
            return Relu(g, g.Add(y, y));
        }));
        CollectionAssert.AreEqual(new[] { "BatchNorm", "Sigmoid" }, Fused((m, g, x) => g.Sigmoid(Norm(m, g, x, "a"))));
    }
}
