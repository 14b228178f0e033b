using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.OrtTraining;

// Gradient operators of the training builds: each calls the gradient rule of its forward operator. What of the forward node a rule does not
// look at is filled with a value of the same shape.
internal static class GradientLowerings
{
    public static readonly IReadOnlyDictionary<string, Decomposition> Table = new Dictionary<string, Decomposition>(StringComparer.Ordinal)
    {
        ["AveragePoolGrad"] = AveragePool,
        ["MaxPoolGrad"] = (g, n) => OfNode(g, n, Maker(n, 1), n.Inputs[0]),
        ["com.microsoft.BatchNormalizationGrad"] = BatchNormalization,
        ["com.microsoft.BiasFastGeluGrad_dX"] = (g, n) => Of(g, n, "com.microsoft.FastGelu", [n.In(1), n.In(2)], [], n.In(0)),
        ["com.microsoft.BiasGeluGrad_dX"] = (g, n) => Of(g, n, "com.microsoft.BiasGelu", [n.In(1), n.In(2)], [], n.In(0)),
        ["com.microsoft.BitmaskDropoutGrad"] = Dropout,
        ["com.microsoft.ConvGrad"] = (g, n) => Of(g, n, "Conv", [n.In(1), n.In(2), n.In(2)], [], n.In(0)),
        ["com.microsoft.ConvTransposeGrad"] = (g, n) => Of(g, n, "ConvTranspose", [n.In(1), n.In(2), n.In(2)], [], n.In(0)),
        ["com.microsoft.DivGrad"] = (g, n) => OfNode(g, n, g.Div(n.In(1)!, n.In(2)!).Producer!, n.In(0)),
        ["com.microsoft.DropoutGrad"] = Dropout,
        ["com.microsoft.FakeQuantGrad"] = (g, n) => [GraphBuilder.Like(g.Where(n.In(1)!, n.In(0)!, g.Scalar(0, n.In(0)!.Type)), n.In(0)!)],
        ["com.microsoft.FastGeluGrad"] = (g, n) => Of(g, n, "com.microsoft.FastGelu", [n.In(1)], [], n.In(0)),
        ["com.microsoft.GatherElementsGrad"] = (g, n) => Of(g, n, "GatherElements", [Shaped(g, n.In(1)!, n.In(0)!), n.In(2)], [], n.In(0)),
        ["com.microsoft.GatherGrad"] = (g, n) => Of(g, n, "Gather", [Shaped(g, n.In(0)!, n.In(2)!), n.In(1)], [], n.In(2)),
        ["com.microsoft.GatherNDGrad"] = (g, n) => Of(g, n, "GatherND", [Shaped(g, n.In(0)!, n.In(2)!), n.In(1)], [], n.In(2)),
        ["com.microsoft.GeluGrad"] = (g, n) => Of(g, n, "com.microsoft.Gelu", [n.In(1)], [], n.In(0)),
        ["com.microsoft.GRUGrad"] = (g, n) => Recurrent(g, n, Maker(n, 7), [0, 1, 2, 3, 5], [n.In(8), n.In(9)]),
        ["com.microsoft.InvertibleLayerNormalizationGrad"] = InvertibleLayerNormalization,
        ["com.microsoft.LayerNormalizationGrad"] = (g, n) =>
            Of(g, n, "LayerNormalization", [n.In(1), n.In(2), n.In(2)], [n.In(1), n.In(3), n.In(4)], n.In(0)),
        ["com.microsoft.LeakyReluGrad"] = (g, n) => Of(g, n, "LeakyRelu", [n.In(1)], [], n.In(0)),
        ["com.microsoft.LogSoftmaxGrad"] = (g, n) => Flattened(g, n, "LogSoftmax"),
        ["com.microsoft.LogSoftmaxGrad_13"] = (g, n) => Of(g, n, "LogSoftmax", [n.In(1)], [n.In(1)], n.In(0)),
        ["com.microsoft.LSTMGrad"] = (g, n) => Recurrent(g, n, Maker(n, 7), [0, 1, 2, 3, 5, 6], [n.In(9), n.In(10), n.In(11)]),
        ["com.microsoft.QuickGeluGrad"] = (g, n) => Of(g, n, "com.microsoft.QuickGelu", [n.In(1)], [], n.In(0)),
        ["com.microsoft.ReluGrad"] = (g, n) => Of(g, n, "Relu", [n.In(1)], [n.In(1)], n.In(0)),
        ["com.microsoft.ResizeGrad"] = (g, n) => Of(g, n, "Resize", [n.In(1), n.In(2), n.In(3)], [], n.In(0)),
        ["com.microsoft.SigmoidGrad"] = (g, n) => Of(g, n, "Sigmoid", [n.In(1)], [n.In(1)], n.In(0)),
        ["com.microsoft.SimplifiedLayerNormalizationGrad"] = (g, n) =>
            Of(g, n, "SimplifiedLayerNormalization", [n.In(1), n.In(2)], [n.In(1), n.In(3)], n.In(0)),
        ["com.microsoft.SliceGrad"] = (g, n) =>
            Of(g, n, "Slice", [Shaped(g, n.In(1)!, n.In(0)!), n.In(2), n.In(3), n.In(4), n.In(5)], [], n.In(0)),
        ["com.microsoft.SoftmaxCrossEntropyLossGrad"] = CrossEntropy,
        ["com.microsoft.SoftmaxCrossEntropyLossInternalGrad"] = CrossEntropy,
        ["com.microsoft.SoftmaxGrad"] = (g, n) => Flattened(g, n, "Softmax"),
        ["com.microsoft.SoftmaxGrad_13"] = (g, n) => Of(g, n, "Softmax", [n.In(1)], [n.In(1)], n.In(0)),
        ["com.microsoft.TanhGrad"] = (g, n) => Of(g, n, "Tanh", [n.In(1)], [n.In(1)], n.In(0)),
    };

    // The rule of a forward node with these inputs and outputs and the gradient operator's attributes.
    private static Value?[] Of(GraphBuilder g, Node n, string forward, Value?[] inputs, Value?[] outputs, Value? dy)
    {
        int dot = forward.LastIndexOf('.');
        var node = new Node(dot < 0 ? "" : forward[..dot], forward[(dot + 1)..], n.Name);
        foreach (Value? input in inputs) node.Inputs.Add(input);
        foreach (Value? output in outputs) node.Outputs.Add(output);
        foreach ((string name, object value) in n.Attributes) node.Set(name, value);
        return OfNode(g, n, node, dy);
    }

    private static Value?[] OfNode(GraphBuilder g, Node n, Node forward, Value? dy)
    {
        Value?[] results = GradientRules.Default.Find(forward)!(g, new Forward(forward, g, [dy]), g.Term(dy!));
        for (int i = 0; i < n.Outputs.Count; i++)
        {
            if (n.Outputs[i] is null || i >= results.Length) continue;
            // A bias that the operator is not given has the shape of its gradient.
            bool isBias = i == 2 && n.OpType is "ConvGrad" or "ConvTransposeGrad";
            if (results[i] is Value gradient && forward.Inputs[i] is Value input && !isBias) results[i] = g.SumTo(gradient, input);
        }
        return results;
    }

    // The forward node that made an input.
    private static Node Maker(Node n, int input) => n.In(input)?.Producer
        ?? throw new LoweringException($"Input {input} of node {n.Label} is not the output of a forward node in its graph. Generate the "
            + "artifacts again.");

    // A value of which only a shape is given: the one that the shape was taken from, or zeros.
    private static Value Shaped(GraphBuilder g, Value shape, Value like)
    {
        Value of = shape;
        while (of.Producer is Node { OpType: "Identity" } same) of = same.Inputs[0]!;
        if (of.Producer is Node { OpType: "Shape" } node && node.Int("start", 0) == 0 && !node.Has("end") && node.Inputs[0]!.Shape
            is not null)
        {
            return node.Inputs[0]!;
        }
        return g.FilledOf(0, shape, like.Type);
    }

    // The operator does not say what was pooled: the forward node is the one whose output's gradient it is given.
    private static Value?[] AveragePool(GraphBuilder g, Node n)
    {
        Node[] pools = [.. g.Graph.Nodes.Where(p => p.Is("AveragePool"))];
        Node? forward = pools.FirstOrDefault(p => n.In(0)!.Name == $"{p.Outputs[0]!.Name}_grad")
            ?? pools.FirstOrDefault(p => n.Outputs[0]!.Name.StartsWith($"{p.Inputs[0]!.Name}_grad", StringComparison.Ordinal))
            ?? (pools.Length == 1 ? pools[0] : null);
        return OfNode(g, n, forward
            ?? throw new LoweringException($"No AveragePool belongs to node {n.Label}. Generate the artifacts again."), n.In(0));
    }

    // From the saved statistics: x̂ = (x - mean)·r.
    private static Value?[] BatchNormalization(GraphBuilder g, Node n)
    {
        Value dy = n.In(0)!, x = n.In(1)!;
        int rank = (x.Shape ?? dy.Shape)?.Rank
            ?? throw new LoweringException($"The rank of '{x.Name}', input of node {n.Label}, is unknown. Generate the artifacts from a "
            + "model whose inputs have a known rank.");
        long[] axes = NormalizationRules.AllButChannels(rank);
        Term inverse = g.PerChannel(n.In(4)!, rank);
        Term normal = g.Mul(g.Sub(x, g.PerChannel(n.In(3)!, rank)), inverse);
        Value dx = NormalizationRules.ThroughStatistics(g, g.Mul(dy, g.PerChannel(n.In(2)!, rank)), normal, inverse, axes);
        return [GraphBuilder.Like(dx, x), g.ReduceSum(g.Mul(dy, normal), false, axes), g.ReduceSum(dy, false, axes)];
    }

    // Out of training mode nothing was dropped, whatever the ratio.
    private static Value?[] Dropout(GraphBuilder g, Node n)
    {
        Value dy = n.In(0)!;
        Value? ratio = n.In(2), mode = n.In(3);
        if (mode is { IsInitializer: false }) ratio = g.Where(mode, g.Cast(ratio ?? g.Scalar(0.5, dy.Type), dy.Type), g.Scalar(0, dy.Type));
        return Of(g, n, "Dropout", [dy, ratio, mode], [n.In(1), n.In(1)], dy);
    }

    // x̂ = (y - β)/γ stands for x, with the mean 0 and the given 1/σ of x̂/r.
    private static Value?[] InvertibleLayerNormalization(GraphBuilder g, Node n)
    {
        Value scale = n.In(2)!, inverse = n.In(4)!;
        Value x = GraphBuilder.Like(g.Div(g.Div(g.Sub(n.In(1)!, n.In(3)!), scale), inverse), n.In(1)!);
        return Of(g, n, "LayerNormalization", [x, scale, scale], [x, g.Filled(0, inverse), inverse], n.In(0));
    }

    // Only type and shape of the scores matter, and those of their logarithms are the same. The internal form's ignored label is input 4.
    private static Value?[] CrossEntropy(GraphBuilder g, Node n)
    {
        var plain = new Node(n.Domain, n.OpType, n.Name);
        foreach ((string name, object value) in ForwardLowerings.IgnoreIndex(n, 4)) plain.Set(name, value);
        plain.Set("reduction", n.Text("reduction", "mean"));
        plain.Outputs.Add(n.Outputs[0]);
        return Of(g, plain, "SoftmaxCrossEntropyLoss", [n.In(1), n.In(2), n.In(3)], [n.In(1), n.In(1)], n.In(0));
    }

    // Before opset 13: over [d0·…·d(axis-1), d(axis)·…].
    private static Value?[] Flattened(GraphBuilder g, Node n, string forward)
    {
        Value dy = n.In(0)!, y = n.In(1)!;
        Value Flat(Value v) =>
            GraphBuilder.Typed(g.Op("Flatten", [v], ("axis", n.Int("axis", 1))), v.Type, new Shape(Dim.Unknown, Dim.Unknown));
        Value flat = Flat(y);
        var last = new Node("", forward, n.Name);
        last.Set("axis", -1);
        last.Outputs.Add(n.Outputs[0]);
        return [g.ReshapeLike(Of(g, last, forward, [flat], [flat], Flat(dy))[0]!, y)];
    }

    // The forward node becomes its Scan, and the gradient goes back through that.
    private static Value?[] Recurrent(GraphBuilder g, Node n, Node forward, int[] inputs, Value?[] gradients)
    {
        OnnxGraph graph = g.Graph;
        var before = graph.Nodes.ToHashSet();
        if (!Decompositions.Run(graph, g.Known, [forward]))
        {
            throw new LoweringException($"The forward node of {n.Label} is {forward.Label}. Generate the artifacts again.");
        }
        var seeds = new Dictionary<Value, Value>();
        for (int i = 0; i < gradients.Length; i++)
        {
            if (gradients[i] is Value gradient && i < forward.Outputs.Count && forward.Outputs[i] is Value output) seeds[output] = gradient;
        }
        Value?[] sources = [.. inputs.Select(forward.In)];
        IReadOnlyDictionary<Value, Value> found =
            new BackwardPass([.. graph.Nodes.Where(b => !before.Contains(b))], g, GradientRules.Default)
            .Run(seeds, sources.OfType<Value>().ToHashSet());
        return [.. sources.Select(s => s is null ? null : found.TryGetValue(s, out Value? gradient) ? gradient : g.Filled(0, s))];
    }
}
