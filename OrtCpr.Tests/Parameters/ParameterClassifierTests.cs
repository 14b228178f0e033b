using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Tests.Parameters;

[TestClass]
public sealed class ParameterClassifierTests
{
    private static ParameterTable Table(byte[] model, ParameterOptions? options = null) =>
        TrainingGraphBuilder.Build(model, new TrainingOptions
        { Parameters = options ?? new(), Loss = new OrtCpr.Graph.Losses.MseLoss() }).Parameters;

    private static ParameterInfo Of(ParameterTable table, string name) => table.All.Single(p => p.Name == name);

    /// <summary>tokens → table → + positions → LayerNormalization → MatMul + bias → · scale → out, with an unused
    /// tensor, a mask and a shared scalar.</summary>
    private static byte[] Model()
    {
        OnnxModel model = OnnxModel.Create("roles", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value tokens = graph.AddInput("tokens", ElementType.Int64, new Shape(SymbolicInt.Symbol("batch"), 3));
        Value rows = g.Op("Gather", [TestModels.Weight(graph, "embed", 10, 4), tokens]);
        Value placed = g.Op("Add", [rows, TestModels.Weight(graph, "positions", 3, 4)]);
        Value normal = g.Op(
            "LayerNormalization", [placed, TestModels.Weight(graph, "ln.gain", 4), TestModels.Weight(graph, "ln.shift", 4)]);
        Value product = g.Op(
            "Add", [g.Op("MatMul", [normal, TestModels.Weight(graph, "proj", 4, 5)]), TestModels.Weight(graph, "proj.bias", 5)]);
        Value masked = g.Op("Add", [product, graph.AddInitializer("mask", TensorData.From<float>([0, -10000, 0, 0, -20000], 5))]);
        Value scaled = g.Op("Mul", [masked, graph.AddInitializer("scale", TensorData.Scalar(2f))]);
        Value token = g.Op("Mul", [scaled, TestModels.Weight(graph, "class_token", 5)]);
        TestModels.Weight(graph, "unused", 2, 2);
        graph.Outputs.Add(g.Named(token, "out"));
        return GraphWriter.ToBytes(model);
    }

    [TestMethod]
    [DataRow("embed", ParameterRole.Embedding, true, false)]
    [DataRow("positions", ParameterRole.Embedding, true, false)]
    [DataRow("ln.gain", ParameterRole.Norm, true, false)]
    [DataRow("ln.shift", ParameterRole.Bias, true, false)]
    [DataRow("proj", ParameterRole.Weight, true, true)]
    [DataRow("proj.bias", ParameterRole.Bias, true, false)]
    [DataRow("class_token", ParameterRole.Other, true, true)]
    [DataRow("mask", ParameterRole.Constant, false, false)]
    [DataRow("scale", ParameterRole.Other, true, false)]
    [DataRow("unused", ParameterRole.Constant, false, false)]
    public void Use_DecidesTheRole(string name, ParameterRole role, bool trained, bool constrained)
    {
        ParameterInfo info = Of(Table(Model()), name);
        Assert.AreEqual((role, trained, constrained), (info.Role, info.Trained, info.Constrained), info.Reason);
        Assert.AreNotEqual("", info.Reason);
    }

    [TestMethod]
    public void RunningStatistics_AreNotTrained()
    {
        ParameterInfo info =
            TrainingGraphBuilder.Build(TestModels.BatchNormalized()).Parameters.All.Single(p => p.Name == "bn.running_var");
        Assert.AreEqual((ParameterRole.RunningStatistic, false), (info.Role, info.Trained));
    }

    [TestMethod]
    public void Patterns_WinOverTheGraph()
    {
        ParameterTable table =
            Table(Model(), new ParameterOptions
            { Freeze = ["embed", "pos*"], Train = ["scale"], Constrain = ["regex:proj\\.b.*"], Unconstrain = ["proj"] });
        Assert.IsFalse(Of(table, "embed").Trained);
        Assert.IsFalse(Of(table, "positions").Trained);
        Assert.IsTrue(Of(table, "scale").Trained);
        Assert.IsTrue(Of(table, "proj.bias").Constrained);
        Assert.IsFalse(Of(table, "proj").Constrained);
    }

    [TestMethod]
    public void Groups_TakeTheirRules()
    {
        TrainingPlan graphs = TrainingGraphBuilder.Build(Model(), new TrainingOptions
        {
            Loss = new OrtCpr.Graph.Losses.MseLoss(),
            Optimizer = new()
            {
                Groups =
                [
                    UpdateRule.Adam(1e-3),
                    UpdateRule.AdamCpr(1e-2) with { Parameters = ["proj*"] },
                    UpdateRule.Adam() with { Parameters = ["pro?"] },
                ],
            },
        });
        Assert.AreEqual(1, graphs.Trained.Single(p => p.Name == "proj").Group);
        CollectionAssert.AreEqual(new[] { "proj" }, graphs.Constrained.ToArray());
    }

    [TestMethod]
    public void RulesThatLeaveParameters_OrTakeThemTwice_AreRefused()
    {
        OptionException Refusal(params UpdateRule[] rules) => Assert.ThrowsExactly<OptionException>(() => TrainingGraphBuilder.Build(
            Model(), new TrainingOptions { Loss = new OrtCpr.Graph.Losses.MseLoss(), Optimizer = new() { Groups = [.. rules] } }));
        UpdateRule some = UpdateRule.Adam() with { Parameters = ["proj"] };
        StringAssert.Contains(Refusal(some).Message, "takes the parameter(s)");
        StringAssert.Contains(
            Refusal(UpdateRule.Adam(), some, UpdateRule.AdamW()).Message, "The rules 0, 2 of OptimizerOptions.Groups name no Parameters");
        StringAssert.Contains(
            Refusal(UpdateRule.Adam(), UpdateRule.Adam() with { Parameters = ["nothing*"] }).Message, "'nothing*' match no parameter");
    }

    [TestMethod]
    public void RegularizeEmbeddings_ConstrainsTables() =>
    Assert.IsTrue(Of(Table(Model(), new ParameterOptions { RegularizeEmbeddings = true }), "positions").Constrained);

    [TestMethod]
    public void PatternWithoutAMatch_ListsTheNames()
    {
        OptionException error =
            Assert.ThrowsExactly<OptionException>(() => Table(Model(), new ParameterOptions { Freeze = ["encoder.*"] }));
        StringAssert.Contains(error.Message, "'encoder.*'");
        StringAssert.Contains(error.Message, "proj.bias");
    }

    [TestMethod]
    public void NothingToTrain_IsRefused_WithTheTable()
    {
        OptionException error = Assert.ThrowsExactly<OptionException>(() => Table(Model(), new ParameterOptions { Freeze = ["*"] }));
        StringAssert.Contains(error.Message, "depends on no trained parameter");
        StringAssert.Contains(error.Message, "frozen by pattern");
    }

    [TestMethod]
    public void Table_PrintsARowATensor()
    {
        string text = Table(Model()).ToString();
        StringAssert.Contains(text, "class_token");
        StringAssert.Contains(text, "8 of 10 tensors trained");
    }
}
