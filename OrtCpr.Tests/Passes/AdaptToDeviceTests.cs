using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Passes;
using OrtCpr.Sessions;
using OrtCpr.Tests.Functions;
using OrtCpr.Tests.Gradients;

namespace OrtCpr.Tests.Passes;

/// <summary>What is written for CUDA, run on the CPU, where the originals are.</summary>
[TestClass]
public sealed class AdaptToDeviceTests
{
    private static TensorData[] Run(OnnxModel model, params TensorData[] inputs)
    {
        using var device = new CpuDevice();
        using var session = new GraphSession(model, "test", new DriverOptions { Threads = 1 }, device);
        using var batch = new Batch();
        for (int i = 0; i < inputs.Length; i++) batch.Add($"x{i}", inputs[i]);
        using IDisposableReadOnlyCollection<OrtValue> results =
            session.Session.Run(session.RunOptions, [.. batch.Tensors.Keys], [.. batch.Tensors.Values], session.Session.OutputNames);
        return [.. results.Select(Device.ReadOnHost)];
    }

    private static OnnxModel Node(string op, int outputs, int opset, TensorData[] inputs, params (string, object)[] attributes)
    {
        OnnxModel model = OnnxModel.Create("node", opset);
        var g = new GraphBuilder(model.Graph);
        // A free first axis, as a batch's.
        Value[] values = [
            .. inputs.Select((x, i) =>
                model.Graph.AddInput($"x{i}", x.Type,
                    new Shape([SymbolicInt.Symbol("batch"), .. x.Dimensions.ToArray().Skip(1).Select(d => (Dim)d)])))];
        Term[] results = g.Ops(op, outputs, values, attributes);
        for (int i = 0; i < outputs; i++)
            model.Graph.Outputs.Add(g.Named(GraphBuilder.Typed(results[i], i == 0 ? ElementType.Float : ElementType.Int64, null), $"y{i}"));
        return model;
    }

    private static OnnxModel Adapted(OnnxModel model) => AdaptToDevice.Run(model, DeviceCapabilities.Cuda);

    [TestMethod]
    [DataRow(new long[] { 2, 3, 7, 5 }, new long[] { 3, 2 }, new long[] { 2, 1 }, new long[] { 1, 0, 0, 1 }, new long[] { 1, 2 }, 0)]
    [DataRow(new long[] { 2, 2, 6, 9 }, new long[] { 2, 4 }, new long[] { 3, 2 }, new long[] { 0, 2, 1, 1 }, new long[] { 1, 1 }, 1)]
    [DataRow(new long[] { 2, 2, 4, 6, 5 }, new long[] { 2, 3, 2 }, new long[] { 1, 2, 1 }, new long[] { 0, 1, 0, 1, 0, 1 }, new long[]
        { 1, 1, 2 }, 0)]
    public void MaxPoolIndices_AreThoseOfTheOriginal(long[] shape, long[] kernel, long[] strides, long[] pads, long[] dilations, int ceil)
    {
        TensorData x = FunctionRun.Tensor(3, shape);
        OnnxModel model =
            Node("MaxPool", 2, 18, [x], ("kernel_shape", kernel), ("strides", strides), ("pads", pads), ("dilations", dilations),
                ("ceil_mode", (long)ceil));
        OnnxModel adapted = Adapted(model);
        Assert.AreEqual(2, adapted.Graph.Nodes.Count(n => n.OpType == "MaxPool"));
        TensorData[] expected = Run(model, x), found = Run(adapted, x);
        for (int i = 0; i < 2; i++) CollectionAssert.AreEqual(expected[i].ToDoubles(), found[i].ToDoubles(), $"output {i}");
    }

    /// <summary>Rows and columns have changed places: a kernel that takes the first of a row takes the first of a
    /// column, and the other way round.</summary>
    [TestMethod]
    public void MaxPool_LooksThroughWindowsTheOtherWayRound()
    {
        TensorData x = TensorData.From<float>([0, 1, 1, 0], 1, 1, 2, 2);
        OnnxModel model = Node("MaxPool", 2, 18, [x], ("kernel_shape", new long[] { 2, 2 }));
        Assert.AreEqual(1, Run(model, x)[1].ToDoubles()[0]);
        Assert.AreEqual(2, Run(Adapted(model), x)[1].ToDoubles()[0]);
    }

    /// <summary>In the bodies of If, Loop and Scan, and in a body within a body, as in the graph itself.</summary>
    [TestMethod]
    [DataRow("If")]
    [DataRow("Loop")]
    [DataRow("Scan")]
    [DataRow("Nested")]
    public void Bodies_AreAdaptedToo(string kind)
    {
        OnnxModel model = OnnxModel.Create("bodies", 18);
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x0", ElementType.Float, Shape.Of(2, 1, 1, 2, 2));
        Term[] results = kind switch
        {
            "If" => g.Ops("If", 2, [g.Scalar(1, ElementType.Bool)], ("then_branch", Body(model, "then", x)),
                ("else_branch", Body(model, "else", x))),
            "Loop" => g.Ops("Loop", 2, [g.Int(2), g.Scalar(1, ElementType.Bool)], ("body", LoopBody(model, "loop", b => Pooled(b, x)))),
            "Scan" => g.Ops("Scan", 2, [x], ("body", ScanBody(model)), ("num_scan_inputs", 1L)),
            _ => g.Ops("Loop", 2, [g.Int(2), g.Scalar(1, ElementType.Bool)], ("body", LoopBody(model, "outer", b =>
                [.. b.Ops("If", 2, [b.Scalar(1, ElementType.Bool)], ("then_branch", Body(model, "inner", x)),
                    ("else_branch", Body(model, "other", x))).Select(t => (Value)t)]))),
        };
        for (int i = 0; i < 2; i++)
            model.Graph.Outputs.Add(g.Named(GraphBuilder.Typed(results[i], i == 0 ? ElementType.Float : ElementType.Int64, null), $"y{i}"));
        TensorData data = TensorData.From<float>([0, 1, 1, 0, 0.5f, -0.5f, -0.5f, 0.5f], 2, 1, 1, 2, 2);
        OnnxModel adapted = Adapted(model);
        Assert.IsFalse(adapted.Graph.NodesAndInner().Any(n => n.OpType == "Sinh"));
        TensorData[] expected = Run(model, data), found = Run(adapted, data);
        Assert.IsTrue(expected[0].ToDoubles().Zip(found[0].ToDoubles()).All(p => Math.Abs(p.First - p.Second) < 1e-6));
        // The first image has its tie on the other diagonal: there the first of a row becomes the first of a column.
        Assert.AreEqual(1, expected[1].ToDoubles()[0]);
        Assert.AreEqual(2, found[1].ToDoubles()[0]);
    }

    private static OnnxGraph Body(OnnxModel model, string name, Value x)
    {
        var body = new OnnxGraph(name, model.Graph.Names);
        Deliver(body, Pooled(new GraphBuilder(body) { Scope = name }, x));
        return body;
    }

    private static OnnxGraph LoopBody(OnnxModel model, string name, Func<GraphBuilder, Value[]> write)
    {
        var body = new OnnxGraph(name, model.Graph.Names);
        var b = new GraphBuilder(body) { Scope = name };
        body.AddInput($"{name}/i", ElementType.Int64, Shape.Scalar);
        Value go = body.AddInput($"{name}/go", ElementType.Bool, Shape.Scalar);
        body.Outputs.Add(GraphBuilder.Typed(b.Identity(go), ElementType.Bool, Shape.Scalar));
        Deliver(body, write(b));
        return body;
    }

    private static OnnxGraph ScanBody(OnnxModel model)
    {
        var body = new OnnxGraph("scan", model.Graph.Names);
        var b = new GraphBuilder(body) { Scope = "scan" };
        Value slice = body.AddInput("scan/x", ElementType.Float, Shape.Of(1, 1, 2, 2));
        Deliver(body, Pooled(b, b.Unsqueeze(slice, 0)));
        return body;
    }

    private static void Deliver(OnnxGraph body, Value[] results)
    {
        body.Outputs.Add(GraphBuilder.Typed(results[0], ElementType.Float, null));
        body.Outputs.Add(GraphBuilder.Typed(results[1], ElementType.Int64, null));
    }

    /// <summary>Two images of one channel, each with a tie.</summary>
    private static Value[] Pooled(GraphBuilder b, Value x)
    {
        Term[] pooled = b.Ops("MaxPool", 2, [b.Op("Sinh", [b.Reshape(x, -1, 1, 2, 2)])], ("kernel_shape", new long[] { 2, 2 }));
        return [b.Reshape(pooled[0], -1), b.Reshape(pooled[1], -1)];
    }

    [TestMethod]
    [DataRow("Tan")]
    [DataRow("Sinh")]
    [DataRow("Cosh")]
    public void Replacements_AreGoodToRounding(string op)
    {
        TensorData x = TensorData.From<float>([0, 1e-6f, -3e-4f, 0.02f, -0.3f, 0.499f, 0.501f, -1.2f, 2.5f, 6], 10);
        OnnxModel adapted = Adapted(Node(op, 1, 18, [x]));
        Assert.IsFalse(adapted.Graph.Nodes.Any(n => n.OpType == op));
        double[] found = Run(adapted, x)[0].ToDoubles(), at = x.ToDoubles();
        for (int i = 0; i < at.Length; i++)
        {
            double expected = op switch { "Tan" => Math.Tan(at[i]), "Sinh" => Math.Sinh(at[i]), _ => Math.Cosh(at[i]) };
            Assert.AreEqual(expected, found[i], 1e-6 * Math.Abs(expected), $"{op}({at[i]})");
        }
    }

    [TestMethod]
    public void Mean_OfThree_Broadcasts()
    {
        TensorData[] inputs = [FunctionRun.Tensor(1, 4, 3), FunctionRun.Tensor(2, 4, 1), FunctionRun.Tensor(3, 4, 3)];
        OnnxModel model = Node("Mean", 1, 18, inputs), adapted = Adapted(model);
        Assert.IsFalse(adapted.Graph.Nodes.Any(n => n.OpType == "Mean"));
        double[] expected = Run(model, inputs)[0].ToDoubles(), found = Run(adapted, inputs)[0].ToDoubles();
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], found[i], 1e-6);
    }

    [TestMethod]
    [DataRow("Elu", 22, 21)]
    [DataRow("Elu", 18, 18)]
    [DataRow("Swish", 24, 24)]
    public void Opset_IsLowered_WhereNothingNewerIsUsed(string op, int opset, int expected) =>
        Assert.AreEqual(expected, Adapted(Node(op, 1, opset, [FunctionRun.Tensor(1, 2, 3)])).Opset);

    [TestMethod]
    public void NewerAttributes_KeepTheOpset() =>
        Assert.AreEqual(24, Adapted(Node("Cast", 1, 24, [FunctionRun.Tensor(1, 2, 3)], ("to", 1L), ("round_mode", "up"))).Opset);

    [TestMethod]
    public void OperatorsAfter21_AreThoseOfTheOperatorList() => CollectionAssert.AreEquivalent(
        OperatorRow.All.Where(r => r.Domain == "ai.onnx").Select(r => (r.Name, Since: FirstVersion(r))).Where(r => r.Since > 21).ToArray(),
        OperatorTraits.After(21).Select(name => (name, OperatorTraits.SinceOpset(new Node("", name, "")))).ToArray());

    private static int FirstVersion(OperatorRow row) =>
        int.Parse(row.Versions.Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture);
}
