namespace OrtCpr.Tests.Gradients;

internal static partial class RuleCases
{
    /// <summary>Tokens of width 4, 3 experts with 5 hidden features.</summary>
    private static RuleCase[] Experts =>
    [
        Mixture([6, 4], 5, true, ("k", 1), ("activation_type", "silu")),
        Mixture([2, 3, 4], 5, true, ("k", 2), ("activation_type", "gelu"), ("normalize_routing_weights", 1)),
        Mixture([7, 4], 5, false, ("k", 3), ("activation_type", "identity")),
        Mixture([1, 4], 5, false, ("k", 2), ("activation_type", "silu"), ("normalize_routing_weights", 1)),
        Mixture([3, 4], 5, false, ("k", 2), ("activation_type", "relu")),
        Mixture([6, 4], 10, true, ("k", 2), ("activation_type", "swiglu"), ("swiglu_fusion", 1)),
        Limited(),
    ];

    private static RuleCase Mixture(long[] shape, long rows, bool biased, params (string, object)[] attributes)
    {
        long tokens = shape.Aggregate(1L, (p, d) => p * d) / 4;
        return Case("com.microsoft.MoE",
            [X(shape), X(tokens, 3), Between(-0.7, 0.7, 3, rows, 4), biased ? X(3, rows) : null, Between(-0.7, 0.7, 3, 4, 5), biased
                ? X(3, 4) : null], attributes);
    }

    /// <summary>Biases of -2, 0 and 2 hold what is limited to 1 at a distance from it: tokens and weights add 0.8 at
    /// most.</summary>
    private static RuleCase Limited()
    {
        Feed biases = Exactly([3, 10], [.. Enumerable.Range(0, 30).Select(i => 2.0 * ((i % 3) - 1))]);
        return Case("com.microsoft.MoE", [X(2, 3, 4), X(6, 3), Between(-0.1, 0.1, 3, 10, 4), biases, Between(-0.7, 0.7, 3, 4, 5), null],
            ("k", 2), ("activation_type", "swiglu"), ("swiglu_fusion", 1), ("activation_alpha", 1.7f), ("activation_beta", 1f),
            ("swiglu_limit", 1f));
    }
}
