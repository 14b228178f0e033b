using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Passes;

/// <summary>ONNX Runtime runs no recurrent operator with the batch in front, so the truth is the same operator between
/// Transposes written by hand.</summary>
[TestClass]
public sealed class TimeFirstTests
{
    private static float[][] Run(string op, bool batchFirst)
    {
        OnnxModel model = OnnxModel.Create("recurrent", 18);
        var g = new GraphBuilder(model.Graph);
        int gates = op switch { "RNN" => 1, "GRU" => 3, _ => 4 };
        Value x = model.Graph.AddInput("x", ElementType.Float, Shape.Of(2, 3, 4)), h = TestModels.Weight(model.Graph, "state", 2, 2, 5);
        Value w = TestModels.Weight(model.Graph, "w", 2, gates * 5, 4), r = TestModels.Weight(model.Graph, "rr", 2, gates * 5, 5);
        Value Swapped(Value v) => batchFirst ? v : g.Op("Transpose", [v], ("perm", new long[] { 1, 0, 2 }));
        Value[] y = [
            .. g.Ops(op, 2, [Swapped(x), w, r, null, null, Swapped(h)], ("hidden_size", 5), ("direction", "bidirectional"),
                ("layout", batchFirst))];
        if (!batchFirst) y = [g.Op("Transpose", [y[0]], ("perm", new long[] { 2, 0, 1, 3 })), Swapped(y[1])];
        for (int i = 0; i < 2; i++) model.Graph.Outputs.Add(GraphBuilder.Typed(g.Named(y[i], $"y{i}"), ElementType.Undefined, null));

        using var session =
            new InferenceSession(GradientModel.Build(ModelFile.Load(GraphWriter.ToBytes(model)), ["y0", "y1"], ["x", "w"]).ToBytes());
        string[] names = [.. session.InputNames];
        OrtValue[] values = [.. names.Select(n => Ramp(n switch { "x" => [2, 3, 4], "y0_cotangent" => [2, 3, 2, 5], _ => [2, 2, 5] }))];
        using var run = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> results = session.Run(run, names, values, ["y0", "y1", "x_grad", "w_grad"]);
        foreach (OrtValue value in values) value.Dispose();
        return [.. results.Select(v => v.GetTensorDataAsSpan<float>().ToArray())];
    }

    private static OrtValue Ramp(long[] shape) =>
        OrtValue.CreateTensorValueFromMemory([.. Enumerable.Range(0, (int)shape.Aggregate(1L, (p, d) => p * d)).Select(i => MathF.Sin(i))],
            shape);

    [TestMethod]
    [DataRow("RNN")]
    [DataRow("GRU")]
    [DataRow("LSTM")]
    public void BatchFirst_IsTimeFirstBetweenTransposes(string op)
    {
        foreach ((float[] a, float[] b) in Run(op, true).Zip(Run(op, false)))
        {
            Assert.HasCount(b.Length, a);
            for (int i = 0; i < a.Length; i++) Assert.AreEqual(b[i], a[i], 1e-5f);
        }
    }
}
