namespace OrtCpr.Benchmarks.Sides;

/// <summary>The parameters of <c>optimizer</c>: a GPT2 of 6 blocks, 76 tensors.</summary>
/// <remarks>Token and position embeddings, twelve tensors a block (two layer norms, qkv, output projection and two MLP matrices, each with its vector), final
/// layer norm; the output projection is the token embedding. Vocabulary 50257, context 832, width 672: 66,899,616 parameters.</remarks>
internal static class Gpt2Shapes
{
    public const int Blocks = 6;
    public const int Vocabulary = 50257;
    public const int Context = 832;
    public const int Width = 672;

    /// <summary>Names and shapes in the order of the model; narrower for a quick run.</summary>
    public static IReadOnlyList<(string Name, long[] Dimensions)> List(bool quick = false)
    {
        long width = quick ? Width / 12 : Width;
        return
        [
            ("wte", [Vocabulary, width]),
            ("wpe", [Context, width]),
            .. Enumerable.Range(0, Blocks).SelectMany(block => Block($"h.{block}", width)),
            ("ln_f.weight", [width]),
            ("ln_f.bias", [width]),
        ];
    }

    /// <summary>Number of elements of all of them.</summary>
    public static long Count(IEnumerable<(string Name, long[] Dimensions)> shapes) => shapes.Sum(s => s.Dimensions.Aggregate(1L, (product, d) => product * d));

    private static (string Name, long[] Dimensions)[] Block(string name, long width) =>
    [
        ($"{name}.ln_1.weight", [width]),
        ($"{name}.ln_1.bias", [width]),
        ($"{name}.attn.c_attn.weight", [width, 3 * width]),
        ($"{name}.attn.c_attn.bias", [3 * width]),
        ($"{name}.attn.c_proj.weight", [width, width]),
        ($"{name}.attn.c_proj.bias", [width]),
        ($"{name}.ln_2.weight", [width]),
        ($"{name}.ln_2.bias", [width]),
        ($"{name}.mlp.c_fc.weight", [width, 4 * width]),
        ($"{name}.mlp.c_fc.bias", [4 * width]),
        ($"{name}.mlp.c_proj.weight", [4 * width, width]),
        ($"{name}.mlp.c_proj.bias", [width]),
    ];
}
