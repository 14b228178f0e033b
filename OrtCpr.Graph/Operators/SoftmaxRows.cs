using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Operators;

/// <summary>Softmax over the last axis.</summary>
internal static class SoftmaxRows
{
    /// <summary>exp(x) / Σ exp(x).</summary>
    public static OperatorDefinition Forward { get; } = new()
    {
        Name = "Softmax",
        Inputs = ["x"],
        Outputs = [new("y", ShapeOf: "x")],
        Body = (g, x) => [g.Op("Softmax", [x["x"]], ("axis", -1))],
        Gradient = (g, op, dy) => [GradOf(g, op.Out(0), dy)],
    };

    /// <summary>dx of <see cref="Forward"/> by its result.</summary>
    public static OperatorDefinition Grad { get; } = new()
    {
        Name = "SoftmaxGrad",
        Inputs = ["y", "dy"],
        Outputs = [new("dx", ShapeOf: "y")],
        Body = (g, x) => [SoftmaxRules.InputGradient(g, x["y"], x["dy"], -1)],
    };

    /// <summary>A call of <see cref="Grad"/>.</summary>
    public static Term GradOf(GraphBuilder g, Value y, Value dy) => Grad.Call(g, [y, dy])[0];
}
