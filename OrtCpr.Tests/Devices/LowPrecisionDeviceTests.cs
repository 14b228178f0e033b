using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Passes;
using OrtCpr.Sessions;

namespace OrtCpr.Tests.Devices;

/// <summary>What the CPU's table of 16-bit kernels says, tried on ONNX Runtime; and that its casts round as the types do.</summary>
[TestClass]
public sealed class LowPrecisionDeviceTests
{
    private static readonly Dictionary<string, Func<GraphBuilder, Term, Term>> Nodes = new(StringComparer.Ordinal)
    {
        ["Concat"] = (g, x) => g.Concat(0, x, x),
        ["Flatten"] = (g, x) => g.Op("Flatten", [x]),
        ["Gather"] = (g, x) => g.Gather(x, g.Ints(0, 2)),
        ["GatherElements"] = (g, x) => g.Op("GatherElements", [x, g.Constant(TensorData.From<long>(new long[16], 4, 4))]),
        ["GatherND"] = (g, x) => g.Op("GatherND", [x, g.Constant(TensorData.From<long>([1, 0], 2, 1))]),
        ["Identity"] = (g, x) => g.Identity(x),
        ["Reshape"] = (g, x) => g.Reshape(x, 2, 8),
        ["Shape"] = (g, x) => g.Op("Shape", [x]),
        ["Slice"] = (g, x) => g.Slice(x, [0], [2], [0]),
        ["Split"] = (g, x) => g.Ops("Split", 2, [x], ("num_outputs", 2))[1],
        ["Squeeze"] = (g, x) => g.Squeeze(g.Unsqueeze(x, 0), 0),
        ["Transpose"] = (g, x) => g.Transpose(x, 1, 0),
        ["Unsqueeze"] = (g, x) => g.Unsqueeze(x, 0),
    };

    // One node between Casts, as a graph that ONNX Runtime runs as it is.
    private static TensorData Run(ElementType low, Func<GraphBuilder, Term, Term> node, TensorData x)
    {
        OnnxModel model = OnnxModel.Create("low", 18);
        var g = new GraphBuilder(model.Graph);
        Term result = node(g, g.Cast(model.Graph.AddInput("x", ElementType.Float, Shape.Of(x.Dimensions)), low));
        model.Graph.Outputs.Add(g.Named(result.Type == low ? g.Cast(result, ElementType.Float) : result, "y"));
        return Run(model, x);
    }

    private static TensorData Run(OnnxModel model, TensorData x, Precision precision = Precision.Float32)
    {
        using var device = new CpuDevice();
        using var session = new GraphSession(model, "test", new DriverOptions { Threads = 1 }, device, precision: precision);
        using Batch batch = new Batch().Add("x", x);
        using IDisposableReadOnlyCollection<OrtValue> results =
            session.Session.Run(session.RunOptions, ["x"], [batch.Tensors["x"]], session.Session.OutputNames);
        return Device.ReadOnHost(results[0]);
    }

    [TestMethod]
    [DataRow(ElementType.BFloat16)]
    [DataRow(ElementType.Float16)]
    public void WhatTheTableSays_TheCpuRuns(ElementType low)
    {
        TensorData x = TensorData.From<float>([.. Enumerable.Range(0, 16).Select(i => (float)i)], 4, 4);
        foreach ((string op, Func<GraphBuilder, Term, Term> node) in Nodes)
        {
            Assert.IsTrue(DeviceCapabilities.Cpu.HasKernel(op, low), op);
            CollectionAssert.AreEqual(Run(ElementType.Float, node, x).ToDoubles(), Run(low, node, x).ToDoubles(), op);
        }
        Assert.IsFalse(DeviceCapabilities.Cpu.HasKernel("MatMul", low));
        Assert.AreEqual(Nodes.Count, PrecisionPolicy.With(PrecisionClass.Follows).Count(op => DeviceCapabilities.Cpu.HasKernel(op, low)),
            "operators of the CPU's table");
    }

    // If the CPU gets arithmetic in bfloat16 the table may grow.
    [TestMethod]
    public void TheCpu_HasNoArithmeticInBFloat16() => Assert.ThrowsExactly<DriverException>(() =>
        Run(ElementType.BFloat16, (g, x) => g.MatMul(x, x), TensorData.From<float>(new float[16], 4, 4)));

    /// <summary>float32 → 16 bits → float32 stays in ONNX Runtime's graph, and rounds to nearest, ties to even.</summary>
    [TestMethod]
    [DataRow(Precision.BFloat16)]
    [DataRow(Precision.Float16)]
    public void CastsRound_ToNearest_TiesToEven(Precision precision)
    {
        ElementType low = precision.LowType()!.Value;
        int dropped = low == ElementType.BFloat16 ? 16 : 13;
        var random = new Random(1);
        // Each once as it comes, once as a tie between two neighbours.
        uint[] bits = [.. Enumerable.Range(0, 500).Select(_ => (uint)random.Next(0x3C000000, 0x46000000))];
        float[] values = [.. bits.Select(BitConverter.UInt32BitsToSingle),
            .. bits.Select(b => BitConverter.UInt32BitsToSingle((b >> dropped << dropped) | (1u << (dropped - 1)))), 0, -1.5f];
        TensorData x = TensorData.From<float>(values, values.Length, 1);
        OnnxModel model = OnnxModel.Create("rounding", 18);
        var g = new GraphBuilder(model.Graph);
        Value input = model.Graph.AddInput("x", ElementType.Float, Shape.Of(x.Dimensions));
        model.Graph.Outputs.Add(g.Named(g.MatMul(input, g.Constant(TensorData.From<float>([1], 1, 1))), "y"));
        double[] found = Run(model, x, precision).ToDoubles();
        for (int i = 0; i < values.Length; i++)
            Assert.AreEqual(Rounded(values[i], dropped), (float)found[i], $"{values[i]:R}");
    }

    private static float Rounded(float value, int dropped)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        uint half = (1u << (dropped - 1)) - 1 + ((bits >> dropped) & 1);
        return BitConverter.UInt32BitsToSingle((bits + half) >> dropped << dropped);
    }

    // The bodies of our own products are of the type of their call.
    [TestMethod]
    [DataRow(Precision.BFloat16)]
    [DataRow(Precision.Float16)]
    public void Cuda_GetsTheGraphInItsType_WithWhatItLacksInFloat32(Precision precision)
    {
        ElementType low = precision.LowType()!.Value;
        OnnxModel model = OnnxModel.Create("conv", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, Shape.Of(2, 32, 8, 8)), w = graph.AddInput("w", ElementType.Float,
            Shape.Of(32, 32, 3, 3));
        long[] ones = [1, 1], pads = [1, 1, 1, 1];
        Value y = Convolution.Forward.Call(g, [x, w], ("strides", ones), ("dilations", ones), ("pads", pads))[0];
        y = GraphBuilder.Typed(y, ElementType.Float, Shape.Of(2, 32, 8, 8));
        Value pooled = g.Op("MaxPool", [g.Op("Mish", [y])], ("kernel_shape", new long[] { 2, 2 }));
        graph.Outputs.Add(g.Named(pooled, "y"));
        graph.Outputs.Add(g.Named(Convolution.WeightGradOf(g, x, w, y, ones, ones, pads), "w_grad"));
        graph.Outputs.Add(g.Named(Convolution.InputGradOf(g, x, w, y, ones, ones, pads), "x_grad"));
        OperatorTable.Attach(model);
        OnnxModel adapted = AdaptToDevice.Run(LowerPrecision.Run(model, low), DeviceCapabilities.Cuda);
        // ONNX has no Conv in bfloat16 in the opsets that CUDA has kernels for.
        ElementType products = precision == Precision.Float16 ? low : ElementType.Float;
        Assert.IsTrue(adapted.Graph.Nodes.Where(n => n.OpType is "Conv" or "ConvTranspose").SelectMany(n => n.Inputs)
            .All(i => i!.Type == products));
        Assert.AreEqual(low, adapted.Graph.Nodes.First(n => n.Is("Transpose")).Outputs[0]!.Type);
        Assert.AreEqual(ElementType.Float, adapted.Graph.Nodes.Single(n => n.Is("Mish")).Outputs[0]!.Type);
        Assert.IsTrue(adapted.Graph.Outputs.All(o => o.Type == ElementType.Float));
        // With everything widened the CPU runs it, so it is a legal graph.
        WidenMissing.Run(adapted, DeviceCapabilities.Cpu);
        using var session = new InferenceSession(GraphWriter.ToBytes(adapted));
        Assert.HasCount(3, session.OutputNames);
    }

    [TestMethod]
    [DataRow(Precision.BFloat16)]
    [DataRow(Precision.Float16)]
    public void ADeviceWithoutATable_IsRefused_ByNameAndCure(Precision precision)
    {
        TrainingPlan plan = TrainingGraphBuilder.Build(TestModels.Linear(), new TrainingOptions { Precision = precision });
        DeviceException error = Assert.ThrowsExactly<DeviceException>(() =>
            new TrainingDriver(plan, new DriverOptions { Device = "webgpu:nowhere" }));
        StringAssert.Contains(error.Message, $"Precision.{precision}");
        StringAssert.Contains(error.Message, "WebGPU provider of 'webgpu:nowhere'");
        StringAssert.Contains(error.Message, "'cuda' or 'cpu'");
    }
}
