using OrtCpr.Benchmarks.Sides;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace OrtCpr.Benchmarks.Peers;

/// <summary>The grokking transformer in TorchSharp with AdamW. Owner of its tensors.</summary>
internal sealed class TorchGrokking : ITrainer
{
    private const int Heads = 4;

    private readonly bool _lastPositionOnly;
    private readonly Dictionary<string, Parameter> _weights = new(StringComparer.Ordinal);
    private readonly List<(Tensor Tokens, Tensor Targets)> _batches;
    private readonly Embedding _tokenEmbeddings;
    private readonly AdamW _optimizer;
    private int _next;

    /// <param name="weights">By the names and in the layout of the initializers of the ONNX model; copied.</param>
    /// <param name="batches">Used in turn.</param>
    /// <param name="lastPositionOnly">False: the model as it is written. True: as someone would write it by hand who
    /// knows that only the last position reaches the loss: one query a head, projections and MLP of that position
    /// alone.</param>
    public TorchGrokking(IReadOnlyDictionary<string, (float[] Data, long[] Dimensions)> weights, IReadOnlyList<TokenBatch> batches,
        bool lastPositionOnly = false)
    {
        _lastPositionOnly = lastPositionOnly;
        using DisposeScope scope = NewDisposeScope();
        foreach ((string name, (float[] data, long[] dimensions)) in weights)
        {
            _weights[name] = new Parameter(tensor(data, dimensions));
            _weights[name].DetachFromDisposeScope();
        }
        _tokenEmbeddings = nn.Embedding_from_pretrained(_weights["token_embeddings.weight"], freeze: false);
        _weights["token_embeddings.weight"] = _tokenEmbeddings.weight!;
        _weights["token_embeddings.weight"].DetachFromDisposeScope();
        _batches = [.. batches.Select(ToTensors).Select(b => (b.Tokens.DetachFromDisposeScope(), b.Targets.DetachFromDisposeScope()))];
        _optimizer = TorchOptimizers.AdamW([.. _weights.Values], 1e-3, 0.9, 0.98, 0.1);
    }

    public void TrainSteps(int count)
    {
        for (int i = 0; i < count; i++)
        {
            using DisposeScope step = NewDisposeScope();
            (Tensor tokens, Tensor targets) = _batches[_next];
            _next = (_next + 1) % _batches.Count;
            _optimizer.zero_grad();
            F.cross_entropy(Logits(tokens), targets).backward();
            _optimizer.step();
        }
    }

    public double Loss(TokenBatch batch)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradients = no_grad();
        (Tensor tokens, Tensor targets) = ToTensors(batch);
        return F.cross_entropy(Logits(tokens), targets).ToDouble();
    }

    public void Dispose()
    {
        _optimizer.Dispose();
        _tokenEmbeddings.Dispose();
        foreach (Parameter weight in _weights.Values)
            weight.Dispose();
        foreach ((Tensor tokens, Tensor targets) in _batches)
        {
            tokens.Dispose();
            targets.Dispose();
        }
    }

    private Tensor Logits(Tensor tokens)
    {
        Tensor x = _tokenEmbeddings.call(tokens).add_(_weights["position_embeddings.weight"]);
        x = _lastPositionOnly ? AttendFromLast(x) : Attend(x);
        Tensor hidden = F.linear(x, _weights["layers.0.mlp.0.weight"], _weights["layers.0.mlp.0.bias"]).relu_();
        x = x + F.linear(hidden, _weights["layers.0.mlp.2.weight"], _weights["layers.0.mlp.2.bias"]);
        return F.linear(_lastPositionOnly ? x : x[.., -1], _weights["head.weight"]);
    }

    /// <summary>[batch, positions, width] → the same.</summary>
    private Tensor Attend(Tensor x)
    {
        (long batch, long positions, long width) = (x.shape[0], x.shape[1], x.shape[2]);
        Tensor[] parts = F.linear(x, _weights["layers.0.attn.in_proj_weight"]).view(batch, positions, 3, Heads, width / Heads)
            .permute(2, 0, 3, 1, 4).unbind(0);
        Tensor mixed = F.scaled_dot_product_attention(parts[0], parts[1], parts[2], is_casual: true);
        return x + F.linear(mixed.transpose(1, 2).reshape(batch, positions, width), _weights["layers.0.attn.out_proj.weight"]);
    }

    /// <summary>[batch, positions, width] → [batch, width] at the last position, which sees all the others: no
    /// mask.</summary>
    private Tensor AttendFromLast(Tensor x)
    {
        (long batch, long positions, long width) = (x.shape[0], x.shape[1], x.shape[2]);
        Tensor weight = _weights["layers.0.attn.in_proj_weight"];
        Tensor last = x[.., -1];
        Tensor query = F.linear(last, weight.narrow(0, 0, width)).view(batch, Heads, 1, width / Heads);
        Tensor[] parts = F.linear(x, weight.narrow(0, width, 2 * width)).view(batch, positions, 2, Heads, width / Heads)
            .permute(2, 0, 3, 1, 4).unbind(0);
        Tensor mixed = F.scaled_dot_product_attention(query, parts[0], parts[1]);
        return last + F.linear(mixed.reshape(batch, width), _weights["layers.0.attn.out_proj.weight"]);
    }

    private static (Tensor Tokens, Tensor Targets) ToTensors(TokenBatch batch) =>
        (tensor(batch.Tokens, batch.Size, batch.Tokens.Length / batch.Size), tensor(batch.Targets));
}
