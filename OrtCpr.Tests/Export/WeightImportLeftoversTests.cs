using OrtCpr.Checkpoints;
using OrtCpr.Export;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Export;

/// <summary>Tensors that are left over on either side of an import, and twins.</summary>
[TestClass]
public sealed class WeightImportLeftoversTests
{
    private static string Fault(string name) => Path.Combine(AppContext.BaseDirectory, "Data", "faults", name);

    private static TensorData Numbers(int seed, params long[] dims)
    {
        var random = new Random(seed);
        return TensorData.From<float>([.. Enumerable.Range(0, (int)dims.Aggregate(1L, (n, d) => n * d)).Select(_ => random.NextSingle())],
            dims);
    }

    private static void Write(string path, params (string Name, TensorData Value)[] tensors) => SafetensorsFile.Write(path,
        tensors.Select(t => new SafetensorsEntry(t.Name, t.Value.Type, t.Value.Dimensions, s => s.Write(t.Value.Bytes.Span))),
        new Dictionary<string, string>());

    private static Dictionary<string, float[]> Values(string model) => GraphReader.Read(ModelFile.Load(model)).Graph.Initializers
        .Where(i => i.Data!.Type == ElementType.Float).ToDictionary(i => i.Name, i => i.Data!.ToArray<float>());

    // ids [2] → rows of wte [5, 3] → · head [3, 5], wte's transpose where they are tied, + bias.
    private static void Tied(string path)
    {
        OnnxModel model = OnnxModel.Create("tied", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value ids = graph.AddInput("ids", ElementType.Int64, Shape.Of(2));
        TensorData table = Numbers(1, 5, 3);
        Value rows = g.Op("Gather", [graph.AddInitializer("wte.weight", table), ids]);
        Value head = graph.AddInitializer("onnx::MatMul_7", OrtCpr.Graph.Parameters.TensorTwins.Transpose(table));
        graph.Outputs.Add(g.Named(g.Add(g.MatMul(rows, head), graph.AddInitializer("bias", Numbers(2, 5))), "y"));
        File.WriteAllBytes(path, GraphWriter.ToBytes(model));
    }

    [TestMethod]
    public void AnUnfilledTensor_IsRefused_UnlessAllowed()
    {
        using var folder = new TemporaryFolder();
        string model = Fault("partial_state_dict.onnx"), weights = Fault("partial_state_dict.safetensors");
        CheckpointException error =
            Assert.ThrowsExactly<CheckpointException>(() => WeightImport.Import(model, weights, folder["new.onnx"]));
        StringAssert.Contains(error.Message, "'b' [");
        StringAssert.Contains(error.Message, "--allow-missing");
        Assert.DoesNotContain("'a' [", error.Message);
        Assert.IsFalse(File.Exists(folder["new.onnx"]));
        Assert.HasCount(1, WeightImport.Import(model, weights, folder["new.onnx"], new WeightImportOptions { AllowMissing = ["b"] }));
        CollectionAssert.AreEqual(Values(model)["b"], Values(folder["new.onnx"])["b"]);
        CollectionAssert.AreNotEqual(Values(model)["a"], Values(folder["new.onnx"])["a"]);
    }

    [TestMethod]
    public void AnEmptyFile_IsRefused()
    {
        using var folder = new TemporaryFolder();
        Write(folder["empty.safetensors"]);
        StringAssert.Contains(Assert.ThrowsExactly<CheckpointException>(() =>
            WeightImport.Import(Fault("partial_state_dict.onnx"), folder["empty.safetensors"], folder["new.onnx"],
                new WeightImportOptions { AllowMissing = ["*"] })).Message, "has no floating tensor");
    }

    [TestMethod]
    public void Twins_AreFilledTogether_AndASurplusTiedTensorIsAccepted()
    {
        using var folder = new TemporaryFolder();
        string model = folder["tied.onnx"], weights = folder["tied.safetensors"];
        Tied(model);
        TensorData table = Numbers(11, 5, 3), bias = Numbers(12, 5);
        foreach ((string, TensorData)[] more in new (string, TensorData)[][] { [], [("lm_head.weight", table)] })
        {
            Write(weights, [("wte.weight", table), ("bias", bias), .. more]);
            IReadOnlyList<ImportedWeight> found = WeightImport.Import(model, weights, folder["new.onnx"]);
            Assert.HasCount(3, found, string.Join('\n', found));
            Dictionary<string, float[]> now = Values(folder["new.onnx"]);
            CollectionAssert.AreEqual(table.ToArray<float>(), now["wte.weight"]);
            CollectionAssert.AreEqual(OrtCpr.Graph.Parameters.TensorTwins.Transpose(table).ToArray<float>(), now["onnx::MatMul_7"]);
        }
    }

    [TestMethod]
    public void ASurplusTensor_IsIgnoredByNameOnly()
    {
        using var folder = new TemporaryFolder();
        string model = folder["tied.onnx"], weights = folder["more.safetensors"];
        Tied(model);
        Write(weights, ("wte.weight", Numbers(11, 5, 3)), ("bias", Numbers(12, 5)), ("score.weight", Numbers(13, 2, 9)));
        StringAssert.Contains(Assert.ThrowsExactly<CheckpointException>(() =>
            WeightImport.Import(model, weights, folder["new.onnx"])).Message, "--ignore");
        Assert.HasCount(3, WeightImport.Import(model, weights, folder["new.onnx"], new WeightImportOptions { Ignore = ["score.*"] }));
        StringAssert.Contains(Assert.ThrowsExactly<CheckpointException>(() => WeightImport.Import(model, weights, folder["new.onnx"],
            new WeightImportOptions { Ignore = ["scores.*"] })).Message, "'scores.*'");
    }
}
