using System.Diagnostics;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Passes;

/// <summary>What graph building costs, and what is not in its graphs.</summary>
[TestClass]
public sealed class GraphSizeTests
{
    /// <summary>A chain of layers with exporters' shape arithmetic, 9 nodes each.</summary>
    private static byte[] Chain(int layers)
    {
        OnnxModel model = OnnxModel.Create("chain", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), SymbolicInt.Symbol("sequence"), 8));
        Value value = x;
        for (int i = 0; i < layers; i++)
        {
            Value hidden = g.Add(g.MatMul(value, TestModels.Weight(graph, $"weight{i}", 8, 8)), TestModels.Weight(graph, $"bias{i}", 8));
            Value batch = g.Unsqueeze(g.Gather(g.Op("Shape", [hidden]), g.Int(0)), 0);
            value = g.Add(g.Tanh(g.Op("Reshape", [hidden, g.Concat(0, batch, g.Ints(-1, 8))])), x);
        }
        graph.Outputs.Add(g.Named(value, "y"));
        foreach (Value inner in graph.Nodes.SelectMany(n => n.Outputs).OfType<Value>()) inner.Shape = null;
        return GraphWriter.ToBytes(model);
    }

    private static TimeSpan Build(byte[] model)
    {
        long start = Stopwatch.GetTimestamp();
        TrainingGraphBuilder.Build(model, new TrainingOptions { Loss = new OutputLoss() });
        return Stopwatch.GetElapsedTime(start);
    }

    /// <summary>1,000 nodes and 10,000. Quadratic work would take a hundred times as long; the bound leaves room for
    /// other tests on the same cores.</summary>
    [TestMethod]
    public void BuildingTime_IsLinearInNodes()
    {
        byte[] small = Chain(111), large = Chain(1111);
        Build(small);
        TimeSpan first = new[] { Build(small), Build(small), Build(small) }.Min();
        TimeSpan second = new[] { Build(large), Build(large), Build(large) }.Min();
        Assert.IsLessThan(30, second / first, $"{first.TotalMilliseconds:F0} ms and {second.TotalMilliseconds:F0} ms");
    }

    /// <summary>ONNX Runtime starts with what the last node needs that nobody reads: it must be the gradient nearest to
    /// the loss, or the weight gradients wait until after the whole way back, with every activation in
    /// memory.</summary>
    [TestMethod]
    public void WeightGradients_EndTheGraph_TheNearestToTheLossLast()
    {
        OnnxGraph graph = TrainingGraphBuilder.Build(Chain(4), new TrainingOptions { Loss = new OutputLoss() }).Training.Graph;
        var read = graph.Nodes.SelectMany(OnnxGraph.ReadBy).ToHashSet();
        int first = graph.Nodes.FindIndex(n => !n.Outputs.Any(o => read.Contains(o!)));
        Assert.IsTrue(graph.Nodes[first..].All(n => !n.Outputs.Any(o => read.Contains(o!))), "what is read stands in front");
        string[] weights = [.. graph.Nodes[first..].Select(n => n.Outputs[0]!.Name)
            .Where(n => n.StartsWith("weight", StringComparison.Ordinal))];
        CollectionAssert.AreEqual(Enumerable.Range(0, 4).Select(i => $"weight{i}_grad").ToArray(), weights);
    }

    public static IEnumerable<object[]> Models =>
        Directory.EnumerateFiles(TestModels.Case("models"), "*.onnx").Select(f => new object[] { Path.GetFileName(f) });

    [TestMethod]
    [DynamicData(nameof(Models))]
    public void TrainingGraph_HasNothingTwice_AndNothingInVain(string name)
    {
        OnnxGraph graph;
        try
        {
            OnnxModel model = GraphReader.Read(ModelFile.Load(TestModels.Case($"models/{name}")));
            graph = TrainingGraphBuilder.Build(TestModels.Case($"models/{name}"), new TrainingOptions
            {
                Loss = new WeightedSumLoss([.. model.Graph.Outputs.Select(o => ((Loss)new OutputLoss { Output = o.Name }, 1.0))]),
            }).Training.Graph;
        }
        catch (OptionException)
        {
            return;
        }
        var read = graph.Nodes.SelectMany(OnnxGraph.ReadBy).Concat(graph.Outputs).ToHashSet();
        Assert.IsFalse(graph.Nodes.Any(n => !n.Outputs.Any(o => o is not null && read.Contains(o))), "a node that nobody reads");
        Assert.IsFalse(graph.Nodes.Where(n => n.Is("Shape")).GroupBy(n => (n.Inputs[0], n.Int("start", 0), n.Int("end", 99)))
            .Any(g => g.Count() > 1), "a shape twice");
        Assert.IsFalse(graph.Nodes.Any(n => n.Is("Transpose") && n.Inputs[0]!.Producer is Node before && before.Is("Transpose")),
            "two transposes in a row");
        Assert.IsFalse(graph.Nodes.Any(n => n.Is("ReduceSum") && n.In(1) is { IsInitializer: false }),
            "a broadcast sum decided at run time");
    }
}
