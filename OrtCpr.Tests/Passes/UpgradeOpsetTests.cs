using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Passes;
using OrtCpr.Tests.Gradients;
using static OrtCpr.Tests.Gradients.RuleCases;

namespace OrtCpr.Tests.Passes;

/// <summary>Each row of the upgrade table: ONNX Runtime gives the same numbers for the old model and for the raised
/// one.</summary>
[TestClass]
public sealed class UpgradeOpsetTests
{
    private static readonly RuleCase[] Rows =
    [
        Case("Affine", X(2, 3), ("alpha", 1.5f), ("beta", -0.3f)) with { Opset = 9 },
        Case("BatchNormalization", [X(2, 3, 4), X(3), X(3), Fixed(X(3)), Fixed(Between(0.5, 2, 3))]) with { Opset = 9 },
        Case("Clip", X(2, 3), ("max", 0.7f)) with { Opset = 9 },
        Case("Clip", X(2, 3), ("min", 0.2f), ("max", 0.7f)) with { Opset = 9 },
        Case("Crop", X(1, 2, 5, 6), ("border", new long[] { 1, 0, 2, 1 })) with { Opset = 9 },
        Case("Crop", X(1, 2, 5, 6), ("border", new long[] { 1, 2, 0, 0 }), ("scale", new long[] { 2, 3 })) with { Opset = 9 },
        Case("DFT", X(2, 4, 3, 1)) with { Opset = 17 },
        Case("Dropout", X(2, 3)) with { Opset = 10, Outputs = 2 },
        Case("Dropout", X(2, 3), ("ratio", 0.3f)) with { Opset = 10 },
        Case("Dropout", X(2, 3), ("ratio", 0.3f)) with { Opset = 9, Outputs = 2 },
        Case("DynamicSlice", [X(4, 5), Fed(Ints(1, 0)), Ints(3, -1), Ints(0, 1)]) with { Opset = 9 },
        Case("Hardmax", X(2, 3, 4), ("axis", 1)) with { Opset = 11 },
        Case("ImageScaler", X(1, 2, 3, 4), ("scale", 0.5f), ("bias", new[] { 0.25f, -0.5f })) with { Opset = 9 },
        Case("LayerNormalization", [X(2, 3, 4), X(4), X(4)], ("axis", -1)) with { Opset = 13 },
        Case("LogSoftmax", X(2, 3, 4), ("axis", 1)) with { Opset = 11 },
        Case("OneHot", [Ints(1, 0, 3), Ints(4), Exactly([2], 0.3, 1.2)]) with { Opset = 9 },
        Case("Pad", X(2, 3), ("pads", new long[] { 0, 1, 1, 0 }), ("value", 2.5f)) with { Opset = 9 },
        Case("Pad", X(4, 5), ("mode", "reflect"), ("pads", new long[] { 1, 2, 0, 3 })) with { Opset = 9 },
        Case("ParametricSoftplus", X(2, 3), ("alpha", 0.7f), ("beta", 1.2f)) with { Opset = 9 },
        Case("ReduceL1", X(2, 3), ("axes", new long[] { 1 })) with { Opset = 13 },
        Case("ReduceL2", X(2, 3), ("axes", new long[] { 1 })) with { Opset = 13 },
        Case("ReduceLogSum", Between(0.5, 2, 2, 3), ("axes", new long[] { 1 })) with { Opset = 13 },
        Case("ReduceLogSumExp", X(2, 3), ("axes", new long[] { 1 })) with { Opset = 13 },
        Case("ReduceMax", X(2, 3, 4), ("axes", new long[] { -1 })) with { Opset = 12 },
        Case("ReduceMean", X(2, 3), ("keepdims", 1)) with { Opset = 13 },
        Case("ReduceMean", X(2, 3, 4), ("axes", new long[] { 1 }), ("keepdims", 0)) with { Opset = 13 },
        Case("ReduceMin", X(2, 3, 4), ("axes", new long[] { 0 })) with { Opset = 13 },
        Case("ReduceProd", X(2, 3), ("axes", new long[] { 1 })) with { Opset = 13 },
        Case("ReduceSum", X(2, 3, 4), ("axes", new long[] { 0, 2 }), ("keepdims", 0)) with { Opset = 11 },
        Case("ReduceSumSquare", X(2, 3), ("axes", new long[] { 1 })) with { Opset = 13 },
        Case("Resize", [X(1, 2, 5, 4), Fed(Exactly([4], 1, 1, 0.4, 0.6))], ("mode", "nearest")) with { Opset = 10 },
        Case("Resize", [X(1, 2, 5, 4), Fixed(Exactly([0])), Fixed(Exactly([0])), Ints(1, 2, 7, 3)], ("mode", "linear")) with { Opset = 11 },
        Case("Resize", [X(1, 2, 5, 4), Fixed(Exactly([0])), Fixed(Exactly([4], 1, 1, 2, 3))], ("mode", "cubic")) with { Opset = 13 },
        Case("Resize", [X(1, 2, 5, 4), Fixed(Exactly([0])), Fixed(Exactly([4], 1, 1, 2.4, 0.6))], ("mode", "nearest"),
            ("coordinate_transformation_mode", "tf_half_pixel_for_nn")) with { Opset = 11 },
        Case("Resize", [X(1, 2, 5, 4), Fixed(Exactly([4], 1, 1, 0.4, 0.6))], ("mode", "nearest")) with { Opset = 10 },
        Case("Resize", [X(1, 2, 5, 4), Fixed(Exactly([4], 1, 1, 2.4, 0.6))], ("mode", "linear")) with { Opset = 10 },
        Case("Resize", [X(1, 2, 5, 4), Fixed(Exactly([4], 1, 1, 2.4, 0.6))], ("mode", "nearest")) with { Opset = 10 },
        Case("RoiAlign", [X(1, 2, 5, 6), Fixed(Exactly([1, 4], 0.5, 1, 3.5, 4)), Ints(0)], ("output_height", 2), ("output_width", 2),
            ("sampling_ratio", 2)) with { Opset = 10 },
        Case("Scale", X(2, 3), ("scale", 0.7f)) with { Opset = 9 },
        Case("ScaledTanh", X(2, 3), ("alpha", 0.7f), ("beta", 1.2f)) with { Opset = 9 },
        Case("Scatter", [X(3, 4), Ints([2, 2], [0, 3, 1, 2]), X(2, 2)], ("axis", 1)) with { Opset = 10 },
        Case("Slice", X(4, 5), ("starts", new long[] { 1, 0 }), ("ends", new long[] { 3, -1 }), ("axes", new long[] { 0, 1 })) with
            { Opset = 9 },
        Case("Softmax", X(2, 3), ("axis", 1)) with { Opset = 12 },
        Case("Softmax", X(2, 3, 2)) with { Opset = 9 },
        Case("Softmax", X(2, 3, 4), ("axis", 1)) with { Opset = 11 },
        Case("Split", X(2, 5), ("axis", 1), ("split", new long[] { 2, 3 })) with { Opset = 11, Outputs = 2 },
        Case("Split", X(2, 6), ("axis", 1)) with { Opset = 13, Outputs = 3 },
        Case("Squeeze", X(2, 1, 4), ("axes", new long[] { 1 })) with { Opset = 11 },
        Case("TopK", X(2, 5), ("k", 2)) with { Opset = 9, Outputs = 2 },
        Case("Unsqueeze", X(2, 4), ("axes", new long[] { 0, 2 })) with { Opset = 11 },
        Case("Upsample", [X(1, 2, 3, 4), Fixed(Exactly([4], 1, 1, 2, 3))], ("mode", "nearest")) with { Opset = 9 },
        Case("Upsample", [X(1, 2, 3, 4), Fixed(Exactly([4], 1, 1, 2.5, 1.5))], ("mode", "linear")) with { Opset = 9 },
    ];

    public static IEnumerable<object[]> Indices => Rows.Select((r, i) => new object[] { i, r.ToString() });

    [TestMethod]
    [DynamicData(nameof(Indices))]
    public void RaisedModel_GivesTheSameNumbers(int index, string name)
    {
        RuleCase row = Rows[index];
        (byte[] old, string[] outputs) = RuleCheck.Write(row, dynamic: false, ElementType.Float);
        OnnxModel raised = RegulariseModel.Run(ModelFile.Load(old), new Dictionary<string, TensorData>());
        Assert.AreEqual(18, raised.Opset);
        Dictionary<string, TensorData> feeds = RuleCheck.Named(row.Inputs.Select(i => i?.ToTensor(ElementType.Float)))
            .ToDictionary(StringComparer.Ordinal);
        using InferenceSession before = RuleCheck.Open(old), after = RuleCheck.Open(GraphWriter.ToBytes(raised));
        Dictionary<string, TensorData> expected = RuleCheck.Evaluate(before, feeds, outputs);
        Dictionary<string, TensorData> actual = RuleCheck.Evaluate(after, feeds, outputs);
        foreach (string output in outputs)
        {
            Assert.AreEqual(expected[output].Type, actual[output].Type, $"{output} of {name}");
            CollectionAssert.AreEqual(expected[output].Dimensions.ToArray(), actual[output].Dimensions.ToArray(), $"{output} of {name}");
            // The last bit may differ where an operator became two.
            double[] wanted = Numbers(expected[output]), found = Numbers(actual[output]);
            for (int i = 0; i < wanted.Length; i++)
                Assert.AreEqual(wanted[i], found[i], 2e-7 * Math.Max(1, Math.Abs(wanted[i])), $"{output}[{i}] of {name}");
        }
    }

    [TestMethod]
    public void EveryRow_HasATest()
    {
        string[] refused = ["ATen", "Embedding", "FC", "GRUUnit", "LoopIndexTensor", "Scan"];
        string[] missing = [.. UpgradeOpset.Changes.Where(c => !Rows.Any(r => r.Op == c.OpType && r.Opset < c.Since)
            && !EarlyOpsetTests.Rows.Any(r => r.Op == c.OpType && r.Opset < c.Since) && !refused.Contains(c.OpType))
            .Select(c => $"{c.OpType} {c.Since}")];
        Assert.IsEmpty(missing, string.Join(", ", missing));
    }

    private static double[] Numbers(TensorData data) =>
        data.Type.IsFloating() ? data.ToDoubles() : [.. data.Bytes.ToArray().Select(b => (double)b)];
}
