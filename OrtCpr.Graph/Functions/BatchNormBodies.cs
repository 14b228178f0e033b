using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Functions;

// Batch normalisation by the batch's own statistics, its gradient, and both with what follows it in residual networks. `axes` are all but the channels'.
internal static class BatchNormBodies
{
    // ONNX's numbers for a float and for a list of integers.
    private const int Number = 1, Integers = 7;

    public static readonly string[] ForwardAttributes = ["epsilon", "axes"], BackwardAttributes = ["axes"];

    private static object Axes => new AttributeReference("axes", Integers);

    // y, and mean, variance (divided by the count) and 1/√(variance + ε), each [C].
    public static Value[] Forward(GraphBuilder g, Value x, Value gain, Value bias, Value? skip, bool relu)
    {
        Value axes = g.Op("Constant", [], ("value_ints", Axes));
        Value epsilon = g.Op("CastLike", [g.Op("Constant", [], ("value_float", new AttributeReference("epsilon", Number))), x]);
        Value mean = Mean(g, x, axes), centred = g.Sub(x, Across(g, mean, axes)), variance = Mean(g, g.Mul(centred, centred), axes);
        Value inverse = g.Reciprocal(g.Sqrt(g.Add(variance, epsilon)));
        // γ/σ first: one product per channel instead of one per element.
        Value y = g.Add(g.Mul(centred, Across(g, g.Mul(inverse, gain), axes)), Across(g, bias, axes));
        if (skip is not null) y = g.Add(y, skip);
        return [relu ? g.Op("Relu", [y]) : y, mean, variance, inverse];
    }

    // dx, dγ, dβ from x, γ, mean, 1/σ and dy, and from y where a Relu follows.
    public static Value[] Backward(GraphBuilder g, IReadOnlyList<Value> x) => Backward(g, x, g.Op("Constant", [], ("value_ints", Axes)));

    // x̂ = (x − mean)·r: dx = γr·(dy − mean(dy) − x̂·mean(dy·x̂)).
    private static Value[] Backward(GraphBuilder g, IReadOnlyList<Value> operands, Value axes)
    {
        Value inverse = operands[3], dy = operands.Count > 5 ? ReluGrad(g, operands[4], operands[5]) : operands[4];
        Value normal = g.Mul(g.Sub(operands[0], Across(g, operands[2], axes)), Across(g, inverse, axes)), product = g.Mul(dy, normal);
        Value inner = g.Sub(g.Sub(dy, Across(g, Mean(g, dy, axes), axes)), g.Mul(normal, Across(g, Mean(g, product, axes), axes)));
        return [g.Mul(inner, Across(g, g.Mul(inverse, operands[1]), axes)), Sum(g, product, axes), Sum(g, dy, axes)];
    }

    public static Value ReluGrad(GraphBuilder g, Value y, Value dy)
    {
        Value zero = g.Op("CastLike", [g.Op("Constant", [], ("value_float", 0f)), dy]);
        return g.Where(g.Greater(y, zero), dy, zero);
    }

    public static GradientRule ForwardGradient(bool skip, bool relu) => (g, op, dy) =>
    {
        Value? masked = skip && relu ? FunctionLibrary.ReluGrad(g, op.Out(0), dy) : null;
        Value?[] operands = relu && !skip ? [op.In(0), op.In(1), op.Out(1), op.Out(3), op.Out(0), dy] : [op.In(0), op.In(1), op.Out(1), op.Out(3), masked ?? dy];
        Term[] results = g.Ops($"{FunctionLibrary.Domain}.{(relu && !skip ? "BatchNormReluGrad" : "BatchNormGrad")}", 3, operands, ("axes", op.Node.Ints("axes")!));
        Value dx = GraphBuilder.Like(results[0], op.In(0));
        return [ThroughStatistics(g, op, dx), GraphBuilder.Like(results[1], op.In(1)), GraphBuilder.Like(results[2], op.In(2)), .. skip ? new[] { masked ?? dy } : []];
    };

    // Statistics that something else reads as well: ∂mean/∂x = 1/n, ∂variance/∂x = 2(x − mean)/n, ∂r/∂variance = −½r³.
    private static Value ThroughStatistics(GraphBuilder g, Forward op, Value dx)
    {
        Value x = op.In(0), axes = g.Ints(op.Node.Ints("axes")!), count = ReductionRules.CountOf(g, x, op.Out(1));
        Value? dMean = op.Dy(1), dVariance = op.Dy(2);
        if (op.Dy(3) is Value dInverse)
        {
            Value r = op.Out(3), through = g.Mul(g.Mul(dInverse, g.Mul(g.Mul(r, r), r)), -0.5);
            dVariance = dVariance is null ? through : g.Add(dVariance, through);
        }
        if (dMean is not null) dx = g.Add(dx, Across(g, g.Div(dMean, count), axes));
        if (dVariance is null) return dx;
        return g.Add(dx, g.Mul(g.Sub(x, Across(g, op.Out(1), axes)), Across(g, g.Div(g.Mul(dVariance, 2), count), axes)));
    }

    // Gradients of the gradient, by its definition.
    public static readonly GradientRule BackwardGradient = ByDefinition.Rule((g, op) => Backward(g, [.. op.Node.Inputs.Select(i => i!)], g.Ints(op.Node.Ints("axes")!)));

    private static Value Mean(GraphBuilder g, Value x, Value axes) => g.Op("ReduceMean", [x, axes], ("keepdims", 0));

    private static Value Sum(GraphBuilder g, Value x, Value axes) => g.Op("ReduceSum", [x, axes], ("keepdims", 0));

    // [C] → [1, C, 1 …].
    private static Value Across(GraphBuilder g, Value vector, Value axes) => g.Op("Unsqueeze", [vector, axes]);
}
