using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Operators;

/// <summary>Gradients of LayerNormalization and RMSNormalization.</summary>
internal static class RowNormalization
{
    /// <summary>axes: those that are normalised. leading: the others.</summary>
    private static readonly OperatorAttribute Axes = new("axes", AttributeKind.Ints), Leading = new("leading", AttributeKind.Ints);

    /// <summary>x̂ = (x − mean)·r, h = dy·γ: dx = r·(h − mean(h) − x̂·mean(h·x̂)), dγ = Σ dy·x̂, dβ = Σ dy, r being 1/σ.</summary>
    public static OperatorDefinition LayerNormGrad { get; } = new()
    {
        Name = "LayerNormGrad",
        Inputs = ["x", "gain", "mean", "inverse", "dy"],
        Outputs = [new("dx", ShapeOf: "x"), new("dgain", ShapeOf: "gain"), new("dbias", ShapeOf: "gain")],
        Attributes = [Axes, Leading],
        Body = (g, x) =>
        {
            Term axes = x.Ints("axes"), leading = x.Ints("leading"), inverse = x["inverse"], dy = x["dy"];
            Term normal = (x["x"] - x["mean"]) * inverse, h = dy * x["gain"];
            Term inner = h - Mean(g, h, axes) - normal * Mean(g, h * normal, axes);
            return [inner * inverse, Sum(g, dy * normal, leading), Sum(g, dy, leading)];
        },
    };

    /// <summary>The same without a mean, r = 1/√(mean(x²) + ε).</summary>
    public static OperatorDefinition RmsNormGrad { get; } = new()
    {
        Name = "RmsNormGrad",
        Inputs = ["x", "gain", "dy"],
        Outputs = [new("dx", ShapeOf: "x"), new("dgain", ShapeOf: "gain")],
        Attributes = [Axes, Leading, new("epsilon", AttributeKind.Float)],
        Body = (g, x) =>
        {
            Term axes = x.Ints("axes"), leading = x.Ints("leading"), epsilon = x.Float("epsilon", x["x"]), dy = x["dy"];
            Term inverse = g.Reciprocal(g.Sqrt(Mean(g, x["x"] * x["x"], axes) + epsilon));
            Term normal = x["x"] * inverse, h = dy * x["gain"];
            Term inner = h - normal * Mean(g, h * normal, axes);
            return [inner * inverse, Sum(g, dy * normal, leading)];
        },
    };

    /// <summary>dx, dγ, dβ of LayerNormalization over the axes from <paramref name="axis"/> on, with the forward node's
    /// statistics.</summary>
    public static Term[] LayerNormGradOf(GraphBuilder g, Value x, Value gain, Value mean, Value inverse, Value dy, int axis) =>
        LayerNormGrad.Call(g, [x, gain, mean, inverse, dy], RowAxes(x, axis));

    /// <summary>dx, dγ of RMSNormalization over the axes from <paramref name="axis"/> on.</summary>
    public static Term[] RmsNormGradOf(GraphBuilder g, Value x, Value gain, Value dy, int axis, float epsilon) =>
        RmsNormGrad.Call(g, [x, gain, dy], [.. RowAxes(x, axis), ("epsilon", epsilon)]);

    private static (string, object)[] RowAxes(Value x, int axis) => [("axes", Range(axis, x.Shape!.Rank)), ("leading", Range(0, axis))];

    private static long[] Range(int from, int to) => [.. Enumerable.Range(from, to - from).Select(i => (long)i)];

    private static Term Mean(GraphBuilder g, Value x, Value axes) => g.Op("ReduceMean", [x, axes], ("keepdims", 1));

    /// <summary>No leading axis: one row, whose sum is itself.</summary>
    private static Term Sum(GraphBuilder g, Value x, Value leading) =>
        g.Op("ReduceSum", [x, leading], ("keepdims", 0), ("noop_with_empty_axes", 1));
}
