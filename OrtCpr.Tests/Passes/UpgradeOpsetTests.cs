using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Passes;

// Each row of the upgrade table: ONNX Runtime gives the same numbers for the old model and for the raised one.
[TestClass]
public sealed class UpgradeOpsetTests
{
    private static readonly Dictionary<string, (int Opset, string Op, int Outputs, long[] Shape, (string, object)[] Attributes)> Rows = new()
    {
        ["softmax 11, flattening"] = (11, "Softmax", 1, [2, 3, 4], [("axis", 1)]),
        ["softmax 12, last axis"] = (12, "Softmax", 1, [2, 3], [("axis", 1)]),
        ["softmax 9, default axis"] = (9, "Softmax", 1, [2, 3, 2], []),
        ["log-softmax 11, flattening"] = (11, "LogSoftmax", 1, [2, 3, 4], [("axis", 1)]),
        ["hardmax 11, flattening"] = (11, "Hardmax", 1, [2, 3, 4], [("axis", 1)]),
        ["reduce mean 13"] = (13, "ReduceMean", 1, [2, 3, 4], [("axes", new long[] { 1 }), ("keepdims", 0)]),
        ["reduce mean 13, all axes"] = (13, "ReduceMean", 1, [2, 3], [("keepdims", 1)]),
        ["reduce max 12"] = (12, "ReduceMax", 1, [2, 3, 4], [("axes", new long[] { -1 })]),
        ["reduce min 13"] = (13, "ReduceMin", 1, [2, 3, 4], [("axes", new long[] { 0 })]),
        ["reduce sum 11"] = (11, "ReduceSum", 1, [2, 3, 4], [("axes", new long[] { 0, 2 }), ("keepdims", 0)]),
        ["reduce prod 13"] = (13, "ReduceProd", 1, [2, 3], [("axes", new long[] { 1 })]),
        ["reduce L1 13"] = (13, "ReduceL1", 1, [2, 3], [("axes", new long[] { 1 })]),
        ["reduce L2 13"] = (13, "ReduceL2", 1, [2, 3], [("axes", new long[] { 1 })]),
        ["reduce log sum 13"] = (13, "ReduceLogSum", 1, [2, 3], [("axes", new long[] { 1 })]),
        ["reduce log sum exp 13"] = (13, "ReduceLogSumExp", 1, [2, 3], [("axes", new long[] { 1 })]),
        ["reduce sum square 13"] = (13, "ReduceSumSquare", 1, [2, 3], [("axes", new long[] { 1 })]),
        ["squeeze 11"] = (11, "Squeeze", 1, [2, 1, 4], [("axes", new long[] { 1 })]),
        ["unsqueeze 11"] = (11, "Unsqueeze", 1, [2, 4], [("axes", new long[] { 0, 2 })]),
        ["split 11, sizes"] = (11, "Split", 2, [2, 5], [("axis", 1), ("split", new long[] { 2, 3 })]),
        ["split 13, equal parts"] = (13, "Split", 3, [2, 6], [("axis", 1)]),
        ["clip 9"] = (9, "Clip", 1, [2, 3], [("min", 0.2f), ("max", 0.7f)]),
        ["clip 9, one bound"] = (9, "Clip", 1, [2, 3], [("max", 0.7f)]),
        ["pad 9"] = (9, "Pad", 1, [2, 3], [("pads", new long[] { 0, 1, 1, 0 }), ("value", 2.5f)]),
        ["slice 9"] = (9, "Slice", 1, [4, 5], [("starts", new long[] { 1, 0 }), ("ends", new long[] { 3, -1 }), ("axes", new long[] { 0, 1 })]),
        ["dropout 10"] = (10, "Dropout", 1, [2, 3], [("ratio", 0.3f)]),
        ["top-k 9"] = (9, "TopK", 2, [2, 5], [("k", 2)]),
    };

    public static IEnumerable<object[]> Names => Rows.Keys.Select(k => new object[] { k });

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void RaisedModel_GivesTheSameNumbers(string row)
    {
        (int opset, string op, int outputs, long[] shape, (string, object)[] attributes) = Rows[row];
        OnnxModel model = OnnxModel.Create("old", opset);
        model.IrVersion = 4;
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x", ElementType.Float, Shape.Of(shape));
        foreach (Value output in g.Ops(op, outputs, [x], attributes)) model.Graph.Outputs.Add(GraphBuilder.Typed(output, ElementType.Undefined, null));
        byte[] old = GraphWriter.ToBytes(model);

        (OnnxModel raised, _) = TrainingGraphBuilder.Regularise(ModelFile.Load(old), new Dictionary<string, TensorData>());
        Assert.AreEqual(18, raised.Opset);
        float[] values = [.. Enumerable.Range(0, (int)shape.Aggregate(1L, (p, d) => p * d)).Select(i => (((i * 7) % 11) + 1) / 12f)];
        List<byte[]> expected = Run(old, values, shape), actual = Run(GraphWriter.ToBytes(raised), values, shape);
        for (int i = 0; i < expected.Count; i++) CollectionAssert.AreEqual(expected[i], actual[i], $"output {i}");
    }

    private static List<byte[]> Run(byte[] model, float[] x, long[] shape)
    {
        using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR, GraphOptimizationLevel = GraphOptimizationLevel.ORT_DISABLE_ALL };
        using var session = new InferenceSession(model, options);
        using Batch batch = new Batch().Add("x", x, shape);
        using var run = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> results = session.Run(run, ["x"], [batch.Tensors["x"]], session.OutputNames);
        return [.. results.Select(r => r.GetTensorMutableRawData().ToArray())];
    }
}
