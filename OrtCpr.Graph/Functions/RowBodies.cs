using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Functions;

// Softmax over the last axis, normalisations of rows, and their gradients.
internal static class RowBodies
{
    // ONNX's numbers for a float and for a list of integers.
    private const int Number = 1, Integers = 7;

    // axes: those that are normalised. leading: the others.
    public static readonly string[] LayerNormAttributes = ["axes", "leading"], RmsNormAttributes = ["axes", "leading", "epsilon"];

    public static Value SoftmaxGrad(GraphBuilder g, Value y, Value dy) => SoftmaxRules.InputGradient(g, g.Term(y), g.Term(dy), -1);

    public static Value[] LayerNormGrad(GraphBuilder g, IReadOnlyList<Value> x) => LayerNormGrad(g, x, Constant(g, "axes"), Constant(g, "leading"));

    public static readonly GradientRule LayerNormGradGradient = ByDefinition.Rule((g, op) =>
        LayerNormGrad(g, [.. op.Node.Inputs.Select(i => i!)], g.Ints(op.Node.Ints("axes")!), g.Ints(op.Node.Ints("leading")!)));

    public static Value[] RmsNormGrad(GraphBuilder g, IReadOnlyList<Value> x) =>
        RmsNormGrad(g, x, Constant(g, "axes"), Constant(g, "leading"), g.Op("CastLike", [g.Op("Constant", [], ("value_float", new AttributeReference("epsilon", Number))), x[0]]));

    public static readonly GradientRule RmsNormGradGradient = ByDefinition.Rule((g, op) =>
        RmsNormGrad(g, [.. op.Node.Inputs.Select(i => i!)], g.Ints(op.Node.Ints("axes")!), g.Ints(op.Node.Ints("leading")!), g.Scalar(op.Node.Float("epsilon", 1e-5f), op.In(0).Type)));

    // x̂ = (x − mean)·r, h = dy·γ: dx = r·(h − mean(h) − x̂·mean(h·x̂)), dγ = Σ dy·x̂, dβ = Σ dy.
    private static Value[] LayerNormGrad(GraphBuilder g, IReadOnlyList<Value> x, Value axes, Value leading)
    {
        Value inverse = x[3], dy = x[4], normal = g.Mul(g.Sub(x[0], x[2]), inverse), h = g.Mul(dy, x[1]);
        Value inner = g.Sub(g.Sub(h, Mean(g, h, axes)), g.Mul(normal, Mean(g, g.Mul(h, normal), axes)));
        return [g.Mul(inner, inverse), Sum(g, g.Mul(dy, normal), leading), Sum(g, dy, leading)];
    }

    // The same without a mean, r = 1/√(mean(x²) + ε).
    private static Value[] RmsNormGrad(GraphBuilder g, IReadOnlyList<Value> x, Value axes, Value leading, Value epsilon)
    {
        Value inverse = g.Reciprocal(g.Sqrt(g.Add(Mean(g, g.Mul(x[0], x[0]), axes), epsilon)));
        Value dy = x[2], normal = g.Mul(x[0], inverse), h = g.Mul(dy, x[1]);
        return [g.Mul(g.Sub(h, g.Mul(normal, Mean(g, g.Mul(h, normal), axes))), inverse), Sum(g, g.Mul(dy, normal), leading)];
    }

    private static Value Constant(GraphBuilder g, string name) => g.Op("Constant", [], ("value_ints", new AttributeReference(name, Integers)));

    private static Value Mean(GraphBuilder g, Value x, Value axes) => g.Op("ReduceMean", [x, axes], ("keepdims", 1));

    // No leading axis: one row, whose sum is itself.
    private static Value Sum(GraphBuilder g, Value x, Value leading) => g.Op("ReduceSum", [x, leading], ("keepdims", 0), ("noop_with_empty_axes", 1));
}
