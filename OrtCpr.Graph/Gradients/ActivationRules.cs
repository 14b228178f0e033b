using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

// Activations, softmax family and Gelu in all spellings. Subgradients at kinks follow PyTorch.
internal static class ActivationRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["Relu"] = (g, op, dy) => [g.Where(g.Greater(op.Out(0), g.Scalar(0, dy.Type)), dy, g.Scalar(0, dy.Type))],
        ["Sigmoid"] = (g, op, dy) => [g.Mul(dy, g.Mul(op.Out(0), g.Sub(1, op.Out(0))))],
        ["Tanh"] = (g, op, dy) => [g.Mul(dy, g.Sub(1, g.Mul(op.Out(0), op.Out(0))))],
        ["Softmax"] = Softmax,
        ["LogSoftmax"] = LogSoftmax,
        ["LeakyRelu"] = (g, op, dy) => [g.Where(g.Greater(op.In(0), g.Scalar(0, dy.Type)), dy, g.Mul(dy, op.Node.Float("alpha", 0.01f)))],
        ["Softplus"] = (g, op, dy) => [g.Mul(dy, g.Sigmoid(op.In(0)))],
        ["Gelu"] = (g, op, dy) => [op.Node.Text("approximate", "none") == "tanh" ? GeluTanh(g, op.In(0), dy) : GeluErf(g, op.In(0), dy)],
        ["com.microsoft.Gelu"] = (g, op, dy) => [GeluErf(g, op.In(0), dy)],
        ["com.microsoft.FastGelu"] = WithBias(GeluTanh),
        ["com.microsoft.BiasGelu"] = WithBias(GeluErf),
        ["com.microsoft.QuickGelu"] = QuickGelu,
        ["Dropout"] = Dropout,
    };

    // dx = y·(dy - Σ y·dy) along the axis.
    private static Value?[] Softmax(GraphBuilder g, Forward op, Value dy)
    {
        Value y = op.Out(0), weighted = g.Mul(y, dy);
        Value total = g.ReduceSum(weighted, true, op.Axis("axis", -1));
        return [g.Sub(weighted, g.Mul(y, total))];
    }

    // dx = dy - softmax(x)·Σ dy along the axis.
    private static Value?[] LogSoftmax(GraphBuilder g, Forward op, Value dy) =>
        [g.Sub(dy, g.Mul(g.Exp(op.Out(0)), g.ReduceSum(dy, true, op.Axis("axis", -1))))];

    // d/dx x·Φ(x) = Φ(x) + x·φ(x).
    private static Value GeluErf(GraphBuilder g, Value x, Value dy)
    {
        Value cdf = g.Mul(g.Add(g.Erf(g.Mul(x, Math.Sqrt(0.5))), 1), 0.5);
        Value pdf = g.Mul(g.Exp(g.Mul(g.Mul(x, x), -0.5)), 1 / Math.Sqrt(2 * Math.PI));
        return g.Mul(dy, g.Add(cdf, g.Mul(x, pdf)));
    }

    // y = ½x(1 + t), t = tanh(u), u = √(2/π)(x + 0.044715x³): dy/dx = ½(1 + t) + ½x(1 - t²)·du/dx.
    private static Value GeluTanh(GraphBuilder g, Value x, Value dy)
    {
        double k = Math.Sqrt(2 / Math.PI);
        Value square = g.Mul(x, x);
        Value t = g.Tanh(g.Mul(x, g.Add(g.Mul(square, k * 0.044715), k)));
        Value du = g.Add(g.Mul(square, 3 * k * 0.044715), k);
        Value slope = g.Mul(g.Mul(g.Sub(1, g.Mul(t, t)), du), x);
        return g.Mul(dy, g.Mul(g.Add(g.Add(t, slope), 1), 0.5));
    }

    private static GradientRule WithBias(Func<GraphBuilder, Value, Value, Value> gelu) => (g, op, dy) =>
    {
        if (op.TryIn(1) is not Value bias) return [gelu(g, op.In(0), dy)];
        Value dx = gelu(g, g.Add(op.In(0), bias), dy);
        return [dx, dx];
    };

    // y = x·σ(αx): dy/dx = σ + αx·σ(1 - σ).
    private static Value?[] QuickGelu(GraphBuilder g, Forward op, Value dy)
    {
        Value x = op.In(0), scaled = g.Mul(x, op.Node.Float("alpha", 1.702f));
        Value s = g.Sigmoid(scaled);
        return [g.Mul(dy, g.Add(s, g.Mul(g.Mul(scaled, s), g.Sub(1, s))))];
    }

    // Without training the operator is the identity. With it the mask (output 1) tells what was kept.
    private static Value?[] Dropout(GraphBuilder g, Forward op, Value dy)
    {
        bool training = op.TryIn(2) is Value mode && mode.Data?.ToInt64s() is not [0];
        if (!training) return [dy];
        Value ratio = g.Cast(op.TryIn(1) ?? g.Scalar(0.5, dy.Type), dy.Type);
        return [g.Where(op.Out(1), g.Div(dy, g.Sub(1, ratio)), g.Scalar(0, dy.Type))];
    }
}
