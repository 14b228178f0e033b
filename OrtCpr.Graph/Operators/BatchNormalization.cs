using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Operators;

/// <summary>
/// Batch normalisation by the batch's own statistics, its gradient, and both with what follows it in residual networks. The attribute
/// <c>axes</c> names all axes but the channels'. Statistics are [C], the variance divided by the count.
/// </summary>
internal static class BatchNormalization
{
    private static readonly OperatorAttribute Axes = new("axes", AttributeKind.Ints);

    /// <summary>y, mean, variance, 1/√(variance + ε).</summary>
    public static OperatorDefinition Forward { get; } = OfForward("BatchNorm", skip: false, relu: false);

    /// <summary>The same with Relu.</summary>
    public static OperatorDefinition Relu { get; } = OfForward("BatchNormRelu", skip: false, relu: true);

    /// <summary>The same with a residual and Relu.</summary>
    public static OperatorDefinition AddRelu { get; } = OfForward("BatchNormAddRelu", skip: true, relu: true);

    /// <summary>dx, dγ, dβ.</summary>
    public static OperatorDefinition Grad { get; } = OfBackward("BatchNormGrad", "x", "gain", "mean", "inverse", "dy");

    /// <summary>dx, dγ, dβ through a Relu, by its result y.</summary>
    public static OperatorDefinition ReluGrad { get; } = OfBackward("BatchNormReluGrad", "x", "gain", "mean", "inverse", "y", "dy");

    /// <summary>A call of <see cref="Forward"/>.</summary>
    public static (Value Y, Value Mean, Value Variance) Of(GraphBuilder g, Value x, Value gain, Value bias, float epsilon, long[] axes)
    {
        Value[] results = Forward.Call(g, [x, gain, bias], ("epsilon", epsilon), ("axes", axes));
        return (results[0], results[1], results[2]);
    }

    private static OperatorDefinition OfForward(string name, bool skip, bool relu) => new()
    {
        Name = name,
        Inputs = ["x", "gain", "bias", .. skip ? new OperatorSlot[] { "skip" } : []],
        Outputs = [new("y", ShapeOf: "x"), new("mean", ShapeOf: "gain"), new("variance", ShapeOf: "gain"), new("inverse", ShapeOf: "gain")],
        Attributes = [new("epsilon", AttributeKind.Float), Axes],
        Body = (g, x) => ForwardBody(g, x, relu),
        Gradient = ForwardGradient(skip, relu),
    };

    private static OperatorDefinition OfBackward(string name, params OperatorSlot[] inputs) => new()
    {
        Name = name,
        Inputs = inputs,
        Outputs = [new("dx", ShapeOf: "x"), new("dgain", ShapeOf: "gain"), new("dbias", ShapeOf: "gain")],
        Attributes = [Axes],
        Body = BackwardBody,
    };

    private static Value[] ForwardBody(GraphBuilder g, Operands o, bool relu)
    {
        Value x = o["x"], axes = o.Ints("axes"), epsilon = o.Float("epsilon", x);
        Value mean = Mean(g, x, axes), centred = g.Sub(x, Across(g, mean, axes)), variance = Mean(g, g.Mul(centred, centred), axes);
        Value inverse = g.Reciprocal(g.Sqrt(g.Add(variance, epsilon)));
        // γ/σ first: one product per channel instead of one per element.
        Value y = g.Add(g.Mul(centred, Across(g, g.Mul(inverse, o["gain"]), axes)), Across(g, o["bias"], axes));
        if (o.Has("skip")) y = g.Add(y, o["skip"]);
        return [relu ? g.Op("Relu", [y]) : y, mean, variance, inverse];
    }

    // x̂ = (x − mean)·r: dx = γr·(dy − mean(dy) − x̂·mean(dy·x̂)).
    private static Value[] BackwardBody(GraphBuilder g, Operands o)
    {
        Value axes = o.Ints("axes"), inverse = o["inverse"];
        Value dy = o.Has("y") ? Operators.Relu.Backward(g, o["y"], o["dy"]) : o["dy"];
        Value normal = g.Mul(g.Sub(o["x"], Across(g, o["mean"], axes)), Across(g, inverse, axes)), product = g.Mul(dy, normal);
        Value centred = g.Sub(dy, Across(g, Mean(g, dy, axes), axes));
        Value inner = g.Sub(centred, g.Mul(normal, Across(g, Mean(g, product, axes), axes)));
        return [g.Mul(inner, Across(g, g.Mul(inverse, o["gain"]), axes)), Sum(g, product, axes), Sum(g, dy, axes)];
    }

    private static GradientRule ForwardGradient(bool skip, bool relu) => (g, op, dy) =>
    {
        Value? masked = skip && relu ? Operators.Relu.GradOf(g, op.Out(0), dy) : null;
        bool throughRelu = relu && !skip;
        Value[] operands = throughRelu
            ? [op.In(0), op.In(1), op.Out(1), op.Out(3), op.Out(0), dy]
            : [op.In(0), op.In(1), op.Out(1), op.Out(3), masked ?? dy];
        Value[] results = (throughRelu ? ReluGrad : Grad).Call(g, operands, ("axes", op.Node.Ints("axes")!));
        Value?[] gradients = [ThroughStatistics(g, op, results[0]), results[1], results[2]];
        return skip ? [.. gradients, masked ?? dy] : gradients;
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

    private static Value Mean(GraphBuilder g, Value x, Value axes) => g.Op("ReduceMean", [x, axes], ("keepdims", 0));

    private static Value Sum(GraphBuilder g, Value x, Value axes) => g.Op("ReduceSum", [x, axes], ("keepdims", 0));

    // [C] → [1, C, 1 …].
    private static Value Across(GraphBuilder g, Value vector, Value axes) => g.Op("Unsqueeze", [vector, axes]);
}
