using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Tests.Heads;

// Bodies for heads, and what they compute in a plain session.
internal static class HeadModels
{
    public delegate Value Body(GraphBuilder g, OnnxGraph graph, Value x);

    // x of a shape → what the body makes of it, under a name.
    public static byte[] Of(Body body, int opset = 18, string output = "logits", params Dim[] dims)
    {
        OnnxModel model = OnnxModel.Create("body", opset);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, new Shape(dims.Prepend(SymbolicInt.Symbol("batch"))));
        graph.Outputs.Add(g.Named(body(g, graph, x), output));
        return GraphWriter.ToBytes(model);
    }

    // input_ids, attention_mask [batch, tokens] → tanh of rows of a table, [batch, tokens, 6]; no linear layer at the end.
    public static byte[] Encoder(int opset = 18, string mask = "attention_mask", string output = "last_hidden_state")
    {
        OnnxModel model = OnnxModel.Create("encoder", opset);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        var shape = new Shape(SymbolicInt.Symbol("batch"), SymbolicInt.Symbol("tokens"));
        Value ids = graph.AddInput("input_ids", ElementType.Int64, shape);
        graph.AddInput(mask, ElementType.Int64, shape);
        graph.Outputs.Add(g.Named(g.Op("Tanh", [g.Op("Gather", [TestModels.Weight(graph, "table", 11, 6), ids])]), output));
        return GraphWriter.ToBytes(model);
    }

    public static Batch Sentences() => new Batch()
        .Add("input_ids", new long[] { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1 }, 3, 4)
        .Add("attention_mask", new long[] { 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0 }, 3, 4);

    public static TensorData[] Run(byte[] model, Batch batch, params string[] outputs)
    {
        using var session = new InferenceSession(model);
        using var options = new RunOptions();
        string[] names = [.. session.InputMetadata.Keys];
        using IDisposableReadOnlyCollection<OrtValue> results =
            session.Run(options, names, [.. names.Select(n => batch.Tensors[n])], outputs);
        return [.. results.Select(r => Device.ReadOnHost(r)).Select(t => TensorData.Create(t.Type, t.Dimensions, t.Bytes.ToArray()))];
    }

    // A tensor in the middle as a further output.
    public static byte[] Showing(byte[] model, string tensor)
    {
        ModelProto proto = ModelFile.Load(model).Proto;
        if (proto.Graph.Output.All(o => o.Name != tensor)) proto.Graph.Output.Add(new ValueInfoProto { Name = tensor });
        return ModelFile.ToBytes(proto);
    }

    // The tensor that the head reads, besides its mask.
    public static string Features(byte[] model)
    {
        GraphProto graph = ModelFile.Load(model).Proto.Graph;
        return graph.Node.Where(n => n.Name.StartsWith("head/", StringComparison.Ordinal)).SelectMany(n => n.Input)
            .First(i => !i.StartsWith("head", StringComparison.Ordinal)
                && graph.Input.All(x => x.Name != i || x.Type.TensorType.ElemType == (int)ElementType.Float));
    }

    public static double[] Initializer(byte[] model, string name)
    {
        ModelFile file = ModelFile.Load(model);
        return file.ReadInitializer(file.Proto.Graph.Initializer.Single(i => i.Name == name)).ToDoubles();
    }

    public static string[] Initializers(byte[] model) => [.. ModelFile.Load(model).Proto.Graph.Initializer.Select(i => i.Name)];

    public static string[] Outputs(byte[] model) => [.. ModelFile.Load(model).Proto.Graph.Output.Select(o => o.Name)];

    public static string[] Operators(byte[] model) => [.. ModelFile.Load(model).Proto.Graph.Node.Select(n => n.OpType)];

    public static IReadOnlyDictionary<string, string> Metadata(byte[] model)
    {
        using var session = new InferenceSession(model);
        return session.ModelMetadata.CustomMetadataMap;
    }

    // x·Wᵀ + b by rows, W [classes, width].
    public static double[] Linear(double[] x, double[] weight, double[] bias)
    {
        int classes = bias.Length, width = weight.Length / classes;
        return [.. Enumerable.Range(0, x.Length / width).SelectMany(r => Enumerable.Range(0, classes).Select(c =>
            bias[c] + Enumerable.Range(0, width).Sum(i => x[(r * width) + i] * weight[(c * width) + i])))];
    }

    public static void AreClose(double[] expected, double[] found, double tolerance = 1e-5)
    {
        Assert.HasCount(expected.Length, found);
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], found[i], tolerance * (1 + Math.Abs(expected[i])), $"element {i}");
    }
}
