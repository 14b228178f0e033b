using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>What ONNX Runtime's optimizer fuses, taken apart again.</summary>
internal static class FusedRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["com.microsoft.FusedConv"] = ByDefinition.Rule(FusedConv),
        ["com.microsoft.FusedGemm"] = ByDefinition.Rule(FusedGemm),
    };

    private static Term FusedConv(GraphBuilder g, Forward op)
    {
        Term y = g.Op("Conv", [op.In(0), op.In(1), op.TryIn(2)], Own(op));
        y.Shape ??= op.Out(0).Shape;
        if (op.TryIn(3) is Value z) y = y + z;
        return Activated(g, op, y, op.Node.Floats("activation_params") ?? []);
    }

    private static Term FusedGemm(GraphBuilder g, Forward op)
    {
        float[] parameters = [.. new[] { "activation_alpha", "activation_beta", "activation_gamma" }.Where(op.Node.Has)
            .Select(a => op.Node.Float(a, 0))];
        return Activated(g, op, g.Op("Gemm", [op.In(0), op.In(1), op.TryIn(2)], Own(op)), parameters);
    }

    private static (string, object)[] Own(Forward op) =>
        [.. op.Node.Attributes.Where(a => !a.Key.StartsWith("activation", StringComparison.Ordinal)).Select(a => (a.Key, a.Value))];

    /// <summary>The parameters are the activation's attributes in order; Clip has bounds as inputs.</summary>
    private static Term Activated(GraphBuilder g, Forward op, Term y, float[] parameters)
    {
        string activation = op.Node.Text("activation", "");
        if (activation.Length == 0) return y;
        if (activation == "Clip") return g.Op("Clip", [y, .. parameters.Select(p => (Value?)g.Scalar(p, y.Type))]);
        (string, object)[] attributes = [.. parameters.Zip(["alpha", "beta"], (p, name) => (name, (object)p))];
        return g.Op(activation, [y], attributes);
    }
}
