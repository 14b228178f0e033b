using OrtCpr.Graph;
using OrtCpr.Tests.Functions;

namespace OrtCpr.Tests.Cuda;

/// <summary>Kernels of training graphs for the GPU against their bodies.</summary>
[TestClass]
public sealed class CudaFunctionTests
{
    private static FunctionRun Run(string name, int outputs, params (string, object)[] attributes) =>
        new(name, outputs, attributes) { OnGpu = true };

    private static TensorData Extremes => TensorData.From<float>([0, -0f, 1e4f, -1e4f, 30, -30, float.NaN, 1, -1], 9);

    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    [DataRow(33)]
    [DataRow(5003)]
    public void Elements(int n)
    {
        TensorData x = FunctionRun.Tensor(1, n), dy = FunctionRun.Tensor(2, n);
        Run("GeluTanh", 1).Agree(1e-6, x);
        Run("GeluTanhGrad", 1).Agree(1.2e-5, x, dy);
        Run("GeluErf", 1).Agree(1e-6, x);
        Run("GeluErfGrad", 1).Agree(2e-6, x, dy);
        Run("ReluGrad", 1).Agree(0, x, dy);
    }

    [TestMethod]
    public void Elements_OfExtremes()
    {
        TensorData ones = TensorData.From<float>([1, 1, 1, 1, 1, 1, 1, 1, 1], 9);
        Run("GeluTanh", 1).Agree(1e-6, Extremes);
        Run("GeluErf", 1).Agree(1e-6, Extremes);
        Run("GeluTanhGrad", 1).Agree(1e-6, TensorData.From<float>([0, -0f, 1e4f, -1e4f, 30, -30, float.NaN], 7),
            TensorData.From<float>([1, 1, 1, 1, 1, 1, 1], 7));
        Run("ReluGrad", 1).Agree(0, Extremes, ones);
        Run("ReluGrad", 1).Agree(0, ones, Extremes);
    }

    [TestMethod]
    [DataRow(1, 1)]
    [DataRow(0, 5)]
    [DataRow(3, 7)]
    [DataRow(17, 300)]
    [DataRow(5, 2049)]
    public void CrossEntropy(int rows, int classes)
    {
        TensorData z = TensorData.From<float>(FunctionRun.Values(rows * classes, 3, 20), rows, classes),
            labels = TensorData.From<long>([.. Enumerable.Range(0, rows).Select(i => (long)(i * 31 % classes))], rows),
            dy = FunctionRun.Tensor(9, rows);
        Run("CrossEntropyRows", 2).Agree(2e-6, z, labels);
        TensorData sums = new FunctionRun("CrossEntropyRows", 2).Of(kernels: false, 1, z, labels)[1];
        Run("CrossEntropyRowsGrad", 1).Agree(5e-6, z, labels, sums, dy);
        Run("CrossEntropySmoothRows", 2, ("smoothing", 0.1f)).Agree(2e-6, z, labels);
        Run("CrossEntropySmoothRowsGrad", 1, ("smoothing", 0.1f)).Agree(5e-6, z, labels, sums, dy);
    }

    // A masked class has a loss; a row that does not count may hold anything.
    [TestMethod]
    public void CrossEntropy_OfInfinities()
    {
        Run("CrossEntropyRows", 2).Agree(2e-6, TensorData.From<float>([1, float.NegativeInfinity, 2], 1, 3), TensorData.From<long>([2], 1));
        Run("CrossEntropyRowsGrad", 1).Agree(1e-6, TensorData.From<float>([1, 2, 3, float.NaN, float.PositiveInfinity, 0], 2, 3),
            TensorData.From<long>([2, 1], 2), TensorData.From<float>([3.4f, float.NaN], 2), TensorData.From<float>([0.5f, 0], 2));
    }

    private static IEnumerable<object[]> Shapes => Each([1, 1], [3, 7], [2, 3, 9], [33, 16], [1, 1025], [7, 301], [70, 31], [0, 5], [11]);

    private static IEnumerable<object[]> Each(params long[][] shapes) => shapes.Select(s => new object[] { s });

    [TestMethod]
    [DataRow(1, 1, 1)]
    [DataRow(7, 5, 40)]
    [DataRow(300, 3, 33)]
    [DataRow(2, 65, 200)]
    [DataRow(4, 3, 0)]
    public void Embedding(int rows, int width, int places) =>
        Run("EmbeddingGrad", 1).Agree(3e-6, FunctionRun.Tensor(1, rows, width),
            FunctionRun.Places(rows, places), FunctionRun.Tensor(2, places, width));

    // One row at most places, as padding is; across segments of 64.
    [TestMethod]
    [DataRow(5, 3, 64)]
    [DataRow(5, 33, 65)]
    [DataRow(3, 7, 300)]
    public void Embedding_OfOneRowAtMostPlaces(int rows, int width, int places) =>
        Run("EmbeddingGrad", 1).Agree(3e-6, FunctionRun.Tensor(1, rows, width),
            TensorData.From<long>([.. Enumerable.Range(0, places).Select(i => i % 50 == 7 ? i % rows : rows - 1L)], places),
            FunctionRun.Tensor(2, places, width));

    [TestMethod]
    [DataRow(1, 0, new long[] { 7, 5 })]
    [DataRow(1, 0, new long[] { 300, 33 })]
    [DataRow(2, 0, new long[] { 3, 40, 70 })]
    [DataRow(2, 0, new long[] { 0, 4, 3 })]
    [DataRow(1, 2, new long[] { 4, 3, 5, 7 })]
    [DataRow(1, 1, new long[] { 33, 2, 300 })]
    [DataRow(1, 2, new long[] { 2, 5, 1, 1 })]
    [DataRow(1, 1, new long[] { 2, 3, 0 })]
    [DataRow(1, 1, new long[] { 2, 3, 4, 5 })]
    [DataRow(1, 0, new long[] { 5, 0 })]
    public void OuterSum(int first, int last, long[] shape)
    {
        long[] axes = [.. Enumerable.Range(0, shape.Length).Where(i => i < first || i >= shape.Length - last).Select(i => (long)i)];
        FunctionRun run = Run("OuterSum", 1, ("axes", axes), ("around", new long[] { first, last }));
        (run with { Definition = Graph.Operators.OuterSum.Definition }).Agree(3e-6, FunctionRun.Tensor(1, shape));
    }

    [TestMethod]
    [DynamicData(nameof(Shapes))]
    public void Softmax(long[] shape)
    {
        TensorData x = TensorData.From<float>(FunctionRun.Values(shape.Aggregate(1L, (n, d) => n * d), 1, 30), shape);
        Run("SoftmaxGrad", 1).Agree(2e-6, new FunctionRun("Softmax", 1).Of(false, 1, x)[0], FunctionRun.Tensor(2, shape));
    }

    [TestMethod]
    [DynamicData(nameof(Shapes))]
    public void RowNormalization(long[] shape)
    {
        for (int axis = 0; axis < shape.Length; axis++)
        {
            long[] row = [.. shape.Skip(axis)], statistics = [.. shape.Select((d, i) => i < axis ? d : 1)];
            if (row.Contains(0)) continue;
            TensorData x = FunctionRun.Tensor(1, shape), gain = FunctionRun.Tensor(2, row), dy = FunctionRun.Tensor(3, shape),
                mean = FunctionRun.Tensor(4, statistics);
            TensorData inverse = TensorData.From<float>([.. FunctionRun.Values(mean.ElementCount, 5).Select(v => Math.Abs(v) / 4)],
                statistics);
            (string, object)[] axes = [("axes", Enumerable.Range(axis, shape.Length - axis).Select(i => (long)i).ToArray()),
                ("leading", Enumerable.Range(0, axis).Select(i => (long)i).ToArray())];
            Run("LayerNormGrad", 3, axes).Agree(3e-5, x, gain, mean, inverse, dy);
            Run("RmsNormGrad", 2, [.. axes, ("epsilon", 1e-3f)]).Agree(3e-5, x, gain, dy);
        }
    }

    private static IEnumerable<object[]> Images =>
        Each([2, 1, 1], [4, 3, 2, 2], [3, 5, 7], [1, 2, 33], [2, 3, 40, 70], [33, 4, 8, 8], [7, 1], [9, 19]);

    [TestMethod]
    [DynamicData(nameof(Images))]
    public void BatchNormalization(long[] shape)
    {
        object axes = Enumerable.Range(0, shape.Length).Where(i => i != 1).Select(i => (long)i).ToArray();
        TensorData x = TensorData.From<float>([.. FunctionRun.Values(shape.Aggregate(1L, (n, d) => n * d), 1).Select(v => v + 3)], shape),
            gain = FunctionRun.Tensor(2, shape[1]), bias = FunctionRun.Tensor(3, shape[1]), skip = FunctionRun.Tensor(4, shape),
            dy = FunctionRun.Tensor(5, shape);
        // A channel of two near elements divides their rounding, 4e-7 around 3, by their deviation.
        double tolerance = shape.Where((_, i) => i != 1).Aggregate(1L, (n, d) => n * d) < 8 ? 2e-5 : 3e-6;
        (string, object)[] forward = [("epsilon", 1e-3f), ("axes", axes)];
        Run("BatchNorm", 4, forward).Agree(tolerance, x, gain, bias);
        Run("BatchNormRelu", 4, forward).Agree(tolerance, x, gain, bias);
        Run("BatchNormAddRelu", 4, forward).Agree(tolerance, x, gain, bias, skip);
        TensorData[] y = new FunctionRun("BatchNormRelu", 4, forward).Of(kernels: false, 1, x, gain, bias);
        Run("BatchNormGrad", 3, ("axes", axes)).Agree(5e-5, x, gain, y[1], y[3], dy);
        Run("BatchNormReluGrad", 3, ("axes", axes)).Agree(5e-5, x, gain, y[1], y[3], y[0], dy);
    }
}
