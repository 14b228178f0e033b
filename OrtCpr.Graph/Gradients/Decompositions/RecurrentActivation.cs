using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>An activation of LSTM, GRU or RNN, named by the attribute <c>activations</c>. Alphas and betas are lists in
/// the order of those functions that have them.</summary>
internal sealed record RecurrentActivation(string Name, double Alpha, double Beta)
{
    private sealed record Kind(double? Alpha, double? Beta, Func<GraphBuilder, Term, double, double, Term> Apply);

    /// <summary>Names in lower case: their case is not significant.</summary>
    private static readonly Dictionary<string, Kind> Kinds = new(StringComparer.Ordinal)
    {
        ["sigmoid"] = new(null, null, (g, x, a, b) => g.Sigmoid(x)),
        ["tanh"] = new(null, null, (g, x, a, b) => g.Tanh(x)),
        ["relu"] = new(null, null, (g, x, a, b) => g.Op("Relu", [x])),
        ["softsign"] = new(null, null, (g, x, a, b) => x / (g.Abs(x) + 1)),
        ["softplus"] = new(null, null, (g, x, a, b) => g.Op("Softplus", [x])),
        ["leakyrelu"] = new(0.01, null, (g, x, a, b) => g.Op("LeakyRelu", [x], ("alpha", (float)a))),
        ["thresholdedrelu"] = new(1, null, (g, x, a, b) => g.Where(x > a, x, 0)),
        ["elu"] = new(1, null, (g, x, a, b) => g.Where(x > 0, x, (g.Exp(g.Min(x, 0)) - 1) * a)),
        ["affine"] = new(1, 0, (g, x, a, b) => x * a + b),
        ["scaledtanh"] = new(1, 1, (g, x, a, b) => g.Tanh(x * b) * a),
        ["hardsigmoid"] = new(0.2, 0.5, (g, x, a, b) => g.Op("Clip", [x * a + b, g.Scalar(0, x.Type), g.Scalar(1, x.Type)])),
    };

    public Term Apply(GraphBuilder g, Term x) => Kinds[Name].Apply(g, x, Alpha, Beta);

    /// <summary>The functions of one direction: f, g and h of the operator's equations.</summary>
    public static RecurrentActivation[] Of(Node node, int direction, int count)
    {
        string[] defaults = node.OpType switch { "RNN" => ["tanh"], "GRU" => ["sigmoid", "tanh"], _ => ["sigmoid", "tanh", "tanh"] };
        string[] names = [.. node.Texts("activations")?.Select(n => n.ToLowerInvariant()) ?? [.. defaults, .. defaults]];
        if (names.Length < (direction + 1) * count || names.FirstOrDefault(n => !Kinds.ContainsKey(n)) is not null)
        {
            throw new UnsupportedGradientException(
                $"Node {node.Label} has the activations '{string.Join(", ", names)}'; "
                + $"expected {count} a direction out of {string.Join(", ", Kinds.Keys)}. Export the model with those.");
        }
        var alphas = new Queue<float>(node.Floats("activation_alpha") ?? []);
        var betas = new Queue<float>(node.Floats("activation_beta") ?? []);
        RecurrentActivation[] all = [.. names
            .Select(n => new RecurrentActivation(n, Next(Kinds[n].Alpha, alphas), Next(Kinds[n].Beta, betas)))];
        return all[(direction * count)..((direction + 1) * count)];
    }

    /// <summary>The next number of a list, or the default where the list is at its end; 0 for a function without that number.</summary>
    private static double Next(double? fallback, Queue<float> given) =>
        fallback is double number ? given.TryDequeue(out float next) ? next : number : 0;
}
