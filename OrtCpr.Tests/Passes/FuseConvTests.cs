using OrtCpr.Graph;
using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Tests.Passes;

/// <summary>Which convolutions become ours.</summary>
[TestClass]
public sealed class FuseConvTests
{
    private static Node Fused(long[] weight, bool trained = true, bool hasBias = false, params (string, object)[] attributes)
    {
        OnnxModel model = OnnxModel.Create("conv", 18);
        Value x = model.Graph.AddInput("x", ElementType.Float, Shape.Of(2, weight[1], 8, 9));
        Value w = trained ? model.Graph.AddInput("w", ElementType.Float, Shape.Of(weight))
            : model.Graph.AddInitializer("w", TensorData.From<float>(new float[weight.Aggregate(1L, (a, b) => a * b)], weight));
        var g = new GraphBuilder(model.Graph);
        Value[] inputs = hasBias ? [x, w, model.Graph.AddInput("b", ElementType.Float, Shape.Of(weight[0]))] : [x, w];
        model.Graph.Outputs.Add(g.Op("Conv", inputs, attributes));
        FuseConv.Run(model);
        return model.Graph.Nodes.Single();
    }

    [TestMethod]
    public void LargeTrainedWeights_OfThreeByThreePlaces_AreFused()
    {
        Node plain = Fused([40, 32, 3, 3]);
        Node same = Fused([32, 33, 3, 3], true, true, ("auto_pad", "SAME_UPPER"), ("kernel_shape", new long[] { 3, 3 }));
        Assert.AreEqual($"{OperatorDefinition.Domain}.ConvForward", plain.QualifiedType);
        CollectionAssert.AreEqual(new long[] { 0, 0, 0, 0 }, plain.Ints("pads"));
        CollectionAssert.AreEqual(new long[] { 1, 1 }, plain.Ints("strides"));
        Assert.AreEqual($"{OperatorDefinition.Domain}.ConvForwardBias", same.QualifiedType);
        CollectionAssert.AreEqual(new long[] { 1, 1, 1, 1 }, same.Ints("pads"));
        CollectionAssert.AreEquivalent(new[] { "strides", "dilations", "pads" }, same.Attributes.Keys.ToArray());
    }

    [TestMethod]
    public void Others_StayAsTheyAre()
    {
        Assert.IsTrue(Fused([31, 32, 3, 3]).Is("Conv"), "few outputs");
        Assert.IsTrue(Fused([32, 31, 3, 3]).Is("Conv"), "few inputs");
        Assert.IsTrue(Fused([32, 32, 3, 1]).Is("Conv"), "another kernel");
        Assert.IsTrue(Fused([32, 32, 3, 3], trained: false).Is("Conv"), "a weight that stays");
        Assert.IsTrue(Fused([32, 32, 3, 3], true, false, ("strides", new long[] { 1, 2 })).Is("Conv"), "strides");
        Assert.IsTrue(Fused([32, 32, 3, 3], true, false, ("dilations", new long[] { 2, 1 })).Is("Conv"), "dilations");
    }
}
