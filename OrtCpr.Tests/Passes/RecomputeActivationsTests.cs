using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Passes;

/// <summary>Recomputed blocks give the same gradients, to the bit, and read nothing of the forward blocks but what
/// comes into them.</summary>
[TestClass]
public sealed class RecomputeActivationsTests
{
    /// <summary>x [batch, 8] through residual layers, each LayerNormalization → Gemm → Gelu → Dropout → Gemm → Add, and
    /// a head.</summary>
    private static byte[] Layers(int count, bool named = true)
    {
        OnnxModel model = OnnxModel.Create("layers", 20);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value h = graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 8));
        Value ratio = graph.AddInitializer("ratio", TensorData.From<float>([0.2f], []));
        Value training = graph.AddInitializer("training", TensorData.From<bool>([true], []));
        for (int i = 0; i < count; i++)
        {
            int first = graph.Nodes.Count;
            string p = $"layers.{i}";
            Value normal = g.Op(
                "LayerNormalization",
                [h, TestModels.Constant(graph, $"{p}.norm.weight", 1, 8), TestModels.Constant(graph, $"{p}.norm.bias", 0, 8)]);
            Value wide = g.Op(
                "Gelu", [g.Op(
                    "Gemm", [normal, TestModels.Weight(graph, $"{p}.up.weight", 8, 16), TestModels.Weight(graph, $"{p}.up.bias", 16)])]);
            Value dropped = g.Op("Dropout", [wide, ratio, training]);
            h = g.Add(h, g.Op(
                "Gemm", [dropped, TestModels.Weight(graph, $"{p}.down.weight", 16, 8), TestModels.Weight(graph, $"{p}.down.bias", 8)]));
            foreach (Node node in graph.Nodes.Skip(first)) node.Name = named ? $"/{p}/{node.OpType}_{graph.Nodes.IndexOf(node)}" : "";
        }
        graph.Outputs.Add(
            g.Named(g.Op("Gemm", [h, TestModels.Weight(graph, "head.weight", 8, 3), TestModels.Weight(graph, "head.bias", 3)]), "logits"));
        return GraphWriter.ToBytes(model);
    }

    private static Dictionary<string, double[]> Gradients(byte[] model, out TrainingPlan graphs, params string[] recompute)
    {
        graphs = TrainingGraphBuilder.Build(model, new TrainingOptions
        { Recompute = [.. recompute], Loss = new CrossEntropyLoss(), Seed = 3 });
        using var driver = new TrainingDriver(graphs, new DriverOptions { Threads = 1 });
        using Batch batch = TestModels.Batch(6, inputs: 8);
        driver.TrainStep(batch);
        return graphs.Parameters.Trained.ToDictionary(p => p.Name, p => driver.GetGradient(p.Name).ToDoubles());
    }

    /// <summary>Results of forward nodes in a layer that nodes of the way back read.</summary>
    private static string[] Kept(TrainingPlan graphs)
    {
        bool IsOfLayer(Node n) =>
            n.Name.StartsWith("/layers.", StringComparison.Ordinal) && !n.Name.Contains("recompute", StringComparison.Ordinal)
            && !n.Name.Contains("_grad", StringComparison.Ordinal);
        var made = graphs.Training.Graph.Nodes.Where(IsOfLayer).SelectMany(n => n.Outputs.OfType<Value>()).Where(v => v.Type.IsFloating())
            .ToHashSet();
        return [.. graphs.Training.Graph.Nodes.Where(n => !IsOfLayer(n)).SelectMany(n => n.Inputs.OfType<Value>()).Where(made.Contains)
            .Select(v => v.Producer!.OpType).Distinct()];
    }

    [TestMethod]
    public void Gradients_AreTheSame_AndLessIsKept()
    {
        byte[] model = Layers(3);
        Dictionary<string, double[]> plain = Gradients(model, out TrainingPlan all);
        Dictionary<string, double[]> again = Gradients(model, out TrainingPlan few, "/layers.*/*");
        foreach ((string name, double[] gradient) in plain) CollectionAssert.AreEqual(gradient, again[name], name);
        CollectionAssert.Contains(Kept(all), "LayerNormalization");
        CollectionAssert.AreEqual(new[] { "Add" }, Kept(few), $"only the sums that go from layer to layer: {string.Join(", ", Kept(few))}");
    }

    [TestMethod]
    public void OneLayer_ByName_AndGroupsOfARegularExpression()
    {
        byte[] model = Layers(3);
        Dictionary<string, double[]> plain = Gradients(model, out _);
        foreach (string pattern in new[] { "/layers.1/*", "regex:/layers\\.([0-9])/.*", "regex:/layers\\.[02]/.*", "*LayerNormalization*" })
        {
            Dictionary<string, double[]> again = Gradients(model, out TrainingPlan graphs, pattern);
            foreach ((string name, double[] gradient) in plain) CollectionAssert.AreEqual(gradient, again[name], $"{pattern}: {name}");
            Assert.IsTrue(graphs.Training.Graph.Nodes.Any(n => n.Name.Contains("recompute", StringComparison.Ordinal)), pattern);
        }
    }

    [TestMethod]
    public void PatternsThatMatchNothing_AreRefused()
    {
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => Gradients(Layers(1), out _, "/blocks.*/*")).Message,
            "'/blocks.*/*' matches no further node of the forward graph. Nodes have names such as '/layers.0/");
        Assert.ThrowsExactly<OptionException>(() => Gradients(Layers(1), out _, "/layers.*/*", "/layers.0/*"));
    }
}
