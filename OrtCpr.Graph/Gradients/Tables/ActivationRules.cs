using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Activations, and Gelu in all spellings. Subgradients at kinks follow PyTorch.</summary>
internal static class ActivationRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["Relu"] = (g, op, dy) => [dy.Type == ElementType.Float ? Relu.GradOf(g, op.Out(0), dy) : Kept(g, op.Out(0) > 0, dy)],
        ["Sigmoid"] = (g, op, dy) => [dy * (op.Out(0) * (1 - op.Out(0)))],
        ["Tanh"] = (g, op, dy) => [dy * (1 - op.Out(0) * op.Out(0))],
        ["LeakyRelu"] = (g, op, dy) => [g.Where(op.In(0) > 0, dy, dy * op.Node.Float("alpha", 0.01f))],
        ["Softplus"] = (g, op, dy) => [dy * g.Sigmoid(op.In(0))],
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
        ["Shrink"] = (g, op, dy) => [Kept(g, g.Abs(op.In(0)) > op.Node.Float("lambd", 0.5f), dy)],
        ["ThresholdedRelu"] = (g, op, dy) => [Kept(g, op.In(0) > op.Node.Float("alpha", 1), dy)],
        ["Dropout"] = Dropout,
    };

    private static Value GeluErf(GraphBuilder g, Value x, Value dy) =>
        x.Type == ElementType.Float ? Gelu.GradOfErf(g, x, dy) : Gelu.ErfBackward(g, g.Term(x), g.Term(dy));

    private static Value GeluTanh(GraphBuilder g, Value x, Value dy) =>
        x.Type == ElementType.Float ? Gelu.GradOfTanh(g, x, dy) : Gelu.TanhBackward(g, g.Term(x), g.Term(dy));

    private static GradientRule WithBias(Func<GraphBuilder, Value, Value, Value> gelu) => (g, op, dy) =>
    {
        if (op.TryIn(1) is not Value bias) return [gelu(g, op.In(0), dy)];
        Value dx = gelu(g, op.In(0) + bias, dy);
        return [dx, dx];
    };

    /// <summary>y = x·σ(αx): dy/dx = σ + αx·σ(1 - σ).</summary>
    private static Term ScaledSigmoid(GraphBuilder g, Term x, double alpha, Term dy)
    {
        Term scaled = alpha == 1 ? x : x * alpha;
        Term s = g.Sigmoid(scaled);
        return dy * (s + scaled * s * (1 - s));
    }

    private static Term Kept(GraphBuilder g, Value condition, Value dy) => g.Where(condition, dy, 0);

    /// <summary>y = γx above 0 and γα(eˣ - 1) below, whose slope is y + γα.</summary>
    private static Term Exponential(GraphBuilder g, Forward op, double alpha, double gamma, Term dy)
    {
        Term above = gamma == 1 ? dy : dy * gamma;
        return g.Where(op.In(0) > 0, above, dy * (op.Out(0) + gamma * alpha));
    }

    private static Value?[] Selu(GraphBuilder g, Forward op, Term dy) =>
        [Exponential(g, op, op.Node.Float("alpha", 1.67326319217681884765625f), op.Node.Float("gamma", 1.05070102214813232421875f), dy)];

    /// <summary>y = α(e^(x/α) - 1) below 0: the slope there is y/α + 1.</summary>
    private static Value?[] Celu(GraphBuilder g, Forward op, Term dy) =>
        [g.Where(op.In(0) > 0, dy, dy * (op.Out(0) / op.Node.Float("alpha", 1) + 1))];

    /// <summary>y = αx + β strictly between 0 and 1, flat elsewhere.</summary>
    private static Value?[] HardSigmoid(GraphBuilder g, Forward op, Term dy)
    {
        double alpha = op.Node.Float("alpha", 0.2f);
        Term y = op.Out(0);
        Term inside = (y > 0) & (y < 1);
        return [Kept(g, inside, dy * alpha)];
    }

    /// <summary>y = x·clip(x/6 + ½, 0, 1): slope 0 below -3, x/3 + ½ up to 3, then 1.</summary>
    private static Value?[] HardSwish(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0);
        Term inner = dy * (x / 3 + 0.5);
        Term upper = g.Where(x > 3, dy, inner);
        return [Kept(g, x >= -3, upper)];
    }

    /// <summary>y = x·t, t = tanh(softplus(x)): dy/dx = t + x(1 - t²)·σ(x).</summary>
    private static Value?[] Mish(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0), t = g.Tanh(g.Op("Softplus", [x]));
        Term slope = x * g.Sigmoid(x) * (1 - t * t);
        return [dy * (t + slope)];
    }

    /// <summary>y = x / (1 + |x|): dy/dx = 1 / (1 + |x|)².</summary>
    private static Value?[] Softsign(GraphBuilder g, Forward op, Term dy)
    {
        Term width = g.Abs(op.In(0)) + 1;
        return [dy / (width * width)];
    }

    private static Value?[] PRelu(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0), positive = x > 0;
        return [g.Where(positive, dy, dy * op.In(1)), g.Where(positive, 0, dy * x)];
    }

    /// <summary>Without training the operator is the identity. With it the mask (output 1) tells what was
    /// kept.</summary>
    private static Value?[] Dropout(GraphBuilder g, Forward op, Term dy)
    {
        bool training = op.TryIn(2) is Value mode && mode.Data?.ToInt64s() is not [0];
        if (!training) return [dy];
        Term ratio = g.Cast(op.TryIn(1) ?? g.Scalar(0.5, dy.Type), dy.Type);
        return [g.Where(op.Out(1), dy / (1 - ratio), 0)];
    }
}
