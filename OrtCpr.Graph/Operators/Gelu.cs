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
    public static Term GradOfTanh(GraphBuilder g, Value x, Value dy) => TanhGrad.Call(g, [x, dy])[0];

    /// <summary>A call of <see cref="ErfGrad"/>.</summary>
    public static Term GradOfErf(GraphBuilder g, Value x, Value dy) => ErfGrad.Call(g, [x, dy])[0];

    /// <summary>dy/dx = ½(1 + t) + ½x(1 − t²)·du/dx with t = tanh u.</summary>
    public static Term TanhBackward(GraphBuilder g, Term x, Term dy)
    {
        Term square = x * x, t = g.Tanh(x * (square * (Scale * Cubic) + Scale));
        Term du = square * (3 * Scale * Cubic) + Scale;
        Term slope = (1 - t * t) * du * x;
        return dy * ((t + slope + 1) * 0.5);
    }

    /// <summary>d/dx x·Φ(x) = Φ(x) + x·φ(x).</summary>
    public static Term ErfBackward(GraphBuilder g, Term x, Term dy)
    {
        Term cdf = (g.Erf(x * Math.Sqrt(0.5)) + 1) * 0.5;
        Term pdf = g.Exp(x * x * -0.5) * (1 / Math.Sqrt(2 * Math.PI));
        return dy * (cdf + x * pdf);
    }

    private static Term TanhForward(GraphBuilder g, Term x) => x * 0.5 * (g.Tanh(x * (x * x * (Scale * Cubic) + Scale)) + 1);

    private static Term ErfForward(GraphBuilder g, Term x) => x * 0.5 * (g.Erf(x * Math.Sqrt(0.5)) + 1);
}
