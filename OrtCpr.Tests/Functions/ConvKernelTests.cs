using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Ir;
using OrtCpr.Sessions;
using OrtCpr.Tests.Cuda;

namespace OrtCpr.Tests.Functions;

// The kernels of a convolution and its gradients against their bodies, which are convolutions by standard operators, and against sums in
// double.
[TestClass]
public sealed class ConvKernelTests
{
    private sealed record Job(long N, long C, long H, long W, long M, long[] Kernel, long[] Strides, long[] Dilations, long[] Pads)
    {
        public long Output(int axis, long size) =>
            ((size + Pads[axis] + Pads[2 + axis] - (((Kernel[axis] - 1) * Dilations[axis]) + 1)) / Strides[axis]) + 1;
    }

    private static readonly Job[] Jobs =
    [
        new(1, 1, 1, 1, 1, [1, 1], [1, 1], [1, 1], [0, 0, 0, 0]),
        new(2, 3, 5, 7, 4, [3, 3], [1, 1], [1, 1], [1, 1, 1, 1]),
        new(3, 2, 9, 8, 5, [3, 2], [2, 3], [1, 2], [0, 1, 2, 3]),
        new(2, 4, 6, 6, 3, [1, 1], [2, 2], [1, 1], [0, 0, 0, 0]),
        new(1, 2, 4, 4, 2, [3, 3], [1, 1], [3, 3], [3, 4, 3, 2]),
        new(2, 1, 3, 3, 2, [3, 3], [1, 1], [1, 1], [5, 5, 5, 5]),
        // Several blocks: parts of an image, and groups of images that end inside one.
        new(2, 64, 70, 61, 2, [5, 5], [1, 1], [1, 1], [2, 2, 2, 2]),
        new(13, 200, 11, 13, 3, [3, 3], [1, 1], [1, 1], [1, 1, 1, 1]),
        new(0, 2, 4, 4, 3, [3, 3], [1, 1], [1, 1], [1, 1, 1, 1]),
        // By tiles: whole ones, cut ones, channels that are no whole vectors, every padding, several blocks, several chunks of outputs.
        new(4, 32, 8, 8, 32, [3, 3], [1, 1], [1, 1], [1, 1, 1, 1]),
        new(3, 35, 13, 10, 41, [3, 3], [1, 1], [1, 1], [0, 2, 1, 0]),
        new(2, 33, 9, 75, 32, [3, 3], [1, 1], [1, 1], [2, 0, 2, 1]),
        new(4, 32, 64, 64, 32, [3, 3], [1, 1], [1, 1], [1, 1, 1, 1]),
        new(16, 260, 4, 4, 230, [3, 3], [1, 1], [1, 1], [1, 1, 1, 1]),
    ];

    private static float[] Values(long length, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, (int)length).Select(_ => (random.NextSingle() * 2) - 1)];
    }

    private static readonly string[] Names = ["dW", "dx", "y", "y with bias"];

    // dW, dx and y of one job, the last without and with a bias.
    private static double[][] Run(Job job, float[] x, float[] w, float[] dy, float[] bias, bool kernels, int threads,
        bool onGpu = false)
    {
        OnnxModel model = OnnxModel.Create("function", 18);
        long[] sizes = [job.N, job.M, job.Output(0, job.H), job.Output(1, job.W)], image = [job.N, job.C, job.H, job.W],
            weight = [job.M, job.C, .. job.Kernel];
        Value Input(string name, long[] dims) => model.Graph.AddInput(name, ElementType.Float, Shape.Of(dims));
        Value xs = Input("x", image), ws = Input("w", weight), dys = Input("dy", sizes), biases = Input("bias", [job.M]);
        var g = new GraphBuilder(model.Graph);
        model.Graph.Outputs.Add(Convolution.WeightGradOf(g, xs, ws, dys, job.Strides, job.Dilations, job.Pads));
        model.Graph.Outputs.Add(Convolution.InputGradOf(g, xs, ws, dys, job.Strides, job.Dilations, job.Pads));
        (string, object)[] geometry = [("strides", job.Strides), ("dilations", job.Dilations), ("pads", job.Pads)];
        model.Graph.Outputs.Add(GraphBuilder.Like(g.Op($"{OperatorDefinition.Domain}.ConvForward", [xs, ws], geometry), dys));
        model.Graph.Outputs.Add(GraphBuilder.Like(g.Op($"{OperatorDefinition.Domain}.ConvForwardBias", [xs, ws, biases], geometry), dys));
        OperatorTable.Attach(model);
        using Device device = onGpu ? KernelDevice.Open() : new CpuDevice();
        using var session = new GraphSession(model, "function", new DriverOptions { Threads = threads, Kernels = kernels }, device);
        if (onGpu) Assert.AreEqual(2, session.Kernels.Count(k => k.BodyReason is null));
        using Batch batch = new Batch().Add("x", x, image).Add("w", w, weight).Add("dy", dy, sizes).Add("bias", bias, job.M);
        using IDisposableReadOnlyCollection<OrtValue> results =
            session.Session.Run(session.RunOptions, [.. batch.Tensors.Keys], [.. batch.Tensors.Values], session.Session.OutputNames);
        return [.. results.Select(r => Device.ReadOnHost(r).ToDoubles())];
    }

    // The results, and the sums of the sizes of their terms, which rounding is in proportion to.
    private static (double[][] Sums, double[][] Sizes) Reference(Job job, float[] x, float[] w, float[] dy, float[] bias)
    {
        long oh = job.Output(0, job.H), ow = job.Output(1, job.W);
        double[] dw = new double[w.Length], dwSize = new double[w.Length], dx = new double[x.Length], dxSize = new double[x.Length],
            y = new double[dy.Length], ySize = new double[dy.Length];
        for (long at = 0; at < w.Length; at++)
        {
            long j = at % job.Kernel[1], i = at / job.Kernel[1] % job.Kernel[0], c = at / (job.Kernel[0] * job.Kernel[1]) % job.C,
                m = at / (job.Kernel[0] * job.Kernel[1] * job.C);
            for (long t = 0; t < job.N * oh * ow; t++)
            {
                long q = t % ow, p = t / ow % oh, n = t / (oh * ow);
                long row = (p * job.Strides[0]) - job.Pads[0] + (i * job.Dilations[0]), column = (q * job.Strides[1]) - job.Pads[1]
                    + (j * job.Dilations[1]);
                if (row < 0 || row >= job.H || column < 0 || column >= job.W) continue;
                long from = (((((n * job.C) + c) * job.H) + row) * job.W) + column, to = (((((n * job.M) + m) * oh) + p) * ow) + q;
                double term = (double)x[from] * dy[to], back = (double)w[at] * dy[to], ahead = (double)w[at] * x[from];
                dw[at] += term;
                dwSize[at] += Math.Abs(term);
                dx[from] += back;
                dxSize[from] += Math.Abs(back);
                y[to] += ahead;
                ySize[to] += Math.Abs(ahead);
            }
        }
        return ([dw, dx, y, [.. y.Select((v, i) => v + bias[i / (oh * ow) % job.M])]], [dwSize, dxSize, ySize, ySize]);
    }

    public static IEnumerable<object[]> Numbers => Enumerable.Range(0, Jobs.Length).Select(i => new object[] { i });

    [TestMethod]
    [DynamicData(nameof(Numbers))]
    public void Kernels_EqualTheSums_AndTheirBodies(int number)
    {
        Job job = Jobs[number];
        float[] x = Values(job.N * job.C * job.H * job.W, 1), dy = Values(job.N * job.M * job.Output(0, job.H) * job.Output(1, job.W), 2),
            w = Values(job.M * job.C * job.Kernel[0] * job.Kernel[1], 3), bias = Values(job.M, 4);
        (double[][] sums, double[][] sizes) = Reference(job, x, w, dy, bias);
        double[][] one = Run(job, x, w, dy, bias, kernels: true, 1), two = Run(job, x, w, dy, bias, kernels: true, 2);
        // ONNX Runtime's Conv gives nothing for a batch of none.
        double[][] body = job.N == 0 ? one : Run(job, x, w, dy, bias, kernels: false, 1);
        for (int o = 0; o < sums.Length; o++)
        {
            string what = Names[o];
            CollectionAssert.AreEqual(one[o], two[o], $"{what}: one and two threads");
            Assert.HasCount(sums[o].Length, one[o]);
            // Float32 sums by blocks: a few roundings of the sum of the terms' sizes.
            for (int i = 0; i < sums[o].Length; i++)
            {
                Assert.AreEqual(sums[o][i], one[o][i], 1e-6 * (1 + sizes[o][i]), $"{what} by the kernel, element {i}");
                Assert.AreEqual(sums[o][i], body[o][i], 1e-6 * (1 + sizes[o][i]), $"{what} by the body, element {i}");
            }
        }
    }

    // Unequal padding, what strides leave over, no images: what stands between our operators and a library of convolutions.
    [TestMethod]
    [DynamicData(nameof(Numbers))]
    public void OperatorsForTheGpu_EqualTheSums(int number)
    {
        Job job = Jobs[number];
        if (job.N * job.C * job.H * job.W * job.M * job.Kernel[0] > 500_000) return;
        float[] x = Values(job.N * job.C * job.H * job.W, 1), dy = Values(job.N * job.M * job.Output(0, job.H) * job.Output(1, job.W), 2),
            w = Values(job.M * job.C * job.Kernel[0] * job.Kernel[1], 3), bias = Values(job.M, 4);
        (double[][] sums, double[][] sizes) = Reference(job, x, w, dy, bias);
        double[][] found = Run(job, x, w, dy, bias, kernels: true, 1, onGpu: true);
        for (int o = 0; o < (job.N == 0 ? 2 : 4); o++)
        {
            Assert.HasCount(sums[o].Length, found[o]);
            for (int i = 0; i < sums[o].Length; i++)
                Assert.AreEqual(sums[o][i], found[o][i], 1e-6 * (1 + sizes[o][i]), $"{Names[o]}, element {i}");
        }
    }

    [TestMethod]
    public void ShapesThatDoNotBelongTogether_AreRefused()
    {
        OnnxModel model = OnnxModel.Create("function", 18);
        Value[] inputs = [.. new[] { "x", "w", "dy" }.Select(n => model.Graph.AddInput(n, ElementType.Float, Shape.Of(1, 1, 3, 3)))];
        model.Graph.Outputs.Add(Convolution.WeightGradOf(new GraphBuilder(model.Graph), inputs[0], inputs[1], inputs[2], [1, 1], [1, 1],
            [0, 0, 0, 0]));
        OperatorTable.Attach(model);
        using var device = new CpuDevice();
        using var session = new GraphSession(model, "function", new DriverOptions { Threads = 1 }, device);
        using Batch batch = new Batch().Add("x", new float[9], 1, 1, 3, 3).Add("w", new float[9], 1, 1, 3, 3)
            .Add("dy", new float[9], 1, 1, 3, 3);
        OnnxRuntimeException error = Assert.ThrowsExactly<OnnxRuntimeException>(() =>
            session.Session.Run(session.RunOptions, [.. batch.Tensors.Keys], [.. batch.Tensors.Values], session.Session.OutputNames)
                .Dispose());
        StringAssert.Contains(error.Message, "do not belong to one convolution");
    }
}
