using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Functions;

// Operators of domain ortcpr that stand in training graphs: each a function body of standard operators, which any ONNX Runtime runs, and a kernel of the
// same name that takes its place on the CPU. A row is a name, its inputs and outputs, the body, and the gradient where it has one.
internal static class FunctionLibrary
{
    public const string Domain = "ortcpr";

    private sealed record Row(ElementType?[] Inputs, Func<GraphBuilder, IReadOnlyList<Value>, Value[]> Body, GradientRule? Gradient = null)
    {
        // Names that the body refers to.
        public string[] Attributes { get; init; } = [];
    }

    // Gradients of the gradient, by its definition.
    private static readonly GradientRule OfCrossEntropyGradient = ByDefinition.Rule((g, op) => op.Node.Has("smoothing")
        ? CrossEntropyBodies.SmoothBackward(g, op.In(0), op.In(1), op.In(2), op.In(3), g.Scalar(op.Node.Float("smoothing", 0), op.In(0).Type))
        : CrossEntropyBodies.Backward(g, op.In(0), op.In(1), op.In(2), op.In(3)));

    // A null type is that of the call's first input.
    private static readonly Dictionary<string, Row> Table = new(StringComparer.Ordinal)
    {
        ["GeluTanh"] = new([null], (g, x) => [GeluBodies.Forward(g, x[0])], (g, op, dy) => [GeluTanhGrad(g, op.In(0), dy)]),
        ["GeluTanhGrad"] = new([null, null], (g, x) => [GeluBodies.Backward(g, x[0], x[1])], ByDefinition.Rule((g, op) => GeluBodies.Backward(g, op.In(0), op.In(1)))),
        ["GeluErf"] = new([null], (g, x) => [GeluBodies.ErfForward(g, x[0])], (g, op, dy) => [GeluErfGrad(g, op.In(0), dy)]),
        ["GeluErfGrad"] = new([null, null], (g, x) => [GeluBodies.ErfBackward(g, x[0], x[1])], ByDefinition.Rule((g, op) => GeluBodies.ErfBackward(g, op.In(0), op.In(1)))),
        ["CrossEntropyRows"] = new([null, ElementType.Int64], (g, x) => CrossEntropyBodies.Forward(g, x[0], x[1]), CrossEntropyGradient),
        ["CrossEntropyRowsGrad"] = new([null, ElementType.Int64, null, null], (g, x) => [CrossEntropyBodies.Backward(g, x[0], x[1], x[2], x[3])], OfCrossEntropyGradient),
        ["CrossEntropySmoothRows"] = new([null, ElementType.Int64], (g, x) => CrossEntropyBodies.SmoothForward(g, x[0], x[1]), CrossEntropyGradient) { Attributes = CrossEntropyBodies.SmoothAttributes },
        ["CrossEntropySmoothRowsGrad"] = new([null, ElementType.Int64, null, null], (g, x) => [CrossEntropyBodies.SmoothBackward(g, x[0], x[1], x[2], x[3])], OfCrossEntropyGradient) { Attributes = CrossEntropyBodies.SmoothAttributes },
        ["ConvForward"] = new([null, null], (g, x) => [ConvolutionBodies.Forward(g, x)], ConvolutionRules.Conv) { Attributes = ConvolutionBodies.Attributes },
        ["ConvForwardBias"] = new([null, null, null], (g, x) => [ConvolutionBodies.Forward(g, x)], ConvolutionRules.Conv) { Attributes = ConvolutionBodies.Attributes },
        ["ConvWeightGrad"] = new([null, null, null], (g, x) => [ConvolutionBodies.WeightGradient(g, x[0], x[1], x[2])], OfWeightGradient) { Attributes = ConvolutionBodies.Attributes },
        ["ReluGrad"] = new([null, null], (g, x) => [BatchNormBodies.ReluGrad(g, x[0], x[1])], (g, op, dy) => [null, ReluGrad(g, op.In(0), dy)]),
        ["BatchNorm"] = BatchNorm(skip: false, relu: false),
        ["BatchNormRelu"] = BatchNorm(skip: false, relu: true),
        ["BatchNormAddRelu"] = BatchNorm(skip: true, relu: true),
        ["BatchNormGrad"] = new([null, null, null, null, null], BatchNormBodies.Backward, BatchNormBodies.BackwardGradient) { Attributes = BatchNormBodies.BackwardAttributes },
        ["BatchNormReluGrad"] = new([null, null, null, null, null, null], BatchNormBodies.Backward, BatchNormBodies.BackwardGradient) { Attributes = BatchNormBodies.BackwardAttributes },
        ["Softmax"] = new([null], (g, x) => [g.Op("Softmax", [x[0]], ("axis", -1))], (g, op, dy) => [SoftmaxGrad(g, op.Out(0), dy)]),
        ["SoftmaxGrad"] = new([null, null], (g, x) => [RowBodies.SoftmaxGrad(g, x[0], x[1])], ByDefinition.Rule((g, op) => RowBodies.SoftmaxGrad(g, op.In(0), op.In(1)))),
        ["LayerNormGrad"] = new([null, null, null, null, null], RowBodies.LayerNormGrad, RowBodies.LayerNormGradGradient) { Attributes = RowBodies.LayerNormAttributes },
        ["RmsNormGrad"] = new([null, null, null], RowBodies.RmsNormGrad, RowBodies.RmsNormGradGradient) { Attributes = RowBodies.RmsNormAttributes },
        ["ConvInputGrad"] = new([null, null, ElementType.Int64], (g, x) => [ConvolutionBodies.InputGradient(g, x[0], x[1], x[2])], OfInputGradient) { Attributes = ConvolutionBodies.Attributes },
    };

    public static IReadOnlyCollection<string> Names => Table.Keys;

    // The rule of one of ours; null for any other operator.
    public static GradientRule? GradientOf(Node node) => node.Domain == Domain && Table.TryGetValue(node.OpType, out Row? row) ? row.Gradient : null;

    private static Row BatchNorm(bool skip, bool relu) => new(new ElementType?[skip ? 4 : 3],
        (g, x) => BatchNormBodies.Forward(g, x[0], x[1], x[2], skip ? x[3] : null, relu), BatchNormBodies.ForwardGradient(skip, relu))
    { Attributes = BatchNormBodies.ForwardAttributes };

    // Batch normalisation by the batch's statistics; the statistics are [C], the variance divided by the count.
    public static (Value Y, Value Mean, Value Variance) BatchNorm(GraphBuilder g, Value x, Value gain, Value bias, float epsilon, long[] axes)
    {
        Term[] results = g.Ops($"{Domain}.BatchNorm", 4, [x, gain, bias], ("epsilon", epsilon), ("axes", axes));
        foreach (Value statistic in results) GraphBuilder.Typed(statistic, x.Type, gain.Shape);
        return (GraphBuilder.Like(results[0], x), results[1], results[2]);
    }

    public static Value ReluGrad(GraphBuilder g, Value y, Value dy) => GraphBuilder.Like(g.Op($"{Domain}.ReluGrad", [y, dy]), dy);

    public static Value SoftmaxGrad(GraphBuilder g, Value y, Value dy) => GraphBuilder.Like(g.Op($"{Domain}.SoftmaxGrad", [y, dy]), y);

    // dx, dγ, dβ of LayerNormalization over the axes from `axis` on, with the forward node's statistics.
    public static Value[] LayerNormGrad(GraphBuilder g, Value x, Value gain, Value mean, Value inverse, Value dy, int axis) =>
        RowGradients(g, g.Ops($"{Domain}.LayerNormGrad", 3, [x, gain, mean, inverse, dy], RowAxes(x, axis)), x, gain);

    // dx, dγ of RMSNormalization.
    public static Value[] RmsNormGrad(GraphBuilder g, Value x, Value gain, Value dy, int axis, float epsilon) =>
        RowGradients(g, g.Ops($"{Domain}.RmsNormGrad", 2, [x, gain, dy], [.. RowAxes(x, axis), ("epsilon", epsilon)]), x, gain);

    private static (string, object)[] RowAxes(Value x, int axis) =>
        [("axes", Enumerable.Range(axis, x.Shape!.Rank - axis).Select(i => (long)i).ToArray()), ("leading", Enumerable.Range(0, axis).Select(i => (long)i).ToArray())];

    private static Value[] RowGradients(GraphBuilder g, Term[] results, Value x, Value gain)
    {
        GraphBuilder.Like(results[0], x);
        foreach (Value sum in results.Skip(1)) GraphBuilder.Like(sum, gain);
        return [.. results];
    }

    public static Value GeluTanhGrad(GraphBuilder g, Value x, Value dy) => GraphBuilder.Like(g.Op($"{Domain}.GeluTanhGrad", [x, dy]), x);

    public static Value GeluErfGrad(GraphBuilder g, Value x, Value dy) => GraphBuilder.Like(g.Op($"{Domain}.GeluErfGrad", [x, dy]), x);

    // Loss of each row, [N], from logits [N, C] and labels [N] that lie in the row. smoothing: the share of the target that is spread over the classes.
    public static Value CrossEntropyRows(GraphBuilder g, Value logits, Value labels, float smoothing = 0)
    {
        Term[] results = smoothing == 0 ? g.Ops($"{Domain}.CrossEntropyRows", 2, [logits, labels]) : g.Ops($"{Domain}.CrossEntropySmoothRows", 2, [logits, labels], ("smoothing", smoothing));
        foreach (Value result in results) GraphBuilder.Typed(result, logits.Type, labels.Shape);
        return results[0];
    }

    // dW of a Conv of two spatial axes and one group, from x, the weight (for its shape) and dy.
    public static Value ConvWeightGrad(GraphBuilder g, Value x, Value weight, Value dy, long[] strides, long[] dilations, long[] pads) =>
        GraphBuilder.Like(g.Op($"{Domain}.ConvWeightGrad", [x, weight, dy], ("strides", strides), ("dilations", dilations), ("pads", pads)), weight);

    // dx of the same, from dy, the weight and the shape of x.
    public static Value ConvInputGrad(GraphBuilder g, Value x, Value weight, Value dy, long[] strides, long[] dilations, long[] pads) =>
        GraphBuilder.Like(g.Op($"{Domain}.ConvInputGrad", [dy, weight, g.ShapeOf(x)], ("strides", strides), ("dilations", dilations), ("pads", pads)), x);

    // Both are linear in each operand, and what they are to each other the way back from one takes of the other.
    private static Value?[] OfWeightGradient(GraphBuilder g, Forward op, Term dy)
    {
        (long[] strides, long[] dilations, long[] pads) = Geometry(op.Node);
        return [op.IsWanted(0) ? ConvInputGrad(g, op.In(0), dy, op.In(2), strides, dilations, pads) : null, null, op.IsWanted(2) ? Conv(g, op.In(0), dy, op.In(2), strides, dilations, pads) : null];
    }

    private static Value?[] OfInputGradient(GraphBuilder g, Forward op, Term dy)
    {
        (long[] strides, long[] dilations, long[] pads) = Geometry(op.Node);
        return [op.IsWanted(0) ? Conv(g, dy, op.In(1), op.In(0), strides, dilations, pads) : null, op.IsWanted(1) ? ConvWeightGrad(g, dy, op.In(1), op.In(0), strides, dilations, pads) : null, null];
    }

    private static Value Conv(GraphBuilder g, Value x, Value weight, Value like, long[] strides, long[] dilations, long[] pads) =>
        GraphBuilder.Like(g.Op("Conv", [x, weight], ("strides", strides), ("dilations", dilations), ("pads", pads)), like);

    private static (long[] Strides, long[] Dilations, long[] Pads) Geometry(Node node) => (node.Ints("strides")!, node.Ints("dilations")!, node.Ints("pads")!);

    private static Value?[] CrossEntropyGradient(GraphBuilder g, Forward op, Term dy)
    {
        Value?[] operands = [op.In(0), op.In(1), op.Out(1), dy];
        Value logits = op.Node.Has("smoothing") ? g.Op($"{Domain}.CrossEntropySmoothRowsGrad", operands, ("smoothing", op.Node.Float("smoothing", 0))) : g.Op($"{Domain}.CrossEntropyRowsGrad", operands);
        return [GraphBuilder.Like(logits, op.In(0)), null];
    }

    // Defines in the model the functions that its nodes call, in the model's opset.
    public static void Attach(OnnxModel model)
    {
        foreach (Node call in model.Graph.NodesAndInner().Where(n => n.Domain == Domain && Table.ContainsKey(n.OpType)).DistinctBy(n => n.OpType))
        {
            if (model.Functions.Any(f => f.Domain == Domain && f.Name == call.OpType)) continue;
            Row row = Table[call.OpType];
            var body = new OnnxGraph(call.OpType, new NameAuthority());
            for (int i = 0; i < row.Inputs.Length; i++) body.AddInput($"input{i}", row.Inputs[i] ?? call.Inputs[0]!.Type, null);
            var g = new GraphBuilder(body);
            Value[] results = row.Body(g, [.. body.Inputs]);
            for (int i = 0; i < results.Length; i++) body.Outputs.Add(g.Named(results[i], $"output{i}"));
            var function = new OnnxFunction(Domain, call.OpType, body);
            foreach (string attribute in row.Attributes) function.Attributes.Add(attribute);
            function.Opsets[""] = model.Opset;
            model.Functions.Add(function);
            model.Opsets[Domain] = 1;
        }
    }
}
