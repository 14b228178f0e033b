namespace OrtCpr.Tests.Gradients;

internal static partial class RuleCases
{
    /// <summary>2 streams of 3 features, unless the case says otherwise.</summary>
    private static RuleCase[] Streams =>
    [
        Case("com.microsoft.ScaledSiLU", X(2, 3), ("alpha", 1.3f)),
        Case("com.microsoft.ScaledSiLU", [X(2, 3), Exactly([], 0.7)]),
        Case("com.microsoft.GatedAdd", [X(2, 3, 4), X(2, 3, 4), X(2, 3, 1)]),
        Case("com.microsoft.GatedRMSNorm", [X(2, 3, 8), X(4), X(2, 3, 8)], ("epsilon", 1e-3f)),
        Case("com.microsoft.GatedRMSNorm", [X(2, 3, 4), X(4), X(2, 3, 4)], ("epsilon", 1e-3f), ("activation", "sigmoid")),
        Case("com.microsoft.BranchwiseRMSNorm", [X(4, 2, 3), X(3)], ("epsilon", 1e-3f)),
        Case("com.microsoft.BranchwiseRMSNorm", [X(4, 2, 3), X(2, 3)], ("epsilon", 1e-3f)),
        Case("com.microsoft.BranchwiseRMSNorm", [X(4, 6), X(6)], ("epsilon", 1e-3f), ("num_branches", 2)),
        Case("com.microsoft.BranchwiseRMSNorm", [X(4, 6)], ("epsilon", 1e-3f), ("num_branches", 2)),
        Case("com.microsoft.HyperConnectionPreMix", [X(4, 2, 3), X(4, 2)]),
        Case("com.microsoft.HyperConnectionPreMix", [X(4, 2, 3), X(4, 2, 3)], ("reduction_scale", 0.5f)),
        Case("com.microsoft.HyperConnectionPreMix", [X(4, 6), X(4, 2)], ("num_branches", 2)),
        Case("com.microsoft.HyperConnectionPreMix", [X(4, 6), X(4, 6)], ("num_branches", 2)) with { StaticOnly = true },
        Case("com.microsoft.HyperConnectionPostMix", [X(4, 2, 3), X(4, 3), X(4, 2), X(4, 2, 2)]),
        Case("com.microsoft.HyperConnectionPostMix", [X(4, 2, 3), X(4, 3), X(4, 2, 1)]),
        Case("com.microsoft.LinearAttentionGate", [X(2, 3, 4), X(4), X(4), X(2, 3, 4)]) with { Outputs = 2 },
        Case("com.microsoft.LinearAttentionGate", [X(2, 3, 4), X(4), X(4)]),
        .. new[] { "linear", "gated", "delta", "gated_delta" }.Select(Linear),
        Case("com.microsoft.CausalConvWithState", [X(2, 3, 5), X(3, 1, 4), X(3), X(2, 3, 3)], ("activation", "silu")) with
            { Outputs = 2, StaticOnly = true },
        Case("com.microsoft.CausalConvWithState", [X(2, 3, 5), X(3, 1, 2)]) with { Outputs = 2, StaticOnly = true },
        // Where keys and queries are parallel or opposite, the root is far from its kink.
        Case("com.microsoft.EngramGate",
            [Between(0.5, 2, 2, 3, 2, 4), Between(0.5, 2, 2, 3, 2, 4), X(2, 3, 4), Between(0.5, 1.5, 2, 4), Between(0.5, 1.5, 2, 4),
                X(2, 4)], ("epsilon", 1e-3f)) with { Outputs = 2 },
        Case(
            "com.microsoft.EngramGate",
            [Between(0.5, 2, 1, 3, 2, 5), Between(-2, -0.5, 1, 3, 2, 5), X(1, 3, 5), Between(0.5, 1.5, 2, 5), Between(0.5, 1.5, 2, 5)]),
    ];

    /// <summary>3 positions; 4 heads of width 2 over 2 of them, values 3 wide.</summary>
    private static RuleCase Linear(string rule)
    {
        Feed? decay = rule.StartsWith("gated", StringComparison.Ordinal) ? Between(-1, -0.1, rule == "gated" ? [2, 3, 4] : [2, 3, 2])
            : null;
        Feed? beta = rule.EndsWith("delta", StringComparison.Ordinal) ? Between(0.1, 0.9, 2, 3, 2) : null;
        Feed?[] inputs = [X(2, 3, 8), Between(-0.7, 0.7, 2, 3, 4), X(2, 3, 6), rule == "delta" ? null : X(2, 2, 2, 3), decay, beta];
        (string, object)[] attributes = [("q_num_heads", 4), ("kv_num_heads", 2), ("update_rule", rule),
            ("scale", rule == "linear" ? 0f : 0.6f)];
        return Case("com.microsoft.LinearAttention", inputs, attributes) with { Outputs = 2 };
    }
}
