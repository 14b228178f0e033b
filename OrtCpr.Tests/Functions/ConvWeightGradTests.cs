using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Functions;
using OrtCpr.Graph.Ir;
using OrtCpr.Sessions;

namespace OrtCpr.Tests.Functions;

// The kernel of a convolution's weight gradient against its body, which is a convolution by standard operators, and against a sum in double.
[TestClass]
public sealed class ConvWeightGradTests
{
    private sealed record Job(long N, long C, long H, long W, long M, long[] Kernel, long[] Strides, long[] Dilations, long[] Pads)
    {
        public long Output(int axis, long size) => ((size + Pads[axis] + Pads[2 + axis] - (((Kernel[axis] - 1) * Dilations[axis]) + 1)) / Strides[axis]) + 1;
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
    ];

    private static float[] Values(long length, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, (int)length).Select(_ => (random.NextSingle() * 2) - 1)];
    }

    private static double[] Run(Job job, float[] x, float[] dy, bool kernels, int threads)
    {
        OnnxModel model = OnnxModel.Create("function", 18);
        long[] sizes = [job.N, job.M, job.Output(0, job.H), job.Output(1, job.W)], weight = [job.M, job.C, .. job.Kernel];
        Value[] inputs = [model.Graph.AddInput("x", ElementType.Float, Shape.Of(job.N, job.C, job.H, job.W)), model.Graph.AddInput("w", ElementType.Float, Shape.Of(weight)), model.Graph.AddInput("dy", ElementType.Float, Shape.Of(sizes))];
        model.Graph.Outputs.Add(FunctionLibrary.ConvWeightGrad(new GraphBuilder(model.Graph), inputs[0], inputs[1], inputs[2], job.Strides, job.Dilations, job.Pads));
        FunctionLibrary.Attach(model);
        using var device = new CpuDevice();
        using var session = new GraphSession(model, "function", new DriverOptions { Threads = threads, Kernels = kernels }, device);
        using Batch batch = new Batch().Add("x", x, job.N, job.C, job.H, job.W).Add("w", new float[weight.Aggregate((a, b) => a * b)], weight).Add("dy", dy, sizes);
        using IDisposableReadOnlyCollection<OrtValue> results = session.Session.Run(session.RunOptions, [.. batch.Tensors.Keys], [.. batch.Tensors.Values], session.Session.OutputNames);
        return Device.ReadOnHost(results[0]).ToDoubles();
    }

    // dW[m,c,i,j] and the sum of the sizes of its terms, which rounding is in proportion to.
    private static (double[] Sum, double[] Size) Reference(Job job, float[] x, float[] dy)
    {
        long oh = job.Output(0, job.H), ow = job.Output(1, job.W);
        double[] sum = new double[job.M * job.C * job.Kernel[0] * job.Kernel[1]], size = new double[sum.Length];
        for (long at = 0; at < sum.Length; at++)
        {
            long j = at % job.Kernel[1], i = at / job.Kernel[1] % job.Kernel[0], c = at / (job.Kernel[0] * job.Kernel[1]) % job.C, m = at / (job.Kernel[0] * job.Kernel[1] * job.C);
            for (long t = 0; t < job.N * oh * ow; t++)
            {
                long q = t % ow, p = t / ow % oh, n = t / (oh * ow);
                long row = (p * job.Strides[0]) - job.Pads[0] + (i * job.Dilations[0]), column = (q * job.Strides[1]) - job.Pads[1] + (j * job.Dilations[1]);
                if (row < 0 || row >= job.H || column < 0 || column >= job.W) continue;
                double term = (double)x[(((((n * job.C) + c) * job.H) + row) * job.W) + column] * dy[(((((n * job.M) + m) * oh) + p) * ow) + q];
                sum[at] += term;
                size[at] += Math.Abs(term);
            }
        }
        return (sum, size);
    }

    public static IEnumerable<object[]> Numbers => Enumerable.Range(0, Jobs.Length).Select(i => new object[] { i });

    [TestMethod]
    [DynamicData(nameof(Numbers))]
    public void Kernel_EqualsTheSum_AndItsBody(int number)
    {
        Job job = Jobs[number];
        float[] x = Values(job.N * job.C * job.H * job.W, 1), dy = Values(job.N * job.M * job.Output(0, job.H) * job.Output(1, job.W), 2);
        (double[] sum, double[] size) = Reference(job, x, dy);
        double[] one = Run(job, x, dy, kernels: true, 1);
        CollectionAssert.AreEqual(one, Run(job, x, dy, kernels: true, 2), "one and two threads");
        // ONNX Runtime's Conv gives nothing for a batch of none.
        double[] body = job.N == 0 ? one : Run(job, x, dy, kernels: false, 1);
        Assert.HasCount(sum.Length, one);
        // Float32 sums by blocks: a few roundings of the sum of the terms' sizes.
        for (int i = 0; i < sum.Length; i++)
        {
            Assert.AreEqual(sum[i], one[i], 1e-6 * (1 + size[i]), $"kernel, element {i}");
            Assert.AreEqual(sum[i], body[i], 1e-6 * (1 + size[i]), $"body, element {i}");
        }
    }

    [TestMethod]
    public void ShapesThatDoNotBelongTogether_AreRefused()
    {
        OnnxModel model = OnnxModel.Create("function", 18);
        Value[] inputs = [.. new[] { "x", "w", "dy" }.Select(n => model.Graph.AddInput(n, ElementType.Float, Shape.Of(1, 1, 3, 3)))];
        model.Graph.Outputs.Add(FunctionLibrary.ConvWeightGrad(new GraphBuilder(model.Graph), inputs[0], inputs[1], inputs[2], [1, 1], [1, 1], [0, 0, 0, 0]));
        FunctionLibrary.Attach(model);
        using var device = new CpuDevice();
        using var session = new GraphSession(model, "function", new DriverOptions { Threads = 1 }, device);
        using Batch batch = new Batch().Add("x", new float[9], 1, 1, 3, 3).Add("w", new float[9], 1, 1, 3, 3).Add("dy", new float[9], 1, 1, 3, 3);
        OnnxRuntimeException error = Assert.ThrowsExactly<OnnxRuntimeException>(() =>
            session.Session.Run(session.RunOptions, [.. batch.Tensors.Keys], [.. batch.Tensors.Values], session.Session.OutputNames).Dispose());
        StringAssert.Contains(error.Message, "do not belong to one convolution");
    }
}
