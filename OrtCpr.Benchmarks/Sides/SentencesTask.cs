using System.Globalization;
using OrtCpr.Benchmarks.Peers;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;
using TorchSharp;

namespace OrtCpr.Benchmarks.Sides;

/// <summary>Fine-tuning of an encoder of MiniLM-L6's size as a classifier by its first token, on random tokens.</summary>
internal sealed class SentencesTask : FineTuneTask
{
    public const int Width = 384, Heads = 12, Layers = 6, Inner = 1536;
    public const double Epsilon = 1e-12;

    private const int Opset = 18, Vocabulary = 30522, Positions = 512, Types = 2, Rows = 8, Length = 64;

    private readonly Lazy<(byte[] Model, Dictionary<string, TensorData> Weights)> _made = new(Make);
    private readonly long[] _tokens, _mask, _types;

    public SentencesTask(bool isHeadOnly, UpdateRule rule) : base(isHeadOnly, rule)
    {
        var random = new Random(5);
        _tokens = [.. Enumerable.Range(0, Rows * Length).Select(_ => (long)random.Next(Vocabulary))];
        _mask = [.. Enumerable.Repeat(1L, Rows * Length)];
        _types = new long[Rows * Length];
        Labels = [.. Enumerable.Range(0, Rows).Select(_ => (long)random.Next(Classes))];
    }

    public override string Title =>
        string.Create(CultureInfo.InvariantCulture, $"encoder of MiniLM-L6's size (22.7 M parameters), batch {Rows} × {Length} tokens");

    public override string ModelFile => "minilm.onnx";

    public override int StepsARun => 2;

    public override byte[] Model => _made.Value.Model;

    public override IReadOnlyDictionary<string, TensorData> Weights => _made.Value.Weights;

    protected override long[] Labels { get; }

    protected override Batch AddInputs(Batch batch) => batch.Add("input_ids", _tokens, Rows, Length)
        .Add("attention_mask", _mask, Rows, Length).Add("token_type_ids", _types, Rows, Length);

    public override TorchTraining NewPeer(IEnumerable<(string Name, torch.Tensor Value)> weights) =>
        new TorchSentences(weights, Trains, (_tokens, _mask, _types), Rows, Labels, LearningRate);

    private static (byte[], Dictionary<string, TensorData>) Make()
    {
        var model = OnnxModel.Create("minilm", Opset);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        var weights = new ModelWeights(graph);
        var shape = new Shape(SymbolicInt.Symbol("batch"), SymbolicInt.Symbol("sequence"));
        Value tokens = graph.AddInput("input_ids", ElementType.Int64, shape);
        Value mask = graph.AddInput("attention_mask", ElementType.Int64, shape);
        Value types = graph.AddInput("token_type_ids", ElementType.Int64, shape);
        // Embeddings about as large as those of a trained model.
        const int Spread = 15000;
        Value words = g.Gather(weights.Matrix("embeddings.word", Spread, Vocabulary, Width), tokens);
        Value typed = g.Add(words, g.Gather(weights.Matrix("embeddings.type", Spread, Types, Width), types));
        Value length = g.Unsqueeze(g.Gather(g.Op("Shape", [tokens]), g.Int(1)), 0);
        Value places = g.Op("Slice", [weights.Matrix("embeddings.position", Spread, Positions, Width), g.Ints(0), length, g.Ints(0)]);
        Value x = Norm(g.Add(typed, places), "embeddings.norm");
        // 0 for a token and the least float for padding, for every head and query.
        Value outside = g.Mul(g.Sub(g.Scalar(1, ElementType.Float), g.Cast(g.Unsqueeze(mask, 1, 2), ElementType.Float)), float.MinValue);
        for (int i = 0; i < Layers; i++) x = Layer(x, $"layer.{i}");
        Value first = g.Gather(x, g.Int(0), 1);
        Value logits = g.Op("Gemm",
            [first, weights.Matrix($"{Head}weight", Width, Classes, Width), weights.Vector($"{Head}bias", Classes, 0)], ("transB", 1L));
        graph.Outputs.Add(g.Named(logits, "logits"));
        return (GraphWriter.ToBytes(model), weights.All);

        Value Layer(Value input, string name)
        {
            Value query = ToHeads(Linear(input, $"{name}.query", Width, Width)), key = ToHeads(Linear(input, $"{name}.key", Width, Width)),
                value = ToHeads(Linear(input, $"{name}.value", Width, Width));
            Value scores = g.Div(g.MatMul(query, g.Transpose(key, 0, 1, 3, 2)), Math.Sqrt(Width / Heads));
            Value mixed = g.Reshape(g.Transpose(g.MatMul(g.Softmax(g.Add(scores, outside), -1), value), 0, 2, 1, 3), 0, 0, Width);
            Value attended = Norm(g.Add(Linear(mixed, $"{name}.output", Width, Width), input), $"{name}.norm1");
            Value hidden = Linear(attended, $"{name}.up", Width, Inner);
            Value gelu = g.Mul(g.Mul(hidden, g.Add(g.Erf(g.Div(hidden, Math.Sqrt(2))), 1)), 0.5);
            return Norm(g.Add(Linear(gelu, $"{name}.down", Inner, Width), attended), $"{name}.norm2");
        }

        Value ToHeads(Value part) => g.Transpose(g.Reshape(part, 0, 0, Heads, Width / Heads), 0, 2, 1, 3);

        Value Linear(Value input, string name, int from, int to) =>
            g.Add(g.MatMul(input, weights.Matrix($"{name}.weight", 6 * from, from, to)), weights.Vector($"{name}.bias", to, 0));

        Value Norm(Value input, string name) => g.Op("LayerNormalization",
            [input, weights.Vector($"{name}.weight", Width, 1), weights.Vector($"{name}.bias", Width, 0)], ("axis", -1L),
            ("epsilon", (float)Epsilon));
    }
}
