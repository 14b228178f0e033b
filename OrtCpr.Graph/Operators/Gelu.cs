using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Operators;

/// <summary>Gelu, exact and approximated by tanh, and the gradients of both.</summary>
internal static class Gelu
{
    private const double Cubic = 0.044715;

    private static readonly double Scale = Math.Sqrt(2 / Math.PI);

    /// <summary>½x(1 + tanh u), u = √(2/π)(x + 0.044715x³).</summary>
    public static OperatorDefinition Tanh { get; } = new()
    {
        Name = "GeluTanh",
        Inputs = ["x"],
        Outputs = [new("y", ShapeOf: "x")],
        Body = (g, x) => [TanhForward(g, x["x"])],
        Gradient = (g, op, dy) => [GradOfTanh(g, op.In(0), dy)],
    };

    /// <summary>dx of <see cref="Tanh"/>.</summary>
    public static OperatorDefinition TanhGrad { get; } = new()
    {
        Name = "GeluTanhGrad",
        Inputs = ["x", "dy"],
        Outputs = [new("dx", ShapeOf: "x")],
        Body = (g, x) => [TanhBackward(g, x["x"], x["dy"])],
    };

    /// <summary>x·Φ(x), Φ(x) = ½(1 + erf(x/√2)).</summary>
    public static OperatorDefinition Erf { get; } = new()
    {
        Name = "GeluErf",
        Inputs = ["x"],
        Outputs = [new("y", ShapeOf: "x")],
        Body = (g, x) => [ErfForward(g, x["x"])],
        Gradient = (g, op, dy) => [GradOfErf(g, op.In(0), dy)],
    };

    /// <summary>dx of <see cref="Erf"/>.</summary>
    public static OperatorDefinition ErfGrad { get; } = new()
    {
        Name = "GeluErfGrad",
        Inputs = ["x", "dy"],
        Outputs = [new("dx", ShapeOf: "x")],
        Body = (g, x) => [ErfBackward(g, x["x"], x["dy"])],
    };

    /// <summary>A call of <see cref="TanhGrad"/>.</summary>
    public static Value GradOfTanh(GraphBuilder g, Value x, Value dy) => TanhGrad.Call(g, [x, dy])[0];

    /// <summary>A call of <see cref="ErfGrad"/>.</summary>
    public static Value GradOfErf(GraphBuilder g, Value x, Value dy) => ErfGrad.Call(g, [x, dy])[0];

    private static Value TanhForward(GraphBuilder g, Value x) =>
        g.Mul(g.Mul(x, 0.5), g.Add(g.Tanh(g.Mul(x, g.Add(g.Mul(g.Mul(x, x), Scale * Cubic), Scale))), 1));

    // dy/dx = ½(1 + t) + ½x(1 − t²)·du/dx with t = tanh u.
    public static Value TanhBackward(GraphBuilder g, Value x, Value dy)
    {
        Value square = g.Mul(x, x);
        Value t = g.Tanh(g.Mul(x, g.Add(g.Mul(square, Scale * Cubic), Scale)));
        Value du = g.Add(g.Mul(square, 3 * Scale * Cubic), Scale);
        Value slope = g.Mul(g.Mul(g.Sub(1, g.Mul(t, t)), du), x);
        return g.Mul(dy, g.Mul(g.Add(g.Add(t, slope), 1), 0.5));
    }

    private static Value ErfForward(GraphBuilder g, Value x) => g.Mul(g.Mul(x, 0.5), g.Add(g.Erf(g.Mul(x, Math.Sqrt(0.5))), 1));

    // d/dx x·Φ(x) = Φ(x) + x·φ(x).
    public static Value ErfBackward(GraphBuilder g, Value x, Value dy)
    {
        Value cdf = g.Mul(g.Add(g.Erf(g.Mul(x, Math.Sqrt(0.5))), 1), 0.5);
        Value pdf = g.Mul(g.Exp(g.Mul(g.Mul(x, x), -0.5)), 1 / Math.Sqrt(2 * Math.PI));
        return g.Mul(dy, g.Add(cdf, g.Mul(x, pdf)));
    }
}
