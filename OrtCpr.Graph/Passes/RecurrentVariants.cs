using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Which LSTM, GRU and RNN nodes a provider over cuDNN runs: the library has the plain equations only.</summary>
internal static class RecurrentVariants
{
    /// <summary>The activations that the equations are known with; a direction of its own repeats them.</summary>
    private static readonly Dictionary<string, string[]> Activations = new(StringComparer.Ordinal)
    {
        ["RNN"] = ["tanh"],
        ["GRU"] = ["sigmoid", "tanh"],
        ["LSTM"] = ["sigmoid", "tanh", "tanh"],
    };

    public static bool HasCudnnKernel(Node node)
    {
        if (node.Domain.Length > 0 || node.Has("activation_alpha") || node.Has("activation_beta") || node.Has("clip")) return false;
        string[] plain = Activations[node.OpType], given = node.Texts("activations") ?? plain;
        if (given.Where((name, i) => !name.Equals(plain[i % plain.Length], StringComparison.OrdinalIgnoreCase)).Any()) return false;
        return node.OpType switch
        {
            "GRU" => node.Int("linear_before_reset", 0) == 1,
            "LSTM" => node.Int("input_forget", 0) == 0 && node.In(7) is null,
            _ => true,
        };
    }
}
