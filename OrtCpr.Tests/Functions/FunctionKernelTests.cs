using Microsoft.ML.OnnxRuntime;
using OrtCpr.CustomOps;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Functions;
using OrtCpr.Graph.Ir;
using OrtCpr.Sessions;

namespace OrtCpr.Tests.Functions;

// The function body is the specification, the kernel the fast way: one node, run both ways.
[TestClass]
public sealed class FunctionKernelTests
{
    private static readonly int[] Lengths = [.. Enumerable.Range(0, 68), 1000, 1025, 50_003];

    private static float[] Values(int length, int seed, float spread = 4)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, length).Select(_ => spread * ((2 * random.NextSingle()) - 1))];
    }

    private static double[][] Run(string name, int outputs, bool kernels, int threads, params TensorData[] inputs)
    {
        OnnxModel model = OnnxModel.Create("function", 18);
        Value[] values = [.. inputs.Select((x, i) => model.Graph.AddInput($"x{i}", x.Type, Shape.Of(x.Dimensions)))];
        var g = new GraphBuilder(model.Graph);
        foreach (Value output in g.Ops($"{FunctionLibrary.Domain}.{name}", outputs, values)) model.Graph.Outputs.Add(GraphBuilder.Typed(output, ElementType.Float, null));
        FunctionLibrary.Attach(model);
        using var device = new CpuDevice();
        using var session = new GraphSession(model, "function", new DriverOptions { Threads = threads, Kernels = kernels }, device);
        using var batch = new Batch();
        for (int i = 0; i < inputs.Length; i++) batch.Add($"x{i}", inputs[i]);
        using IDisposableReadOnlyCollection<OrtValue> results = session.Session.Run(session.RunOptions, [.. batch.Tensors.Keys], [.. batch.Tensors.Values], session.Session.OutputNames);
        return [.. results.Select(r => Device.ReadOnHost(r).ToDoubles())];
    }

    // Relative to 1 and to the value: both sides round in float32, a row's sum in another order.
    private static void Agree(string name, int outputs, double tolerance, params TensorData[] inputs)
    {
        double[][] body = Run(name, outputs, kernels: false, 1, inputs), one = Run(name, outputs, kernels: true, 1, inputs), two = Run(name, outputs, kernels: true, 2, inputs);
        for (int o = 0; o < outputs; o++)
        {
            CollectionAssert.AreEqual(one[o], two[o], $"{name}: one and two threads");
            Assert.HasCount(body[o].Length, one[o]);
            for (int i = 0; i < body[o].Length; i++)
            {
                if (double.IsNaN(body[o][i]) && double.IsNaN(one[o][i])) continue;
                Assert.AreEqual(body[o][i], one[o][i], tolerance * (1 + Math.Abs(body[o][i])), $"{name} output {o}, element {i} of {body[o].Length}");
            }
        }
    }

    [TestMethod]
    public void GeluTanh_EqualsItsBody_AtEveryLength()
    {
        foreach (int n in Lengths)
        {
            TensorData x = TensorData.From<float>(Values(n, n), n), dy = TensorData.From<float>(Values(n, n + 1), n);
            Agree("GeluTanh", 1, 1e-6, x);
            // 1 − t² cancels where t is near 1: two roundings of tanh, 1.2e-7 each, times |x·du/dx·dy|, which reaches 50 here.
            Agree("GeluTanhGrad", 1, 1.2e-5, x, dy);
        }
    }

    [TestMethod]
    public void GeluTanh_TakesExtremes() =>
        Agree("GeluTanhGrad", 1, 1e-6, TensorData.From<float>([0, -0f, 1e4f, -1e4f, 30, -30, float.NaN], 7), TensorData.From<float>([1, 1, 1, 1, 1, 1, 1], 7));

    [TestMethod]
    [DataRow(1, 1)]
    [DataRow(0, 5)]
    [DataRow(3, 7)]
    [DataRow(17, 1000)]
    [DataRow(40, 8193)]
    public void CrossEntropyRows_EqualItsBody(int rows, int classes)
    {
        float[] logits = Values(rows * classes, 3, 20);
        long[] labels = [.. Enumerable.Range(0, rows).Select(i => (long)(i * 31 % classes))];
        TensorData z = TensorData.From<float>(logits, rows, classes), at = TensorData.From<long>(labels, rows);
        Agree("CrossEntropyRows", 2, 2e-6, z, at);
        double[] sums = Run("CrossEntropyRows", 2, kernels: false, 1, z, at)[1];
        Agree("CrossEntropyRowsGrad", 1, 5e-6, z, at, TensorData.From<float>([.. sums.Select(s => (float)s)], rows), TensorData.From<float>(Values(rows, 9), rows));
    }

    [TestMethod]
    public void LabelsOutsideOfTheRow_AreRefused() => StringAssert.Contains(
        Assert.ThrowsExactly<OnnxRuntimeException>(() => Run("CrossEntropyRows", 2, kernels: true, 1, TensorData.From<float>(new float[6], 2, 3), TensorData.From<long>([1, 3], 2))).Message,
        "label 3 of row 1 is outside of the 3 classes");

    [TestMethod]
    public void EveryFunction_HasAKernelOfItsName()
    {
        foreach (string name in FunctionLibrary.Names) Assert.IsTrue(KernelCatalog.Supports(name), name);
    }
}
