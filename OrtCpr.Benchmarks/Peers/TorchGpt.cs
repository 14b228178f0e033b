using OrtCpr.Benchmarks.Sides;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace OrtCpr.Benchmarks.Peers;

/// <summary>GPT2 in TorchSharp: fused causal attention, rows kept flat for the matrix products, sums written over what
/// nobody reads again.</summary>
internal sealed class TorchGpt : TorchTraining
{
    private readonly int _blocks;
    private readonly int _heads;
    private readonly long _rows;
    private readonly long _length;
    private readonly long _width;
    private readonly Embedding _embedding;
    private readonly Tensor _tokens;
    private readonly Tensor _targets;

    /// <param name="weights">By the names and in the layout of the initializers of the ONNX model.</param>
    /// <param name="blocks">Blocks.</param>
    /// <param name="heads">Heads of each.</param>
    /// <param name="rows">Rows of the batch.</param>
    /// <param name="tokens">[rows, length].</param>
    /// <param name="targets">[rows, length].</param>
    /// <param name="learningRate">Constant.</param>
    public TorchGpt(IEnumerable<(string Name, Tensor Value)> weights, int blocks, int heads, int rows, long[] tokens, long[] targets,
        double learningRate) : base(weights)
    {
        using DisposeScope scope = NewDisposeScope();
        (_blocks, _heads, _rows, _length) = (blocks, heads, rows, tokens.Length / rows);
        _embedding = Own(nn.Embedding_from_pretrained(Weight(Gpt2Shapes.TokenEmbedding), freeze: false));
        Replace(Gpt2Shapes.TokenEmbedding, _embedding.weight!);
        _width = _embedding.weight!.shape[1];
        _tokens = Own(tensor(tokens, rows, _length));
        _targets = Own(tensor(targets));
        Start(learningRate);
    }

    protected override Tensor Loss()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = _embedding.call(_tokens).add_(Weight(Gpt2Shapes.PositionEmbedding).narrow(0, 0, _length)).view(-1, _width);
        for (int block = 0; block < _blocks; block++)
            x = Block(x, Gpt2Shapes.BlockName(block));
        Tensor logits = F.linear(Norm(x, Gpt2Shapes.FinalNorm), Weight(Gpt2Shapes.TokenEmbedding));
        return F.cross_entropy(logits, _targets).MoveToOuterDisposeScope();
    }

    /// <summary>A scope of its own: what the backward pass does not need goes before the next block.</summary>
    private Tensor Block(Tensor x, string name)
    {
        using DisposeScope scope = NewDisposeScope();
        x = Attend(Norm(x, $"{name}.ln_1"), $"{name}.attn").add_(x);
        Tensor hidden = F.gelu(Project(Norm(x, $"{name}.ln_2"), $"{name}.mlp.c_fc"), GELU.Approximate.tanh);
        return Project(hidden, $"{name}.mlp.c_proj").add_(x).MoveToOuterDisposeScope();
    }

    private Tensor Attend(Tensor x, string name)
    {
        Tensor[] parts = Project(x, $"{name}.c_attn").view(_rows, _length, 3, _heads, _width / _heads).permute(2, 0, 3, 1, 4).unbind(0);
        Tensor mixed = F.scaled_dot_product_attention(parts[0], parts[1], parts[2], is_casual: true);
        return Project(mixed.transpose(1, 2).reshape(-1, _width), $"{name}.c_proj");
    }

    /// <summary>GPT2's projections are [in, out]: one product with the bias as its start.</summary>
    private Tensor Project(Tensor x, string name) => Weight($"{name}.bias").addmm(x, Weight($"{name}.weight"));

    private Tensor Norm(Tensor x, string name) => F.layer_norm(x, [_width], Weight($"{name}.weight"), Weight($"{name}.bias"));
}
