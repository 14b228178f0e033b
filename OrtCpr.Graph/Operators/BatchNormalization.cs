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
    public static (Term Y, Term Mean, Term Variance) Of(GraphBuilder g, Value x, Value gain, Value bias, float epsilon, long[] axes)
    {
        Term[] results = Forward.Call(g, [x, gain, bias], ("epsilon", epsilon), ("axes", axes));
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
        Term x = o["x"], axes = o.Ints("axes"), epsilon = o.Float("epsilon", x);
        Term mean = Mean(g, x, axes), centred = x - Across(g, mean, axes), variance = Mean(g, centred * centred, axes);
        Term inverse = g.Reciprocal(g.Sqrt(variance + epsilon));
        // γ/σ first: one product per channel instead of one per element.
        Term y = centred * Across(g, inverse * o["gain"], axes) + Across(g, o["bias"], axes);
        if (o.Has("skip")) y += o["skip"];
        return [relu ? g.Op("Relu", [y]) : y, mean, variance, inverse];
    }

    /// <summary>x̂ = (x − mean)·r: dx = γr·(dy − mean(dy) − x̂·mean(dy·x̂)).</summary>
    private static Value[] BackwardBody(GraphBuilder g, Operands o)
    {
        Term axes = o.Ints("axes"), inverse = o["inverse"];
        Term dy = o.Has("y") ? Operators.Relu.Backward(g, o["y"], o["dy"]) : o["dy"];
        Term normal = (o["x"] - Across(g, o["mean"], axes)) * Across(g, inverse, axes), product = dy * normal;
        Term inner = dy - Across(g, Mean(g, dy, axes), axes) - normal * Across(g, Mean(g, product, axes), axes);
        return [inner * Across(g, inverse * o["gain"], axes), Sum(g, product, axes), Sum(g, dy, axes)];
    }

    private static GradientRule ForwardGradient(bool skip, bool relu) => (g, op, dy) =>
    {
        Term masked = skip && relu ? Operators.Relu.GradOf(g, op.Out(0), dy) : dy;
        bool throughRelu = relu && !skip;
        Value[] operands = throughRelu
            ? [op.In(0), op.In(1), op.Out(1), op.Out(3), op.Out(0), dy]
            : [op.In(0), op.In(1), op.Out(1), op.Out(3), masked];
        Term[] results = (throughRelu ? ReluGrad : Grad).Call(g, operands, ("axes", op.Node.Ints("axes")!));
        Value?[] gradients = [ThroughStatistics(g, op, results[0]), results[1], results[2]];
        return skip ? [.. gradients, masked] : gradients;
    };

    /// <summary>Statistics that something else reads as well: ∂mean/∂x = 1/n, ∂variance/∂x = 2(x − mean)/n,
    /// ∂r/∂variance = −½r³.</summary>
    private static Term ThroughStatistics(GraphBuilder g, Forward op, Term dx)
    {
        Term x = op.In(0), axes = g.Ints(op.Node.Ints("axes")!), count = ReductionRules.CountOf(g, x, op.Out(1));
        Term? dVariance = op.Dy(2) is Value own ? g.Term(own) : null;
        if (op.Dy(3) is Value dInverse)
        {
            Term r = op.Out(3), through = g.Term(dInverse) * (r * r * r) * -0.5;
            dVariance = dVariance is Term other ? other + through : through;
        }
        if (op.Dy(1) is Value dMean) dx += Across(g, g.Term(dMean) / count, axes);
        return dVariance is Term variance ? dx + (x - Across(g, op.Out(1), axes)) * Across(g, variance * 2 / count, axes) : dx;
    }

    private static Term Mean(GraphBuilder g, Value x, Value axes) => g.Op("ReduceMean", [x, axes], ("keepdims", 0));

    private static Term Sum(GraphBuilder g, Value x, Value axes) => g.Op("ReduceSum", [x, axes], ("keepdims", 0));

    /// <summary>[C] → [1, C, 1 …].</summary>
    private static Term Across(GraphBuilder g, Value vector, Value axes) => g.Op("Unsqueeze", [vector, axes]);
}
