using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Passes;
using OrtCpr.Sessions;

namespace OrtCpr.Tests.Devices;

/// <summary>Reading where nodes were placed. On the CPU provider every node is on the CPU: what is not listed has been excused.</summary>
[TestClass]
public sealed class PlacedNodesTests
{
    private static string[] OnCpu(OnnxModel model, bool shapes)
    {
        using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
        PlacedNodes.Record(options);
        PlacedNodes.NameAll(model);
        using var session = new InferenceSession(GraphWriter.ToBytes(model), options);
        return [.. PlacedNodes.OnCpu(session, model, shapes).Select(n => n.Split(' ')[0]).Order(StringComparer.Ordinal)];
    }

    // x [a, b], rate [] → y = rate/count·x⁴ in two rows, a draw of x's shape, and the determinant of w.
    private static OnnxModel Model()
    {
        OnnxModel model = OnnxModel.Create("placed", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("a"), SymbolicInt.Symbol("b")));
        Value rate = graph.AddInput("rate", ElementType.Float, Shape.Of()), w = graph.AddInput("w", ElementType.Float, Shape.Of(2, 2));
        Value shape = g.Op("Shape", [x]), count = g.Op("ReduceProd", [shape]),
            sizes = g.Op("Concat", [g.Constant(TensorData.From<long>([2], 1)), g.Div(count, g.Int(2))], ("axis", 0L));
        Value scale = g.Div(rate, g.Cast(count, ElementType.Float));
        Value y = g.Op("Reshape", [g.Mul(g.Op("Sin", [x]), scale), sizes]);
        graph.Outputs.Add(g.Named(GraphBuilder.Typed(y, ElementType.Float, new Shape(SymbolicInt.Symbol("c"), SymbolicInt.Symbol("d"))),
            "y"));
        graph.Outputs.Add(g.Named(GraphBuilder.Typed(g.Op("RandomNormalLike", [shape], ("dtype", 1L)), ElementType.Float, Shape.Of(2)),
            "draw"));
        graph.Outputs.Add(g.Named(GraphBuilder.Typed(g.Op("Det", [w]), ElementType.Float, Shape.Of()), "det"));
        return model;
    }

    [TestMethod]
    public void EveryNode_IsListed_WhereNothingMayBeOnTheCpu() =>
        CollectionAssert.IsSubsetOf(new[] { "Cast", "Det", "Div", "Mul", "RandomNormalLike", "ReduceProd", "Reshape", "Shape", "Sin" },
            OnCpu(Model(), shapes: false));

    // The two divisions, of sizes and of a single number by one, are no data; a draw, a determinant and all of x are.
    [TestMethod]
    public void ArithmeticOnShapesAndSingleNumbers_IsExcused_NothingElse() =>
        CollectionAssert.AreEqual(new[] { "Det", "Mul", "RandomNormalLike", "Reshape", "Sin" }, OnCpu(Model(), shapes: true));

    /// <summary>Sizes of the host that a kernel reads there are no copy; a sum of sizes and data is one.</summary>
    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void SizesThatAKernelWantsOnTheDevice_AreCopied(bool added)
    {
        OnnxModel model = OnnxModel.Create("copied", 18);
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x", ElementType.Int64, new Shape(SymbolicInt.Symbol("a"))), shape = g.Op("Shape", [x]);
        Value y = g.Op("Expand", [x, shape]);
        model.Graph.Outputs.Add(g.Named(GraphBuilder.Like(added ? g.Add(y, shape) : y, x), "y"));
        Assert.AreEqual(added, HostOperands.AreCopied(model.Graph, _ => false));
        Assert.IsFalse(HostOperands.AreCopied(model.Graph, n => n.Is("Add")));
    }

    // Bodies see the values around them.
    [TestMethod]
    public void NodesOfBodies_AreListed()
    {
        OnnxModel model = GraphReader.Read(ModelFile.Load(TestModels.Case("ops/if_condition_from_data.onnx")));
        string[] found = OnCpu(model, shapes: true);
        CollectionAssert.Contains(found, "If");
        Assert.IsGreaterThan(1, found.Length);
    }

    /// <summary>Of a node that the runtime has made itself only the operator is known: one that shapes are computed with is excused where
    /// shapes are.</summary>
    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void NodesOfUnknownNames_AreListed_ButForArithmeticOnShapes(bool shapes)
    {
        OnnxModel model = Model();
        PlacedNodes.NameAll(model);
        using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
        PlacedNodes.Record(options);
        using var session = new InferenceSession(GraphWriter.ToBytes(model), options);
        IReadOnlyList<string> found = PlacedNodes.OnCpu(session, OnnxModel.Create("another", 18), shapes);
        Assert.AreEqual(!shapes, found.Any(f => f.StartsWith("Shape ", StringComparison.Ordinal)), string.Join(", ", found));
        Assert.IsTrue(found.Any(f => f.StartsWith("Det ", StringComparison.Ordinal)), string.Join(", ", found));
    }

    [TestMethod]
    public void EachNode_GetsANameOfItsOwn_AndKeepsTheOneThatItHas()
    {
        OnnxModel model = Model();
        Node[] nodes = [.. model.Graph.NodesAndInner()];
        foreach (Node node in nodes) node.Name = "same";
        nodes[2].Name = "same_1";
        nodes[3].Name = "";
        PlacedNodes.NameAll(model);
        Assert.HasCount(nodes.Length, nodes.Select(n => n.Name).Distinct().ToArray());
        Assert.AreEqual("same", nodes[0].Name);
        Assert.AreEqual("same_1", nodes[2].Name);
        Assert.AreNotEqual("", nodes[3].Name);
    }

    [TestMethod]
    public void ASessionThatTellsNothing_IsNoSilentPass()
    {
        OnnxModel model = Model();
        PlacedNodes.NameAll(model);
        using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
        using var session = new InferenceSession(GraphWriter.ToBytes(model), options);
        DeviceException error = Assert.ThrowsExactly<DeviceException>(() => PlacedNodes.OnCpu(session, model, shapes: true));
        StringAssert.Contains(error.Message, "does not tell where it has placed the nodes");
    }
}
