using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Benchmarks.Sides;

/// <summary>Narrow GPT blocks on top of each other, written as an exporter writes them: shapes read at run time,
/// activations in single operators.</summary>
internal static class BlockChain
{
    private const int Width = 16;
    private const int Heads = 2;
    private const int Vocabulary = 32;
    private const int Opset = 18;

    /// <summary>Of the tanh form of Gelu.</summary>
    private const double CubicPart = 0.044715;

    /// <summary>A model with so many blocks.</summary>
    /// <returns>Its bytes and the number of its nodes.</returns>
    public static (byte[] Model, int Nodes) Make(int blocks)
    {
        var model = OnnxModel.Create("blocks", Opset);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        var weights = new Weights(graph);
        Value tokens =
            graph.AddInput("input_ids", ElementType.Int64, new Shape(SymbolicInt.Symbol("batch"), SymbolicInt.Symbol("sequence")));
        Value table = weights.Matrix("wte.weight", Vocabulary, Width);
        Value x = g.Gather(table, tokens);
        for (int i = 0; i < blocks; i++)
            x = Block(g, weights, x, $"h.{i}");
        Value logits = g.MatMul(Norm(g, weights, x, "ln_f"), g.Transpose(table, 1, 0));
        graph.Outputs.Add(g.Named(logits, "logits"));
        return (GraphWriter.ToBytes(model), graph.Nodes.Count);
    }

    private static Value Block(GraphBuilder g, Weights weights, Value x, string name)
    {
        x = g.Add(x, Attend(g, weights, Norm(g, weights, x, $"{name}.ln_1"), $"{name}.attn"));
        Value hidden = Linear(g, weights, Norm(g, weights, x, $"{name}.ln_2"), $"{name}.mlp.c_fc", Width, 4 * Width);
        Value inner = g.Mul(g.Add(hidden, g.Mul(g.Pow(hidden, g.Scalar(3, ElementType.Float)), CubicPart)), Math.Sqrt(2 / Math.PI));
        Value gelu = g.Mul(g.Mul(hidden, 0.5), g.Add(g.Tanh(inner), 1));
        return g.Add(x, Linear(g, weights, gelu, $"{name}.mlp.c_proj", 4 * Width, Width));
    }

    private static Value Attend(GraphBuilder g, Weights weights, Value x, string name)
    {
        Term[] parts =
            g.Ops("Split", 3, [Linear(g, weights, x, $"{name}.c_attn", Width, 3 * Width), g.Ints(Width, Width, Width)], ("axis", 2));
        Value[] heads = [.. parts.Select(p => g.Transpose(g.Reshape(p, ToHeads(p)), 0, 2, 1, 3))];
        Value scores = g.Div(g.MatMul(heads[0], g.Transpose(heads[1], 0, 1, 3, 2)), Math.Sqrt(Width / Heads));
        Value mixed = g.Transpose(g.MatMul(g.Softmax(scores, -1), heads[2]), 0, 2, 1, 3);
        return Linear(g, weights, g.Reshape(mixed, g.Concat(0, Size(mixed, 0), Size(mixed, 1), g.Ints(Width))), $"{name}.c_proj", Width,
            Width);

        Value ToHeads(Value part) => g.Concat(0, Size(part, 0), Size(part, 1), g.Ints(Heads), g.Ints(Width / Heads));

        // One Shape a use, as exporters have it.
        Value Size(Value value, int axis) => g.Unsqueeze(g.Gather(g.Op("Shape", [value]), g.Int(axis)), 0);
    }

    private static Value Norm(GraphBuilder g, Weights weights, Value x, string name) =>
        g.Op("LayerNormalization", [x, weights.Vector($"{name}.weight", Width, 1), weights.Vector($"{name}.bias", Width, 0)], ("axis", -1));

    private static Value Linear(GraphBuilder g, Weights weights, Value x, string name, int from, int to) =>
        g.Add(g.MatMul(x, weights.Matrix($"{name}.weight", from, to)), weights.Vector($"{name}.bias", to, 0));

    private sealed class Weights(OnnxGraph graph)
    {
        private readonly Random _random = new(1);

        public Value Matrix(string name, int rows, int columns)
        {
            float[] values = [.. Enumerable.Range(0, rows * columns).Select(_ => 0.1f * (_random.NextSingle() - 0.5f))];
            return graph.AddInitializer(name, TensorData.From<float>(values, rows, columns));
        }

        public Value Vector(string name, int size, float value) =>
            graph.AddInitializer(name, TensorData.From<float>(Enumerable.Repeat(value, size).ToArray(), size));
    }
}
