using OrtCpr.Checkpoints;
using OrtCpr.Export;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Tests.Export;

// State dicts into models whose exporter renamed and transposed weights.
[TestClass]
public sealed class WeightImportTests
{
    private static TensorData Numbers(int seed, params long[] dims)
    {
        var random = new Random(seed);
        return TensorData.From<float>([.. Enumerable.Range(0, (int)dims.Aggregate(1L, (n, d) => n * d)).Select(_ => random.NextSingle())], dims);
    }

    // fc1 keeps its name, fc2 is renamed and transposed (square), the head has only its shape, the scale is a literal.
    private static void Write(string path)
    {
        OnnxModel model = OnnxModel.Create("renamed", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, Shape.Of(2, 4));
        Value hidden = g.Op("Gemm", [x, graph.AddInitializer("model.fc1.weight", Numbers(1, 5, 4)), graph.AddInitializer("model.fc1.bias", Numbers(2, 5))], ("transB", 1));
        Value square = g.MatMul(hidden, graph.AddInitializer("onnx::MatMul_12", Numbers(3, 5, 5)));
        square.Producer!.Name = "/fc2/MatMul";
        graph.Outputs.Add(g.Named(g.MatMul(square, graph.AddInitializer("val_7", Numbers(4, 5, 3))), "y"));
        File.WriteAllBytes(path, GraphWriter.ToBytes(model));
    }

    private static void Write(string path, Dictionary<string, TensorData> tensors) =>
        SafetensorsFile.Write(path, tensors.Select(t => new SafetensorsEntry(t.Key, t.Value.Type, t.Value.Dimensions, s => s.Write(t.Value.Bytes.Span))), new Dictionary<string, string>());

    private static Dictionary<string, TensorData> StateDict() => new()
    {
        ["fc1.weight"] = Numbers(11, 5, 4),
        ["fc1.bias"] = Numbers(12, 5),
        ["fc2.weight"] = Numbers(13, 5, 5),
        ["head.weight"] = Numbers(14, 3, 5),
    };

    [TestMethod]
    public void RenamedAndTransposedWeights_FindTheirPlaces()
    {
        using var folder = new TemporaryFolder();
        string model = folder["model.onnx"], weights = folder["weights.safetensors"], output = folder["new.onnx"];
        Write(model);
        Dictionary<string, TensorData> state = StateDict();
        Write(weights, state);
        IReadOnlyList<ImportedWeight> found = WeightImport.Import(model, weights, output);
        Assert.HasCount(4, found);
        Dictionary<string, TensorData> now = GraphReader.Read(ModelFile.Load(output)).Graph.Initializers.ToDictionary(i => i.Name, i => i.Data!);
        foreach ((string initializer, string source, TwinKind kind) in new[]
            { ("model.fc1.weight", "fc1.weight", TwinKind.Equal), ("model.fc1.bias", "fc1.bias", TwinKind.Equal), ("onnx::MatMul_12", "fc2.weight", TwinKind.Transposed), ("val_7", "head.weight", TwinKind.Transposed) })
        {
            Assert.AreEqual(kind, TensorTwins.Compare(state[source], now[initializer]), initializer);
        }
    }

    [TestMethod]
    public void Misfits_AreListedAllAtOnce_AndNothingIsWritten()
    {
        using var folder = new TemporaryFolder();
        string model = folder["model.onnx"], weights = folder["weights.safetensors"], output = folder["new.onnx"];
        Write(model);
        Dictionary<string, TensorData> state = StateDict();
        state["fc1.bias"] = Numbers(12, 6);
        state["unknown.weight"] = Numbers(15, 7, 7);
        Write(weights, state);
        CheckpointException error = Assert.ThrowsExactly<CheckpointException>(() => WeightImport.Import(model, weights, output, new Dictionary<string, string> { ["val_8"] = "head.weight" }));
        foreach (string part in new[] { "'model.fc1.bias' [5]", "'fc1.bias' [6]", "'unknown.weight' [7,7]", "'val_8'", "--map" }) StringAssert.Contains(error.Message, part);
        Assert.IsFalse(File.Exists(output));
    }
}
