using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Gradients;

/// <summary>Models and losses between which nothing can flow: named, with what to do.</summary>
[TestClass]
public sealed class BadInputTests
{
    /// <summary>Two models in one file: a = x · first, b = x · second, and the index of the largest of a.</summary>
    private static byte[] Disconnected()
    {
        OnnxModel model = OnnxModel.Create("disconnected", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, Shape.Of(2, 3));
        Value a = g.Named(g.MatMul(x, TestModels.Weight(graph, "first", 3, 4)), "a");
        graph.Outputs.Add(a);
        graph.Outputs.Add(g.Named(g.MatMul(x, TestModels.Weight(graph, "second", 3, 5)), "b"));
        graph.Outputs.Add(g.Named(g.Op("ArgMax", [a], ("axis", 1)), "best"));
        graph.Outputs.Add(g.Named(g.Mul(x, 2), "untrained"));
        graph.Outputs.Add(g.Named(g.Op("Floor", [a]), "steps"));
        return GraphWriter.ToBytes(model);
    }

    private static TrainingPlan Build(string output) =>
        TrainingGraphBuilder.Build(Disconnected(), new TrainingOptions { Loss = new OutputLoss { Output = output } });

    [TestMethod]
    public void ParameterOfTheOtherModel_IsNotTrained_AndSaidSo()
    {
        TrainingPlan graphs = Build("a");
        CollectionAssert.AreEqual(new[] { "first" }, graphs.Parameters.Trained.Select(p => p.Name).ToArray());
        Assert.IsTrue(
            graphs.Warnings.Any(w =>
                w.Contains("'second'", StringComparison.Ordinal) && w.Contains("no path to the loss", StringComparison.Ordinal)),
                string.Join('\n', graphs.Warnings));
    }

    [TestMethod]
    public void IntegerLoss_IsRefused()
    {
        OptionException error = Assert.ThrowsExactly<OptionException>(() => Build("best"));
        foreach (string part in new[] { "'best'", "Int64", "floating" }) StringAssert.Contains(error.Message, part);
    }

    [TestMethod]
    [DataRow("untrained")]
    [DataRow("steps")]
    public void LossThatDependsOnNoParameter_IsRefused_WithTheParametersThereAre(string output)
    {
        OptionException error = Assert.ThrowsExactly<OptionException>(() => Build(output));
        foreach (string part in new[] { "depends on no trained parameter", "first", "second", "no path to the loss" })
            StringAssert.Contains(error.Message, part);
    }

    [TestMethod]
    public void UnknownLossOutput_IsRefused_WithTheOutputsThereAre()
    {
        OptionException error = Assert.ThrowsExactly<OptionException>(() => Build("c"));
        StringAssert.Contains(error.Message, "'best'");
    }
}
