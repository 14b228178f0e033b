using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests;

// Small models made in code, as an exporter would write them.
internal static class TestModels
{
    public static string Case(string name) => Path.Combine(AppContext.BaseDirectory, "Data", "cases", name);

    public static string Grokking => Path.Combine(AppContext.BaseDirectory, "Data", "grokking.onnx");

    // x [batch, 4] -> Gemm -> BatchNormalization in training mode -> Relu -> Gemm -> logits [batch, 3].
    public static byte[] BatchNormalized(bool withStatistics = false)
    {
        OnnxModel model = OnnxModel.Create("batch_normalized", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 4));
        Value hidden = g.Op("Gemm", [x, Weight(graph, "fc1.weight", 6, 4), Weight(graph, "fc1.bias", 6)], ("transB", 1));
        Term[] outputs = g.Ops("BatchNormalization", 3, [hidden, Constant(graph, "bn.weight", 1, 6), Constant(graph, "bn.bias", 0, 6),
            Constant(graph, "bn.running_mean", 0, 6), Constant(graph, "bn.running_var", 1, 6)], ("training_mode", 1), ("momentum", 0.9f));
        Value logits = g.Op("Gemm", [g.Op("Relu", [outputs[0]]), Weight(graph, "fc2.weight", 3, 6), Weight(graph, "fc2.bias", 3)],
            ("transB", 1));
        graph.Outputs.Add(g.Named(logits, "logits"));
        if (withStatistics) graph.Outputs.Add(g.Named(outputs[1], "statistics"));
        return GraphWriter.ToBytes(model);
    }

    // x [batch, n] -> x·Wᵀ + b, in float or double.
    public static byte[] Linear(ElementType type = ElementType.Float, int inputs = 4, int outputs = 3)
    {
        OnnxModel model = OnnxModel.Create("linear", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", type, new Shape(SymbolicInt.Symbol("batch"), inputs));
        Value y = g.Op("Gemm", [x, Weight(graph, "weight", type, outputs, inputs), Weight(graph, "bias", type, outputs)], ("transB", 1));
        graph.Outputs.Add(g.Named(y, "logits"));
        return GraphWriter.ToBytes(model);
    }

    public static Batch Batch(int size, int inputs = 4, int classes = 3, int seed = 1)
    {
        var random = new Random(seed);
        float[] x = [.. Enumerable.Range(0, size * inputs).Select(_ => (float)((random.NextDouble() * 2) - 1))];
        long[] labels = [.. Enumerable.Range(0, size).Select(_ => (long)random.Next(classes))];
        return new Batch().Add("x", x, size, inputs).Add("labels", labels, size);
    }

    public static Value Weight(OnnxGraph graph, string name, params long[] dims) => Weight(graph, name, ElementType.Float, dims);

    public static Value Weight(OnnxGraph graph, string name, ElementType type, params long[] dims)
    {
        var random = new Random(name.Length);
        float[] values = [.. Enumerable.Range(0, (int)dims.Aggregate(1L, (p, d) => p * d))
            .Select(_ => (float)((random.NextDouble() * 2) - 1))];
        return graph.AddInitializer(name, TensorData.From<float>(values, dims).ConvertTo(type));
    }

    public static Value Constant(OnnxGraph graph, string name, float value, params long[] dims) =>
        graph.AddInitializer(name,
            TensorData.From<float>(Enumerable.Repeat(value, (int)dims.Aggregate(1L, (p, d) => p * d)).ToArray(), dims));
}
