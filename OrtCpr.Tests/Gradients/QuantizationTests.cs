using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Gradients;

/// <summary>Rounding has no slope to compare with, so these gradients are stated.</summary>
[TestClass]
public sealed class QuantizationTests
{
    public static IReadOnlyList<string> Operators { get; } = ["QuantizeLinear", "com.microsoft.QuantizeLinear", "DequantizeLinear",
        "com.microsoft.DequantizeLinear", "DynamicQuantizeLinear", "com.microsoft.DynamicQuantizeMatMul"];

    /// <summary>Gradient of x in y = body(x), all cotangents 1, 2, 3 …</summary>
    private static float[] Gradient(float[] x, Func<GraphBuilder, Value, Value> body, GradientRules? rules = null)
    {
        OnnxModel model = OnnxModel.Create("quantized", 18);
        model.Opsets["com.microsoft"] = 1;
        var g = new GraphBuilder(model.Graph);
        Value y = body(g, model.Graph.AddInput("x", ElementType.Float, Shape.Of(1, x.Length)));
        model.Graph.Outputs.Add(GraphBuilder.Typed(g.Named(y, "y"), ElementType.Undefined, null));
        using var session =
            new InferenceSession(GradientModel.Build(ModelFile.Load(GraphWriter.ToBytes(model)), ["y"], ["x"], rules).ToBytes());
        using OrtValue fed = OrtValue.CreateTensorValueFromMemory(x, [1, x.Length]);
        float[] ones = [.. Enumerable.Range(1, x.Length).Select(i => (float)i)];
        using OrtValue cotangent = OrtValue.CreateTensorValueFromMemory(ones, [1, x.Length]);
        using var run = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> results = session.Run(run, ["x", "y_cotangent"], [fed, cotangent], ["x_grad"]);
        return results[0].GetTensorDataAsSpan<float>().ToArray();
    }

    private static Value Constant(GraphBuilder g, params sbyte[] values) =>
        g.Graph.AddInitializer("zero", TensorData.From<sbyte>(values, values.Length == 1 ? [] : [values.Length]));

    [TestMethod]
    [DataRow("")]
    [DataRow("com.microsoft.")]
    public void FakeQuantization_IsStraightThrough_AndZeroOutside(string domain) =>
        CollectionAssert.AreEqual(new float[] { 1, 2, 0, 0 }, Gradient([0.3f, -1.2f, 20f, -20f], (g, x) =>
        {
            Value zero = Constant(g, 3), scale = g.Scalar(0.1, ElementType.Float);
            return g.Op($"{domain}DequantizeLinear", [g.Op($"{domain}QuantizeLinear", [x, scale, zero]), scale, zero]);
        }));

    [TestMethod]
    public void FakeQuantization_AlongAnAxis() =>
        CollectionAssert.AreEqual(new float[] { 1, 0, 3 }, Gradient([0.3f, 2f, 2f], (g, x) =>
        {
            Value zero = Constant(g, 0, 0, 0), scale = g.Constant(TensorData.From<float>([0.1f, 0.01f, 0.1f], 3));
            return g.Op("DequantizeLinear", [g.Op("QuantizeLinear", [x, scale, zero]), scale, zero]);
        }));

    [TestMethod]
    public void DynamicQuantization_IsStraightThrough() =>
        CollectionAssert.AreEqual(new float[]
            { 1, 2 }, Gradient([0.3f, -1.2f], (g, x) => g.Op("DequantizeLinear", [.. g.Ops("DynamicQuantizeLinear", 3, [x])])));

    [TestMethod]
    public void DynamicQuantizeMatMul_PassesTheGradientToTheActivations() =>
        CollectionAssert.AreEqual(new float[] { 5, 1 }, Gradient([0.3f, -1.2f], (g, x) => g.Op("com.microsoft.DynamicQuantizeMatMul",
            [x, g.Constant(TensorData.From<sbyte>([2, 4, 2, 0], 2, 2)), g.Scalar(0.5, ElementType.Float)])));

    [TestMethod]
    public void Round_HasNoGradient_UnlessAskedFor()
    {
        CollectionAssert.AreEqual(new float[] { 0, 0 }, Gradient([0.3f, -1.2f], (g, x) => g.Op("Round", [x])));
        CollectionAssert.AreEqual(new float[]
            { 1, 2 }, Gradient([0.3f, -1.2f], (g, x) => g.Op("Round", [x]), GradientRules.Default.StraightThrough()));
    }

    [TestMethod]
    public void IntegerProducts_AreRefused_WithTheWayOut()
    {
        UnsupportedGradientException error = Assert.ThrowsExactly<UnsupportedGradientException>(() => Gradient([0.3f, -1.2f], (g, x) =>
        {
            Term[] q = g.Ops("DynamicQuantizeLinear", 3, [x]);
            Value product = g.Op("MatMulInteger", [q[0], g.Constant(TensorData.From<sbyte>([2, 4, 2, 0], 2, 2)), q[2]]);
            return g.Mul(GraphBuilder.Typed(g.Op("Cast", [product], ("to", 1)), ElementType.Float, null), q[1]);
        }));
        StringAssert.Contains(error.Message, "MatMulInteger");
        StringAssert.Contains(error.Message, "export the float model");
    }
}
