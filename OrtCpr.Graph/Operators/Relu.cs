using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Operators;

/// <summary>The gradient of Relu by its result.</summary>
internal static class Relu
{
    /// <summary>dy where y is above 0, else 0.</summary>
    public static OperatorDefinition Grad { get; } = new()
    {
        Name = "ReluGrad",
        Inputs = ["y", "dy"],
        Outputs = [new("dx", ShapeOf: "dy")],
        Body = (g, x) => [Backward(g, x["y"], x["dy"])],
        Gradient = (g, op, dy) => [null, GradOf(g, op.In(0), dy)],
    };

    /// <summary>A call of <see cref="Grad"/>.</summary>
    public static Term GradOf(GraphBuilder g, Value y, Value dy) => Grad.Call(g, [y, dy])[0];

    /// <summary>The same in standard operators.</summary>
    public static Term Backward(GraphBuilder g, Term y, Term dy)
    {
        Term zero = g.Op("CastLike", [g.Op("Constant", [], ("value_float", 0f)), dy]);
        return g.Where(y > zero, dy, zero);
    }
}
