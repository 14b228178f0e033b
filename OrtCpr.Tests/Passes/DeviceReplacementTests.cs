using System.Text;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Passes;
using OrtCpr.Tests.Devices;
using OrtCpr.Tests.Gradients;

namespace OrtCpr.Tests.Passes;

/// <summary>What is written for CUDA, run on the CPU beside the operators that it stands for.</summary>
[TestClass]
public sealed class DeviceReplacementTests
{
    private static readonly float[] Edges =
    [
        0, -0f, float.Epsilon, -1e-38f, 1e-20f, -1e-8f, 3e-5f, -0.001f, 0.02f, -0.19f, 0.2f, 0.41f, -0.42f, 0.5f, -0.7f, 0.99f, -0.9999f,
        0.99999994f, 1, -1, 1.0000001f, -1.0000001f, 1.5f, -2, 2.5f, 7, -30, 1000, -3e5f, 1e7f, 2e8f, -1e19f, 3e38f, float.PositiveInfinity,
        float.NegativeInfinity, float.NaN,
    ];

    public static IEnumerable<object[]> Functions =>
    [
        ["Asin", (Func<double, double>)Math.Asin], ["Acos", (Func<double, double>)Math.Acos], ["Atan", (Func<double, double>)Math.Atan],
        ["Asinh", (Func<double, double>)Math.Asinh], ["Acosh", (Func<double, double>)Math.Acosh],
        ["Atanh", (Func<double, double>)Math.Atanh],
    ];

    public static IEnumerable<object[]> Replaced => DeviceCapabilities.Cuda.Missing.Order(StringComparer.Ordinal)
        .Where(op => RuleCases.All.Any(c => c.Op == op)).Select(op => new object[] { op });

    /// <summary>To some units in the last place of the true value, not a number where there is none, and a zero keeps its
    /// sign.</summary>
    [TestMethod]
    [DynamicData(nameof(Functions))]
    public void InverseFunctions_AreGoodToRounding(string op, Func<double, double> function)
    {
        foreach (ElementType type in new[] { ElementType.Float, ElementType.Double })
        {
            OnnxModel model = OnnxModel.Create("function", 18);
            var g = new GraphBuilder(model.Graph);
            Value x = model.Graph.AddInput("x", type, new Shape(SymbolicInt.Symbol("n")));
            model.Graph.Outputs.Add(GraphBuilder.Typed(g.Named(g.Op(op, [x]), "y"), type, null));
            OnnxModel adapted = AdaptToDevice.Run(model, DeviceCapabilities.Cuda);
            Assert.IsFalse(adapted.Graph.Nodes.Any(n => n.OpType == op));
            TensorData at = TensorData.From<float>(Edges, Edges.Length).ConvertTo(type);
            double[] found = Run(adapted, new() { ["x"] = at }, "y")["y"].ToDoubles();
            double unit = type == ElementType.Double ? 2.2e-16 : 1.2e-7;
            for (int i = 0; i < Edges.Length; i++)
            {
                double expected = function(Edges[i]);
                if (type == ElementType.Float) expected = (float)expected;
                string where = $"{op}({Edges[i]:R}) in {type}: {found[i]:R}, expected {expected:R}";
                if (double.IsNaN(expected) || double.IsInfinity(expected) || expected == 0) Assert.AreEqual(expected, found[i], where);
                else Assert.IsLessThanOrEqualTo((4 * unit * Math.Abs(expected)) + float.Epsilon, Math.Abs(expected - found[i]), where);
                if (expected == 0) Assert.AreEqual(double.IsNegative(expected), double.IsNegative(found[i]), where);
            }
        }
    }

    /// <summary>Outputs and gradients of the test data of the rules.</summary>
    [TestMethod]
    [DynamicData(nameof(Replaced))]
    public void Replacements_ComputeWhatTheOriginalDoes(string op)
    {
        foreach (RuleCase row in RuleCases.All.Where(c => c.Op == op))
        {
            foreach (bool dynamic in row.StaticOnly ? new[] { false } : [false, true]) Compare(row, dynamic);
        }
    }

    private static void Compare(RuleCase row, bool dynamic)
    {
        (byte[] bytes, string[] outputs) = RuleCheck.Write(row, dynamic, ElementType.Float);
        string[] of = [.. outputs.Where((_, i) => row.Of is null || row.Of.Contains(i))];
        string[] wrt = [.. RuleCheck.Named(row.Inputs).Where(i => i.Value is { Differentiated: true } && i.Value.Type.IsFloating())
            .Select(i => i.Key)];
        Dictionary<string, TensorData> feeds = RuleCheck.Named(row.Inputs.Select(i => i?.ToTensor(ElementType.Float)))
            .ToDictionary(StringComparer.Ordinal);
        OnnxModel forward = GraphReader.Read(ModelFile.Load(bytes)), backward = GradientModel.Build(ModelFile.Load(bytes), of, wrt).Model;
        Dictionary<string, TensorData> plain = Run(forward, feeds, outputs);
        Same(plain, Run(Adapted(forward), feeds, outputs), $"{row}, dynamic {dynamic}");
        foreach (string output in of) feeds[GradientModel.CotangentOf(output)] = plain[output];
        string[] all = [.. backward.Graph.Outputs.Select(o => o.Name)];
        Same(Run(backward, feeds, all), Run(Adapted(backward), feeds, all), $"gradient of {row}, dynamic {dynamic}");
    }

    private static OnnxModel Adapted(OnnxModel model)
    {
        OnnxModel adapted = AdaptToDevice.Run(model, DeviceCapabilities.Cuda);
        Node[] left = [.. adapted.Graph.NodesAndInner().Where(n => DeviceCapabilities.Cuda.Missing.Contains(n.QualifiedType)
            && !CudaPlacement.HasKernel(n) && !(n.OpType == "LpPool" && n.Int("ceil_mode", 0) != 0))];
        Assert.IsEmpty(left, string.Join(", ", left.Select(n => n.Label)));
        return adapted;
    }

    private static void Same(Dictionary<string, TensorData> expected, Dictionary<string, TensorData> found, string where)
    {
        foreach ((string name, TensorData data) in expected)
        {
            double[] e = data.ToDoubles(), f = found[name].ToDoubles();
            CollectionAssert.AreEqual(data.Dimensions.ToArray(), found[name].Dimensions.ToArray(), $"shape of {name}, {where}");
            double size = 1e-6 + e.Select(Math.Abs).DefaultIfEmpty(0).Max();
            for (int i = 0; i < e.Length; i++) Assert.AreEqual(e[i], f[i], 2e-6 * size, $"{name}[{i}], {where}");
        }
    }

    private static Dictionary<string, TensorData> Run(OnnxModel model, Dictionary<string, TensorData> feeds, params string[] outputs)
    {
        using Microsoft.ML.OnnxRuntime.InferenceSession session = RuleCheck.Open(GraphWriter.ToBytes(model));
        return RuleCheck.Evaluate(session, feeds, outputs);
    }

    /// <summary>Unequal padding, sizes that follow from auto_pad, and a size that is given, over one to three axes.</summary>
    [TestMethod]
    [DataRow(1, "pads", new long[] { 1, 0 }, new long[] { 2 }, 1, false)]
    [DataRow(2, "pads", new long[] { 0, 2, 1, 1 }, new long[] { 2, 3 }, 2, false)]
    [DataRow(2, "pads", new long[] { 0, 2, 1, 1 }, new long[] { 2, 3 }, 1, true)]
    [DataRow(3, "pads", new long[] { 0, 1, 0, 1, 1, 1 }, new long[] { 1, 2, 1 }, 1, true)]
    [DataRow(2, "SAME_UPPER", new long[0], new long[] { 2, 1 }, 1, false)]
    [DataRow(2, "SAME_LOWER", new long[0], new long[] { 2, 1 }, 2, true)]
    [DataRow(2, "output_shape", new long[] { 8, 5 }, new long[] { 2, 1 }, 1, false)]
    [DataRow(3, "none", new long[0], new long[] { 2, 1, 2 }, 1, true)]
    public void ConvTranspose_CutsUnequally(int spatial, string how, long[] values, long[] strides, int group, bool more)
    {
        foreach (bool dynamic in new[] { false, true })
        {
            long[] image = [2, 4, .. new long[] { 4, 5, 3 }.Take(spatial)], kernel = [4, 3, .. new long[] { 3, 2, 3 }.Take(spatial)];
            List<(string, object)> attributes = [("strides", strides), ("group", (long)group)];
            if (how is "pads" or "output_shape") attributes.Add((how, values));
            else if (how != "none") attributes.Add(("auto_pad", how));
            if (more && how == "pads") attributes.Add(("dilations", Enumerable.Repeat(2L, spatial).ToArray()));
            if (more && how != "SAME_LOWER") attributes.Add(("output_padding", strides.Select(s => s - 1).ToArray()));
            var row = new RuleCase("ConvTranspose", [RuleCases.X(image), RuleCases.X(kernel), RuleCases.X(3 * group)], [.. attributes]);
            Compare(row, dynamic);
        }
    }

    /// <summary>The variants of the recurrent operators that cuDNN does not have, in a graph that no gradient passes.</summary>
    [TestMethod]
    [DataRow("GRU", "", true)]
    [DataRow("GRU", "linear_before_reset", false)]
    [DataRow("GRU", "clip", true)]
    [DataRow("LSTM", "", false)]
    [DataRow("LSTM", "input_forget", true)]
    [DataRow("LSTM", "clip", true)]
    [DataRow("RNN", "", false)]
    [DataRow("RNN", "activations", true)]
    public void RecurrentVariants_AreWrittenOut_WhereThereIsNoKernel(string op, string attribute, bool expected)
    {
        int gates = op switch { "GRU" => 3, "LSTM" => 4, _ => 1 };
        List<(string, object)> attributes = [("hidden_size", 3L)];
        if (attribute is "linear_before_reset" or "input_forget") attributes.Add((attribute, 1L));
        if (attribute == "clip") attributes.Add((attribute, 0.7f));
        if (attribute == "activations") attributes.Add((attribute, new[] { Encoding.UTF8.GetBytes("Relu") }));
        OnnxModel model = OnnxModel.Create("recurrent", 18);
        var g = new GraphBuilder(model.Graph);
        Feed[] inputs = [RuleCases.X(4, 2, 5), RuleCases.X(1, gates * 3, 5), RuleCases.X(1, gates * 3, 3), RuleCases.X(1, 2 * gates * 3)];
        Value[] values = [.. inputs.Select((f, i) => model.Graph.AddInput($"x{i}", ElementType.Float, Shape.Of(f.Shape)))];
        Term[] results = g.Ops(op, op == "LSTM" ? 3 : 2, values, [.. attributes]);
        for (int i = 0; i < results.Length; i++)
            model.Graph.Outputs.Add(GraphBuilder.Typed(g.Named(results[i], $"y{i}"), ElementType.Float, null));
        OnnxModel adapted = Adapted(model);
        Assert.AreEqual(expected, !adapted.Graph.Nodes.Any(n => n.OpType == op));
        Dictionary<string, TensorData> feeds = RuleCheck.Named(inputs.Select(f => f.ToTensor(ElementType.Float)))
            .ToDictionary(StringComparer.Ordinal);
        string[] names = [.. model.Graph.Outputs.Select(o => o.Name)];
        Same(Run(model, feeds, names), Run(adapted, feeds, names), op);
    }
}
