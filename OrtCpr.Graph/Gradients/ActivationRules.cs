using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

// Activations, softmax family and Gelu in all spellings. Subgradients at kinks follow PyTorch.
internal static class ActivationRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["Relu"] = (g, op, dy) => [dy.Type == ElementType.Float ? Operators.Relu.GradOf(g, op.Out(0), dy) : Kept(g, g.Greater(op.Out(0), g.Scalar(0, dy.Type)), dy)],
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
        ["com.microsoft.QuickGelu"] = (g, op, dy) => [ScaledSigmoid(g, op.In(0), op.Node.Float("alpha", 1.702f), dy)],
        ["Swish"] = (g, op, dy) => [ScaledSigmoid(g, op.In(0), op.Node.Float("alpha", 1), dy)],
        ["Elu"] = (g, op, dy) => [Exponential(g, op, op.Node.Float("alpha", 1), 1, dy)],
        ["Selu"] = Selu,
        ["Celu"] = Celu,
        ["HardSigmoid"] = HardSigmoid,
        ["HardSwish"] = HardSwish,
        ["Mish"] = Mish,
        ["Softsign"] = Softsign,
        ["PRelu"] = PRelu,
        ["Shrink"] = (g, op, dy) => [Kept(g, g.Greater(g.Abs(op.In(0)), g.Scalar(op.Node.Float("lambd", 0.5f), dy.Type)), dy)],
        ["ThresholdedRelu"] = (g, op, dy) => [Kept(g, g.Greater(op.In(0), g.Scalar(op.Node.Float("alpha", 1), dy.Type)), dy)],
        ["Dropout"] = Dropout,
    };

    // dx = y·(dy - Σ y·dy) along the axis.
    private static Value?[] Softmax(GraphBuilder g, Forward op, Value dy)
    {
        Value y = op.Out(0);
        int axis = op.Axis("axis", -1);
        if (y.Type == ElementType.Float && axis == op.Rank(0) - 1) return [Operators.Softmax.GradOf(g, y, dy)];
        Value weighted = g.Mul(y, dy), total = g.ReduceSum(weighted, true, axis);
        return [g.Sub(weighted, g.Mul(y, total))];
    }

    // dx = dy - softmax(x)·Σ dy along the axis.
    private static Value?[] LogSoftmax(GraphBuilder g, Forward op, Value dy) =>
        [g.Sub(dy, g.Mul(g.Exp(op.Out(0)), g.ReduceSum(dy, true, op.Axis("axis", -1))))];

    private static Value GeluErf(GraphBuilder g, Value x, Value dy) => x.Type == ElementType.Float ? Operators.Gelu.GradOfErf(g, x, dy) : Operators.Gelu.ErfBackward(g, x, dy);

    private static Value GeluTanh(GraphBuilder g, Value x, Value dy) => x.Type == ElementType.Float ? Operators.Gelu.GradOfTanh(g, x, dy) : Operators.Gelu.TanhBackward(g, x, dy);

    private static GradientRule WithBias(Func<GraphBuilder, Value, Value, Value> gelu) => (g, op, dy) =>
    {
        if (op.TryIn(1) is not Value bias) return [gelu(g, op.In(0), dy)];
        Value dx = gelu(g, g.Add(op.In(0), bias), dy);
        return [dx, dx];
    };

    // y = x·σ(αx): dy/dx = σ + αx·σ(1 - σ).
    private static Value ScaledSigmoid(GraphBuilder g, Value x, double alpha, Value dy)
    {
        Value scaled = alpha == 1 ? x : g.Mul(x, alpha);
        Value s = g.Sigmoid(scaled);
        return g.Mul(dy, g.Add(s, g.Mul(g.Mul(scaled, s), g.Sub(1, s))));
    }

    private static Value Kept(GraphBuilder g, Value condition, Value dy) => g.Where(condition, dy, g.Scalar(0, dy.Type));

    private static Value Positive(GraphBuilder g, Value x) => g.Greater(x, g.Scalar(0, x.Type));

    // y = γx above 0 and γα(eˣ - 1) below, whose slope is y + γα.
    private static Value Exponential(GraphBuilder g, Forward op, double alpha, double gamma, Value dy)
    {
        Value above = gamma == 1 ? dy : g.Mul(dy, gamma);
        return g.Where(Positive(g, op.In(0)), above, g.Mul(dy, g.Add(op.Out(0), gamma * alpha)));
    }

    private static Value?[] Selu(GraphBuilder g, Forward op, Value dy) =>
        [Exponential(g, op, op.Node.Float("alpha", 1.67326319217681884765625f), op.Node.Float("gamma", 1.05070102214813232421875f), dy)];

    // y = α(e^(x/α) - 1) below 0: the slope there is y/α + 1.
    private static Value?[] Celu(GraphBuilder g, Forward op, Value dy) =>
        [g.Where(Positive(g, op.In(0)), dy, g.Mul(dy, g.Add(g.Div(op.Out(0), op.Node.Float("alpha", 1)), 1)))];

    // y = αx + β strictly between 0 and 1, flat elsewhere.
    private static Value?[] HardSigmoid(GraphBuilder g, Forward op, Value dy)
    {
        double alpha = op.Node.Float("alpha", 0.2f);
        Value y = op.Out(0);
        Value inside = g.And(g.Greater(y, g.Scalar(0, y.Type)), g.Less(y, g.Scalar(1, y.Type)));
        return [Kept(g, inside, g.Mul(dy, alpha))];
    }

    // y = x·clip(x/6 + ½, 0, 1): slope 0 below -3, x/3 + ½ up to 3, then 1.
    private static Value?[] HardSwish(GraphBuilder g, Forward op, Value dy)
    {
        Value x = op.In(0);
        Value inner = g.Mul(dy, g.Add(g.Div(x, 3), 0.5));
        Value upper = g.Where(g.Greater(x, g.Scalar(3, x.Type)), dy, inner);
        return [Kept(g, g.GreaterOrEqual(x, g.Scalar(-3, x.Type)), upper)];
    }

    // y = x·t, t = tanh(softplus(x)): dy/dx = t + x(1 - t²)·σ(x).
    private static Value?[] Mish(GraphBuilder g, Forward op, Value dy)
    {
        Value x = op.In(0), t = g.Tanh(g.Op("Softplus", [x]));
        Value slope = g.Mul(g.Mul(x, g.Sigmoid(x)), g.Sub(1, g.Mul(t, t)));
        return [g.Mul(dy, g.Add(t, slope))];
    }

    // y = x / (1 + |x|): dy/dx = 1 / (1 + |x|)².
    private static Value?[] Softsign(GraphBuilder g, Forward op, Value dy)
    {
        Value width = g.Add(g.Abs(op.In(0)), 1);
        return [g.Div(dy, g.Mul(width, width))];
    }

    private static Value?[] PRelu(GraphBuilder g, Forward op, Value dy)
    {
        Value x = op.In(0), positive = Positive(g, x);
        return [g.Where(positive, dy, g.Mul(dy, op.In(1))), g.Where(positive, g.Scalar(0, dy.Type), g.Mul(dy, x))];
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
