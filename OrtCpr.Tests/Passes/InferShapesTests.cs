using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Tests.Passes;

[TestClass]
public sealed class InferShapesTests
{
    public static IEnumerable<object[]> Models =>
        Directory.EnumerateFiles(TestModels.Case("models"), "*.onnx").Select(f => new object[] { Path.GetFileName(f) });

    private static Dictionary<string, string> Inferred(string name, int partNodes)
    {
        OnnxModel model =
            RegulariseModel.Run(ModelFile.Load(TestModels.Case($"models/{name}")), new Dictionary<string, TensorData>());
        InferShapes.Run(model, named: true, again: false, partNodes);
        return model.Graph.Nodes.SelectMany(n => n.Outputs).OfType<Value>().ToDictionary(v => v.Name, v => v.ToString());
    }

    [TestMethod]
    [DynamicData(nameof(Models))]
    public void ALongGraphInParts_GetsTheShapesOfTheWhole(string name)
    {
        Dictionary<string, string> whole = Inferred(name, int.MaxValue);
        foreach (int partNodes in new[] { 1, 7 })
        {
            foreach ((string value, string text) in Inferred(name, partNodes))
            {
                Assert.AreEqual(whole[value], text, $"{value}, {partNodes} nodes a part");
            }
        }
    }

    [TestMethod]
    public void ASequenceFromPartToPart_IsInferredAsAWhole()
    {
        OnnxModel model = OnnxModel.Create("sequence", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 3));
        Value sequence = g.Op("SequenceConstruct", [x, g.Tanh(x)]);
        sequence.Type = ElementType.Undefined;
        sequence.Shape = null;
        Value y = g.Op("ConcatFromSequence", [sequence], ("axis", 1));
        graph.Outputs.Add(y);
        foreach (Value inner in graph.Nodes.SelectMany(n => n.Outputs).OfType<Value>())
            (inner.Type, inner.Shape) = (ElementType.Undefined, null);
        InferShapes.Run(model, named: true, again: false, partNodes: 1);
        Assert.AreEqual(ElementType.Float, y.Type);
    }

    /// <summary>What only ONNX Runtime can infer is asked for again, and only that.</summary>
    [TestMethod]
    public void Again_InfersWhatARewriteLeftOpen()
    {
        OnnxModel model = OnnxModel.Create("again", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 3));
        Value hidden = g.Op("Hardmax", [x]);
        graph.Outputs.Add(g.Tanh(hidden));
        (hidden.Type, hidden.Shape) = (ElementType.Undefined, null);
        InferShapes.Again(model);
        Assert.AreEqual(ElementType.Float, hidden.Type);
        Assert.AreEqual(x.Shape, hidden.Shape);
    }
}
