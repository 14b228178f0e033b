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
        return TensorData.From<float>([.. Enumerable.Range(0, (int)dims.Aggregate(1L, (n, d) => n * d)).Select(_ => random.NextSingle())],
            dims);
    }

    // fc1 keeps its name, fc2 is renamed and transposed (square), the head has only its shape, the scale is a literal.
    private static void Write(string path)
    {
        OnnxModel model = OnnxModel.Create("renamed", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, Shape.Of(2, 4));
        Value hidden = g.Op("Gemm",
            [x, graph.AddInitializer("model.fc1.weight", Numbers(1, 5, 4)), graph.AddInitializer("model.fc1.bias", Numbers(2, 5))],
            ("transB", 1));
        Value square = g.MatMul(hidden, graph.AddInitializer("onnx::MatMul_12", Numbers(3, 5, 5)));
        square.Producer!.Name = "/fc2/MatMul";
        graph.Outputs.Add(g.Named(g.MatMul(square, graph.AddInitializer("val_7", Numbers(4, 5, 3))), "y"));
        File.WriteAllBytes(path, GraphWriter.ToBytes(model));
    }

    private static void Write(string path, Dictionary<string, TensorData> tensors) =>
        SafetensorsFile.Write(path,
            tensors.Select(t => new SafetensorsEntry(t.Key, t.Value.Type, t.Value.Dimensions, s => s.Write(t.Value.Bytes.Span))),
            new Dictionary<string, string>());

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
        Dictionary<string, TensorData> now =
            GraphReader.Read(ModelFile.Load(output)).Graph.Initializers.ToDictionary(i => i.Name, i => i.Data!);
        foreach ((string initializer, string source, TwinKind kind) in new[]
            {
                ("model.fc1.weight", "fc1.weight", TwinKind.Equal),
                ("model.fc1.bias", "fc1.bias", TwinKind.Equal),
                ("onnx::MatMul_12", "fc2.weight", TwinKind.Transposed),
                ("val_7", "head.weight", TwinKind.Transposed),
            })
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
        CheckpointException error =
            Assert.ThrowsExactly<CheckpointException>(() =>
            WeightImport.Import(model, weights, output, new Dictionary<string, string> { ["val_8"] = "head.weight" }));
        foreach (string part in new[] { "'model.fc1.bias' [5]", "'fc1.bias' [6]", "'unknown.weight' [7,7]", "'val_8'", "--map" })
        {
            StringAssert.Contains(error.Message, part);
        }
        Assert.IsFalse(File.Exists(output));
    }

    // What an exporter makes of a recurrent layer, written down from PyTorch's documentation of the gates and ONNX's of the operators.
    private static readonly Dictionary<string, string> Gates = new() { ["LSTM"] = "ifco", ["GRU"] = "rzh", ["RNN"] = "h" };

    private static readonly Dictionary<string, string> OnnxGates = new() { ["LSTM"] = "iofc", ["GRU"] = "zrh", ["RNN"] = "h" };

    private static float[] Stacked(string kind, int hidden, int inputs, IEnumerable<float[]> parts) =>
        [.. parts.SelectMany(p =>
            OnnxGates[kind].SelectMany(g =>
            p.AsSpan(Gates[kind].IndexOf(g, StringComparison.Ordinal) * hidden * inputs, hidden * inputs).ToArray()))];

    // Two layers, the first in both directions; the nodes have names, or none and then only their shapes.
    [TestMethod]
    [DataRow("LSTM", true)]
    [DataRow("GRU", true)]
    [DataRow("RNN", true)]
    [DataRow("LSTM", false)]
    public void RecurrentLayers_ArePutTogether(string kind, bool named)
    {
        using var folder = new TemporaryFolder();
        string model = folder["model.onnx"], weights = folder["weights.safetensors"], output = folder["new.onnx"];
        const int Hidden = 3;
        int gates = Gates[kind].Length;
        OnnxModel onnx = OnnxModel.Create("recurrent", 18);
        OnnxGraph graph = onnx.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, Shape.Of(5, 2, 4));
        var state = new Dictionary<string, TensorData>();
        var expected = new Dictionary<string, float[]>();
        foreach ((int layer, int directions, int inputs) in new[] { (0, 2, 4), (1, 1, 6) })
        {
            var parts = new Dictionary<string, List<float[]>> { ["weight_ih"] = [], ["weight_hh"] = [], ["bias"] = [] };
            for (int d = 0; d < directions; d++)
            {
                foreach ((string name, long[] dims) in new[] { ("weight_ih", new long[] { gates * Hidden, inputs }),
                    ("weight_hh", [gates * Hidden, Hidden]), ("bias_ih", [gates * Hidden]), ("bias_hh", [gates * Hidden]) })
                {
                    TensorData tensor = Numbers(state.Count, dims);
                    state[$"net.rnn.{name}_l{layer}{(d == 1 ? "_reverse" : "")}"] = tensor;
                    parts[name.StartsWith("bias", StringComparison.Ordinal) ? "bias" : name].Add(tensor.ToArray<float>());
                }
            }
            Value w = graph.AddInitializer($"onnx::{kind}_{layer}w", Numbers(70, directions, gates * Hidden, inputs)),
                r = graph.AddInitializer($"onnx::{kind}_{layer}r", Numbers(71, directions, gates * Hidden, Hidden)),
                b = graph.AddInitializer($"onnx::{kind}_{layer}b", Numbers(72, directions, 2 * gates * Hidden));
            expected[w.Name] = Stacked(kind, Hidden, inputs, parts["weight_ih"]);
            expected[r.Name] = Stacked(kind, Hidden, Hidden, parts["weight_hh"]);
            expected[b.Name] = Stacked(kind, Hidden, 1, parts["bias"]);
            Value y = g.Op(kind, [x, w, r, b],
                [("hidden_size", (long)Hidden), ("direction", directions == 2 ? "bidirectional" : "forward"), .. kind == "GRU"
                ? new (string, object)[] { ("linear_before_reset", 1L) } : []]);
            y.Producer!.Name = named ? $"/rnn/{kind}_{layer}" : $"n{layer}";
            x = g.Op("Reshape", [g.Transpose(y, 0, 2, 1, 3), g.Ints(5, 2, directions * Hidden)]);
        }
        graph.Outputs.Add(g.Named(g.Tanh(x), "y"));
        File.WriteAllBytes(model, GraphWriter.ToBytes(onnx));
        Write(weights, state);
        IReadOnlyList<ImportedWeight> found = WeightImport.Import(model, weights, output);
        Assert.HasCount(6, found);
        Dictionary<string, TensorData> now =
            GraphReader.Read(ModelFile.Load(output)).Graph.Initializers.ToDictionary(i => i.Name, i => i.Data!);
        foreach ((string name, float[] value) in expected) CollectionAssert.AreEqual(value, now[name].ToArray<float>(), name);
    }

    // The newer exporter says the module of a node in its metadata, and an import leaves its findings for the next.
    [TestMethod]
    public void MetadataOfNodesAndOfEarlierImports_AreUsed()
    {
        using var folder = new TemporaryFolder();
        string model = folder["model.onnx"], first = folder["first.safetensors"], second = folder["second.safetensors"],
            output = folder["new.onnx"], again = folder["again.onnx"];
        OnnxModel onnx = OnnxModel.Create("scopes", 18);
        OnnxGraph graph = onnx.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, Shape.Of(2, 4));
        foreach (string name in new[] { "val_1", "val_2" })
        {
            x = g.MatMul(x, graph.AddInitializer(name, Numbers(name.Length + name[^1], 4, 4)));
        }
        graph.Outputs.Add(g.Named(x, "y"));
        OrtCpr.Graph.Onnx.Proto.ModelProto proto = GraphWriter.Write(onnx);
        foreach ((int node, string module) in new[] { (0, "body.b"), (1, "body.a") })
        {
            proto.Graph.Node[node].MetadataProps.Add(new OrtCpr.Graph.Onnx.Proto.StringStringEntryProto
            {
                Key = "pkg.torch.onnx.name_scopes",
                Value = $"['', 'body', '{module}', 'linear_{node}']",
            });
        }

        File.WriteAllBytes(model, Google.Protobuf.MessageExtensions.ToByteArray(proto));
        Dictionary<string, TensorData> state = new() { ["body.a.weight"] = Numbers(5, 4, 4), ["body.b.weight"] = Numbers(6, 4, 4) };
        Write(first, state);
        IReadOnlyList<ImportedWeight> found = WeightImport.Import(model, first, output);
        Assert.AreEqual("body.b.weight", found.Single(f => f.Initializer == "val_1").Source);
        Assert.AreEqual("module of its node", found[0].How);
        Write(second, new() { ["body.a.weight"] = Numbers(7, 4, 4), ["body.b.weight"] = Numbers(8, 4, 4) });
        Assert.IsTrue(WeightImport.Import(output, second, again).All(f => f.How == "metadata"));
    }

    [TestMethod]
    public void GruThatPyTorchDoesNotHave_IsRefused()
    {
        using var folder = new TemporaryFolder();
        string model = folder["model.onnx"], weights = folder["weights.safetensors"];
        OnnxModel onnx = OnnxModel.Create("gru", 18);
        OnnxGraph graph = onnx.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, Shape.Of(5, 2, 4));
        graph.Outputs.Add(g.Op("GRU", [x, graph.AddInitializer("w", Numbers(1, 1, 9, 4)), graph.AddInitializer("r", Numbers(2, 1, 9, 3))],
            ("hidden_size", 3L)));
        File.WriteAllBytes(model, GraphWriter.ToBytes(onnx));
        Write(weights, new() { ["gru.weight_ih_l0"] = Numbers(3, 9, 4), ["gru.weight_hh_l0"] = Numbers(4, 9, 3) });
        CheckpointException error =
            Assert.ThrowsExactly<CheckpointException>(() => WeightImport.Import(model, weights, folder["new.onnx"]));
        StringAssert.Contains(error.Message, "linear_before_reset");
    }
}
