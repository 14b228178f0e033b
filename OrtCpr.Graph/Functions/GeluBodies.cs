using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Functions;

// Gelu, exact and approximated by tanh, and its gradients.
internal static class GeluBodies
{
    private const double Cubic = 0.044715;

    private static readonly double Scale = Math.Sqrt(2 / Math.PI);

    // ½x(1 + tanh u), u = √(2/π)(x + 0.044715x³).
    public static Value Forward(GraphBuilder g, Value x) =>
        g.Mul(g.Mul(x, 0.5), g.Add(g.Tanh(g.Mul(x, g.Add(g.Mul(g.Mul(x, x), Scale * Cubic), Scale))), 1));

    // dy/dx = ½(1 + t) + ½x(1 − t²)·du/dx with t = tanh u.
    public static Value Backward(GraphBuilder g, Value x, Value dy)
    {
        Value square = g.Mul(x, x);
        Value t = g.Tanh(g.Mul(x, g.Add(g.Mul(square, Scale * Cubic), Scale)));
        Value du = g.Add(g.Mul(square, 3 * Scale * Cubic), Scale);
        Value slope = g.Mul(g.Mul(g.Sub(1, g.Mul(t, t)), du), x);
        return g.Mul(dy, g.Mul(g.Add(g.Add(t, slope), 1), 0.5));
    }

    // x·Φ(x), Φ(x) = ½(1 + erf(x/√2)).
    public static Value ErfForward(GraphBuilder g, Value x) => g.Mul(g.Mul(x, 0.5), g.Add(g.Erf(g.Mul(x, Math.Sqrt(0.5))), 1));

    // d/dx x·Φ(x) = Φ(x) + x·φ(x).
    public static Value ErfBackward(GraphBuilder g, Value x, Value dy)
    {
        Value cdf = g.Mul(g.Add(g.Erf(g.Mul(x, Math.Sqrt(0.5))), 1), 0.5);
        Value pdf = g.Mul(g.Exp(g.Mul(g.Mul(x, x), -0.5)), 1 / Math.Sqrt(2 * Math.PI));
        return g.Mul(dy, g.Add(cdf, g.Mul(x, pdf)));
    }
}
