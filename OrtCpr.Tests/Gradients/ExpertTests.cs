using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Gradients;

/// <summary>Mixtures that the CPU kernel does not run are refused by name, with the way out.</summary>
[TestClass]
public sealed class ExpertTests
{
    [TestMethod]
    [DataRow(false, "plain top-k routing")]
    [DataRow(true, "swiglu_fusion 1")]
    public void Mixture_IsRefused_WithTheWayOut(bool third, string remedy)
    {
        OnnxModel model = OnnxModel.Create("experts", 18);
        model.Opsets["com.microsoft"] = 1;
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value Input(string name, params long[] shape) => graph.AddInput(name, ElementType.Float, Shape.Of(shape));
        Value?[] inputs = [Input("x", 6, 4), Input("router", 6, 3), Input("fc1", 3, 5, 4), null, Input("fc2", 3, 4, 5), null, third
            ? Input("fc3", 3, 5, 4) : null];
        Value y = g.Op("com.microsoft.MoE", inputs, ("k", 2), ("use_sparse_mixer", !third));
        graph.Outputs.Add(g.Named(y, "y"));
        UnsupportedGradientException error =
            Assert.ThrowsExactly<UnsupportedGradientException>(() =>
                GradientModel.Build(ModelFile.Load(GraphWriter.ToBytes(model)), ["y"], ["x"]));
        foreach (string part in new[] { "com.microsoft.MoE", remedy }) StringAssert.Contains(error.Message, part);
    }
}
