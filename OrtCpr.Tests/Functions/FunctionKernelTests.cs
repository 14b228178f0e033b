using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;

namespace OrtCpr.Tests.Functions;

// The function body is the specification, the kernel the fast way: one node, run both ways.
[TestClass]
public sealed class FunctionKernelTests
{
    private static readonly int[] Lengths = [.. Enumerable.Range(0, 68), 1000, 1025, 50_003];

    private static float[] Values(int length, int seed, float spread = 4) => FunctionRun.Values(length, seed, spread);

    private static void Agree(string name, int outputs, double tolerance, params TensorData[] inputs) =>
        new FunctionRun(name, outputs).Agree(tolerance, inputs);

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
    public void GeluErf_EqualsItsBody_AtEveryLength()
    {
        foreach (int n in Lengths)
        {
            TensorData x = TensorData.From<float>(Values(n, n), n), dy = TensorData.From<float>(Values(n, n + 1), n);
            // erf within 2e-7 on either side, times |x|, which reaches 4.
            Agree("GeluErf", 1, 1e-6, x);
            Agree("GeluErfGrad", 1, 2e-6, x, dy);
        }
        Agree("GeluErf", 1, 1e-6, TensorData.From<float>([0, -0f, 1e4f, -1e4f, 30, -30, float.NaN, 1, -1], 9));
    }

    [TestMethod]
    public void CrossEntropy_OfMaskedClasses_HasALoss() =>
        Agree("CrossEntropyRows", 2, 2e-6, TensorData.From<float>([1, float.NegativeInfinity, 2], 1, 3), TensorData.From<long>([2], 1));

    [TestMethod]
    public void GeluTanh_TakesExtremes() =>
        Agree("GeluTanhGrad", 1, 1e-6, TensorData.From<float>([0, -0f, 1e4f, -1e4f, 30, -30, float.NaN], 7),
            TensorData.From<float>([1, 1, 1, 1, 1, 1, 1], 7));

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
        TensorData sums = new FunctionRun("CrossEntropyRows", 2).Of(kernels: false, 1, z, at)[1],
            dy = TensorData.From<float>(Values(rows, 9), rows);
        Agree("CrossEntropyRowsGrad", 1, 5e-6, z, at, sums, dy);
        new FunctionRun("CrossEntropySmoothRows", 2, ("smoothing", 0.1f)).Agree(2e-6, z, at);
        new FunctionRun("CrossEntropySmoothRowsGrad", 1, ("smoothing", 0.1f)).Agree(5e-6, z, at, sums, dy);
    }

    [TestMethod]
    public void EmbeddingGrad_EqualsItsBody()
    {
        (int, int, int)[] sizes = [(1, 1, 1), (7, 5, 40), (3000, 33, 700), (2, 70_000, 20), (4, 3, 0), (0, 3, 0)];
        foreach ((int rows, int width, int places) in sizes)
        {
            Agree("EmbeddingGrad", 1, 3e-6, FunctionRun.Tensor(1, rows, width), FunctionRun.Places(rows, places),
                FunctionRun.Tensor(2, places, width));
        }
        // Places of two axes, and a table of one.
        Agree("EmbeddingGrad", 1, 1e-6, FunctionRun.Tensor(1, 4, 3), TensorData.From<long>([3, 0, 3, 3], 2, 2),
            FunctionRun.Tensor(2, 2, 2, 3));
        Agree("EmbeddingGrad", 1, 1e-6, FunctionRun.Tensor(1, 4), TensorData.From<long>([3, 0, 3], 3), FunctionRun.Tensor(2, 3));
    }

    [TestMethod]
    public void LabelsOutsideOfTheRow_AreRefused() => StringAssert.Contains(
        Assert.ThrowsExactly<OnnxRuntimeException>(() =>
            new FunctionRun("CrossEntropyRows", 2)
            .Of(kernels: true, 1, TensorData.From<float>(new float[6], 2, 3), TensorData.From<long>([1, 3], 2))).Message,
        "label 3 of row 1 is outside of the 3 classes");

    /// <summary>Equal logits get equal gradients, whether their column is in a whole vector or in the rest of the row.</summary>
    [TestMethod]
    public void CrossEntropyGradient_DoesNotDependOnTheColumn()
    {
        const int Rows = 200, Classes = 37;
        float[] values = Values(Rows, 5);
        TensorData z = TensorData.From<float>([.. values.SelectMany(v => Enumerable.Repeat(v, Classes))], Rows, Classes);
        TensorData at = TensorData.From<long>(new long[Rows], Rows), dy = TensorData.From<float>([.. Enumerable.Repeat(1f, Rows)], Rows);
        TensorData sums = new FunctionRun("CrossEntropyRows", 2).Of(kernels: true, 1, z, at)[1];
        float[] gradient = new FunctionRun("CrossEntropyRowsGrad", 1).Of(kernels: true, 1, z, at, sums, dy)[0].AsSpan<float>().ToArray();
        for (int row = 0; row < Rows; row++)
        {
            float[] others = gradient[((row * Classes) + 1)..((row + 1) * Classes)];
            Assert.HasCount(1, others.Distinct().ToArray(), $"row {row}");
        }
    }
}
