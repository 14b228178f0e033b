using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.DataSources;

// Features that are computed once and kept in a file.
[TestClass]
public sealed class FeatureSourceTests
{
    private static DataSource Examples(int count) => DataSource.FromTensors(new Dictionary<string, TensorData>
    {
        ["x"] = TensorData.From<float>([.. Enumerable.Range(0, count * 4).Select(i => MathF.Sin(i))], count, 4),
        ["labels"] = TensorData.From<long>([.. Enumerable.Range(0, count).Select(i => i % 3L)], count),
    });

    private static ModelPredictor Open(TemporaryFolder folder, byte[] model)
    {
        File.WriteAllBytes(folder["body.onnx"], model);
        return ModelPredictor.Create(folder["body.onnx"], new DriverOptions { Threads = 1 });
    }

    [TestMethod]
    public void Features_AreTheModelsOutputs_WithTheOtherColumnsBeside()
    {
        using var folder = new TemporaryFolder();
        using DataSource source = Examples(11);
        using ModelPredictor model = Open(folder, TestModels.Linear());
        using (FeatureSource features = FeatureSource.Compute(model, source, new DataLoaderOptions { BatchSize = 4, DropLast = true },
            folder["features"]))
        {
            Assert.AreEqual(11, features.Count);
            CollectionAssert.AreEqual(new[] { "logits", "labels" }, features.Columns.Select(c => c.Name).ToArray());
            using Batch all = new Batch().Add("x", Enumerable.Range(0, 44).Select(i => MathF.Sin(i)).ToArray(), 11, 4);
            using Prediction prediction = model.Predict(all);
            float[] expected = prediction["logits"].GetTensorDataAsSpan<float>().ToArray();
            float[] row = new float[3];
            long[] label = new long[1];
            for (int i = 10; i >= 0; i--)
            {
                features.Read(0, i, System.Runtime.InteropServices.MemoryMarshal.AsBytes(row.AsSpan()));
                features.Read(1, i, System.Runtime.InteropServices.MemoryMarshal.AsBytes(label.AsSpan()));
                CollectionAssert.AreEqual(expected[(i * 3)..((i * 3) + 3)], row, $"example {i}");
                Assert.AreEqual(i % 3L, label[0]);
            }
            StringAssert.Contains(Assert.ThrowsExactly<FileAccessException>(() => FeatureSource.Compute(model, source,
                new DataLoaderOptions(), folder["features"])).Message, "features");
        }
        Assert.IsFalse(File.Exists(folder["features"]), "deleted with the source");
    }

    [TestMethod]
    public void FeaturesWithoutARowForEachExample_AreRefused_AndNothingIsLeft()
    {
        using var folder = new TemporaryFolder();
        OnnxModel model = OnnxModel.Create("whole", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 4));
        Value product = g.Op("MatMul", [x, TestModels.Weight(graph, "w", 4, 3)]);
        graph.Outputs.Add(g.Named(g.Op("Transpose", [product], ("perm", new long[] { 1, 0 })), "logits"));
        using DataSource source = Examples(5);
        using ModelPredictor body = Open(folder, GraphWriter.ToBytes(model));
        string message = Assert.ThrowsExactly<DataFileException>(() => FeatureSource.Compute(body, source,
            new DataLoaderOptions { BatchSize = 5 }, folder["features"])).Message;
        StringAssert.Contains(message, "expected the shape [5, ");
        Assert.IsFalse(File.Exists(folder["features"]));
    }

    [TestMethod]
    public void Cancelling_LeavesNothing()
    {
        using var folder = new TemporaryFolder();
        using DataSource source = Examples(5);
        using ModelPredictor model = Open(folder, TestModels.Linear());
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.ThrowsExactly<OperationCanceledException>(() => FeatureSource.Compute(model, source, new DataLoaderOptions(),
            folder["features"], cancellation: cancelled.Token));
        Assert.IsFalse(File.Exists(folder["features"]));
    }
}
