namespace OrtCpr.Benchmarks.Sides;

/// <summary>The parameters of a GPT2.</summary>
/// <remarks>Token and position embeddings, twelve tensors a block (two layer norms, qkv, output projection and two MLP
/// matrices, each with its vector), final layer norm; the output projection is the token embedding.</remarks>
internal sealed record Gpt2Shapes(int Vocabulary, int Context, int Width, int Blocks)
{
    /// <summary>What <c>optimizer</c> steps: 66,899,616 parameters in 76 tensors.</summary>
    public static Gpt2Shapes Optimizer { get; } = new(50257, 832, 672, 6);

    /// <summary>The model of <c>gpt2_5m.onnx</c>.</summary>
    public static Gpt2Shapes Small { get; } = new(8192, 512, 256, 4);

    /// <summary>Name of the token embedding, which is the output projection too.</summary>
    public const string TokenEmbedding = Prefix + "wte.weight";

    /// <summary>Name of the position embedding.</summary>
    public const string PositionEmbedding = Prefix + "wpe.weight";

    /// <summary>Name of the layer norm after the blocks, without its parameters.</summary>
    public const string FinalNorm = Prefix + "ln_f";

    private const string Prefix = "model.transformer.";

    /// <summary>What the names of a block's parameters start with.</summary>
    public static string BlockName(int block) => $"{Prefix}h.{block}";

    /// <summary>Names and shapes in the order of the model.</summary>
    public IReadOnlyList<(string Name, long[] Dimensions)> List() =>
        [
            (TokenEmbedding, [Vocabulary, Width]),
            (PositionEmbedding, [Context, Width]),
            .. Enumerable.Range(0, Blocks).SelectMany(Block),
            ($"{FinalNorm}.weight", [Width]),
            ($"{FinalNorm}.bias", [Width]),
        ];

    /// <summary>Number of elements of all of them.</summary>
    public static long Count(IEnumerable<(string Name, long[] Dimensions)> shapes) =>
        shapes.Sum(s => s.Dimensions.Aggregate(1L, (product, d) => product * d));

    private (string Name, long[] Dimensions)[] Block(int block)
    {
        string name = BlockName(block);
        return
        [
            ($"{name}.ln_1.weight", [Width]),
            ($"{name}.ln_1.bias", [Width]),
            ($"{name}.attn.c_attn.weight", [Width, 3 * Width]),
            ($"{name}.attn.c_attn.bias", [3 * Width]),
            ($"{name}.attn.c_proj.weight", [Width, Width]),
            ($"{name}.attn.c_proj.bias", [Width]),
            ($"{name}.ln_2.weight", [Width]),
            ($"{name}.ln_2.bias", [Width]),
            ($"{name}.mlp.c_fc.weight", [Width, 4 * Width]),
            ($"{name}.mlp.c_fc.bias", [4 * Width]),
            ($"{name}.mlp.c_proj.weight", [4 * Width, Width]),
            ($"{name}.mlp.c_proj.bias", [Width]),
        ];
    }
}
