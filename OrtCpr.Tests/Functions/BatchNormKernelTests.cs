using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;

namespace OrtCpr.Tests.Functions;

// Kernels of batch normalisation against their bodies: whole and cut vectors, one column a channel, several blocks of a sum, one channel,
// one example.
[TestClass]
public sealed class BatchNormKernelTests
{
    private static readonly long[][] Shapes =
        [[2, 1, 1], [4, 3, 2, 2], [3, 5, 7], [1, 2, 33], [5, 4, 3, 5], [2, 3, 40, 70], [33, 4, 8, 8], [2, 3, 2, 3, 4], [7, 1], [9, 19],
            [64, 32], [3, 0, 4], [2, 3, 0]];

    private static (string, object)[] Attributes(int rank, bool forward)
    {
        object axes = Enumerable.Range(0, rank).Where(i => i != 1).Select(i => (long)i).ToArray();
        return forward ? [("epsilon", 1e-3f), ("axes", axes)] : [("axes", axes)];
    }

    private static TensorData Shifted(long[] shape, int seed) =>
        TensorData.From<float>([.. FunctionRun.Values(shape.Aggregate(1L, (n, d) => n * d), seed).Select(v => v + 3)], shape);

    [TestMethod]
    public void Forward_EqualsItsBody()
    {
        foreach (long[] shape in Shapes)
        {
            TensorData x = Shifted(shape, 1), gain = FunctionRun.Tensor(2, shape[1]), bias = FunctionRun.Tensor(3, shape[1]),
                skip = FunctionRun.Tensor(4, shape);
            (string, object)[] attributes = Attributes(shape.Length, true);
            // A channel of two near elements divides their rounding, 4e-7 around 3, by their deviation.
            double tolerance = shape.Where((_, i) => i != 1).Aggregate(1L, (n, d) => n * d) < 8 ? 2e-5 : 3e-6;
            new FunctionRun("BatchNorm", 4, attributes).Agree(tolerance, x, gain, bias);
            new FunctionRun("BatchNormRelu", 4, attributes).Agree(tolerance, x, gain, bias);
            new FunctionRun("BatchNormAddRelu", 4, attributes).Agree(tolerance, x, gain, bias, skip);
        }
    }

    [TestMethod]
    public void Gradient_EqualsItsBody()
    {
        foreach (long[] shape in Shapes)
        {
            TensorData x = Shifted(shape, 1), gain = FunctionRun.Tensor(2, shape[1]), bias = FunctionRun.Tensor(3, shape[1]),
                dy = FunctionRun.Tensor(5, shape);
            TensorData[] forward = new FunctionRun("BatchNormRelu", 4, Attributes(shape.Length, true)).Of(kernels: false, 1, x, gain, bias);
            (string, object)[] attributes = Attributes(shape.Length, false);
            // Terms reach 40, and their sums, of which dγ and dβ are made, grow with the root of their number.
            new FunctionRun("BatchNormGrad", 3, attributes).Agree(5e-5, x, gain, forward[1], forward[3], dy);
            new FunctionRun("BatchNormReluGrad", 3, attributes).Agree(5e-5, x, gain, forward[1], forward[3], forward[0], dy);
        }
    }

    [TestMethod]
    public void ReluGrad_EqualsItsBody_ToTheBit()
    {
        foreach (int n in new[] { 0, 1, 7, 8, 31, 50_003 })
        {
            new FunctionRun("ReluGrad", 1).Agree(0, FunctionRun.Tensor(6, n), FunctionRun.Tensor(7, n));
        }
        new FunctionRun("ReluGrad", 1)
            .Agree(0, TensorData.From<float>([0, -0f, float.NaN, 1, -1], 5), TensorData.From<float>([1, 1, 1, float.NaN, float.NaN], 5));
    }

    [TestMethod]
    public void NotANumber_StaysInItsChannel()
    {
        TensorData x = Shifted([2, 2, 9], 1);
        float[] values = [.. x.ToDoubles().Select(v => (float)v)];
        values[3] = float.NaN;
        double[] y = new FunctionRun("BatchNormRelu", 4, Attributes(3, true))
            .Of(true, 1, TensorData.From<float>(values, 2, 2, 9), FunctionRun.Tensor(2, 2), FunctionRun.Tensor(3, 2))[0].ToDoubles();
        for (int i = 0; i < y.Length; i++) Assert.AreEqual(i / 9 % 2 == 0, double.IsNaN(y[i]), $"element {i}");
    }

    [TestMethod]
    public void OperandsOfOtherSizes_AreRefused()
    {
        var run = new FunctionRun("BatchNorm", 4, Attributes(3, true));
        StringAssert.Contains(Assert.ThrowsExactly<OnnxRuntimeException>(() =>
            run.Of(true, 1, FunctionRun.Tensor(1, 2, 3, 4), FunctionRun.Tensor(2, 2), FunctionRun.Tensor(3, 3))).Message,
            "'gain' has 2 elements, expected 3");
        StringAssert.Contains(Assert.ThrowsExactly<OnnxRuntimeException>(() =>
            run.Of(true, 1, FunctionRun.Tensor(1, 2), FunctionRun.Tensor(2, 2), FunctionRun.Tensor(3, 2))).Message,
            "'x' has rank 1, expected 2 or more");
    }
}
