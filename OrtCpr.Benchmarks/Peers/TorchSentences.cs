using OrtCpr.Benchmarks.Sides;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace OrtCpr.Benchmarks.Peers;

/// <summary>BERT's encoder in TorchSharp: fused attention with a mask, rows kept flat for the matrix products.</summary>
internal sealed class TorchSentences : TorchTraining
{
    private const string Words = "embeddings.word", Types = "embeddings.type";

    private readonly Embedding _words, _types;
    private readonly Tensor _tokens, _typeOf, _mask, _labels;
    private readonly long _rows, _length;

    /// <param name="weights">By the names and in the layout of the initializers of the ONNX model.</param>
    /// <param name="trains">Whether a weight is trained.</param>
    /// <param name="inputs">[rows, length] each.</param>
    /// <param name="rows">Rows of the batch.</param>
    /// <param name="labels">[rows].</param>
    /// <param name="learningRate">Constant.</param>
    public TorchSentences(IEnumerable<(string Name, Tensor Value)> weights, Func<string, bool> trains,
        (long[] Tokens, long[] Mask, long[] Types) inputs, int rows, long[] labels, double learningRate) : base(weights, trains)
    {
        using DisposeScope scope = NewDisposeScope();
        (_rows, _length) = (rows, inputs.Tokens.Length / rows);
        _words = Table(Words, !trains(Words));
        _types = Table(Types, !trains(Types));
        _tokens = Own(tensor(inputs.Tokens, _rows, _length));
        _typeOf = Own(tensor(inputs.Types, _rows, _length));
        _mask = Own(tensor(inputs.Mask, _rows, _length));
        _labels = Own(tensor(labels));
        Start(learningRate);
    }

    private Embedding Table(string name, bool isFrozen)
    {
        Embedding table = Own(nn.Embedding_from_pretrained(Weight(name), freeze: isFrozen));
        Replace(name, table.weight!);
        return table;
    }

    protected override Tensor Loss()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = _words.call(_tokens).add_(_types.call(_typeOf)).add_(Weight("embeddings.position").narrow(0, 0, _length));
        x = Norm(x.view(-1, SentencesTask.Width), "embeddings.norm");
        Tensor outside = (1 - _mask.to(ScalarType.Float32)).mul_(float.MinValue).view(_rows, 1, 1, _length);
        for (int i = 0; i < SentencesTask.Layers; i++)
            x = Layer(x, outside, $"layer.{i}");
        Tensor first = x.view(_rows, _length, SentencesTask.Width).select(1, 0);
        Tensor logits = F.linear(first, Weight($"{FineTuneTask.Head}weight"), Weight($"{FineTuneTask.Head}bias"));
        return F.cross_entropy(logits, _labels).MoveToOuterDisposeScope();
    }

    /// <summary>A scope of its own: what the backward pass does not need goes before the next layer.</summary>
    private Tensor Layer(Tensor x, Tensor outside, string name)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor mixed = F.scaled_dot_product_attention(Heads(x, $"{name}.query"), Heads(x, $"{name}.key"), Heads(x, $"{name}.value"),
            attn_mask: outside);
        Tensor attended = Norm(Project(mixed.transpose(1, 2).reshape(-1, SentencesTask.Width), $"{name}.output").add_(x), $"{name}.norm1");
        return Norm(Project(F.gelu(Project(attended, $"{name}.up")), $"{name}.down").add_(attended), $"{name}.norm2")
            .MoveToOuterDisposeScope();
    }

    private Tensor Heads(Tensor x, string name) =>
        Project(x, name).view(_rows, _length, SentencesTask.Heads, SentencesTask.Width / SentencesTask.Heads).transpose(1, 2);

    /// <summary>The projections are [in, out]: one product with the bias as its start.</summary>
    private Tensor Project(Tensor x, string name) => Weight($"{name}.bias").addmm(x, Weight($"{name}.weight"));

    private Tensor Norm(Tensor x, string name) =>
        F.layer_norm(x, [SentencesTask.Width], Weight($"{name}.weight"), Weight($"{name}.bias"), SentencesTask.Epsilon);
}
