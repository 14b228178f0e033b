using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;

namespace OrtCpr.Tests.Functions;

// Kernels that go row by row against their bodies: rows around the lengths of vectors and of blocks of a sum, one row, one column, none.
[TestClass]
public sealed class RowKernelTests
{
    private static readonly long[][] Shapes =
        [[1, 1], [3, 7], [5, 8], [2, 3, 9], [33, 16], [1, 1025], [7, 2050], [130, 31], [2, 2, 17, 24], [0, 5], [4, 0], [11]];

    [TestMethod]
    public void Softmax_EqualsItsBody()
    {
        foreach (long[] shape in Shapes)
        {
            TensorData y = new FunctionRun("Softmax", 1)
                .Agree(1e-6, TensorData.From<float>(FunctionRun.Values(shape.Aggregate(1L, (n, d) => n * d), 1, 30), shape))[0];
            new FunctionRun("SoftmaxGrad", 1).Agree(2e-6, y, FunctionRun.Tensor(2, shape));
        }
    }

    [TestMethod]
    public void Softmax_OfMaskedRows_AndOfNotANumber()
    {
        float low = float.NegativeInfinity;
        TensorData y = new FunctionRun("Softmax", 1)
            .Agree(1e-6, TensorData.From<float>([1, low, 2, low, low, 3, low, low, low, low, 5, low, -1e9f, 2, 1], 3, 5))[0];
        Assert.AreEqual(0, y.ToDoubles()[1]);
        double[] broken = new FunctionRun("Softmax", 1).Of(true, 1, TensorData.From<float>([1, float.NaN, 2, 1, 2, 3], 2, 3))[0]
            .ToDoubles();
        Assert.IsTrue(broken.Take(3).All(double.IsNaN) && !broken.Skip(3).Any(double.IsNaN));
    }

    private static (string, object)[] Axes(int rank, int axis, float? epsilon = null)
    {
        (string, object)[] axes =
            [("axes", Enumerable.Range(axis, rank - axis).Select(i => (long)i).ToArray()),
            ("leading", Enumerable.Range(0, axis).Select(i => (long)i).ToArray())];
        return epsilon is float e ? [.. axes, ("epsilon", e)] : axes;
    }

    [TestMethod]
    public void NormalizationGradients_EqualTheirBodies()
    {
        foreach (long[] shape in Shapes.Where(s => s[^1] != 0))
        {
            for (int axis = 0; axis < shape.Length; axis++)
            {
                long[] row = [.. shape.Skip(axis)], statistics = [.. shape.Select((d, i) => i < axis ? d : 1)];
                if (row.Contains(0)) continue;
                TensorData x = FunctionRun.Tensor(1, shape), gain = FunctionRun.Tensor(2, row), dy = FunctionRun.Tensor(3, shape),
                    mean = FunctionRun.Tensor(4, statistics);
                TensorData inverse =
                    TensorData.From<float>([.. FunctionRun.Values(mean.ElementCount, 5).Select(v => Math.Abs(v) / 4)], statistics);
                // Terms reach 30; sums over rows and columns grow with the root of their number.
                new FunctionRun("LayerNormGrad", 3, Axes(shape.Length, axis)).Agree(3e-5, x, gain, mean, inverse, dy);
                new FunctionRun("RmsNormGrad", 2, Axes(shape.Length, axis, 1e-3f)).Agree(3e-5, x, gain, dy);
            }
        }
    }

    [TestMethod]
    public void OperandsThatAreNoRows_AreRefused()
    {
        var run = new FunctionRun("RmsNormGrad", 2, Axes(2, 1, 1e-3f));
        StringAssert.Contains(Assert.ThrowsExactly<OnnxRuntimeException>(() =>
            run.Of(true, 1, FunctionRun.Tensor(1, 2, 4), FunctionRun.Tensor(1, 3), FunctionRun.Tensor(1, 2, 4))).Message,
            "no rows of 'gain'");
    }
}
