using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

// A copy of a graph in the form that a device runs as a whole: functions inlined, shapes folded, operators that it lacks written with others, and an
// Identity in front of each state output where a node may not write the buffer that it reads.
internal static class AdaptToDevice
{
    // Operator → its replacement, one output each; null leaves the node alone.
    private static readonly Dictionary<string, Func<GraphBuilder, Node, Value?>> Replacements = new(StringComparer.Ordinal)
    {
        ["com.microsoft.FusedMatMul"] = FusedMatMul,
        ["LogSoftmax"] = LogSoftmax,
        ["OneHot"] = OneHot,
        ["ConstantOfShape"] = (g, n) => g.Op("Expand", [g.Constant(n.Tensor("value") is TensorData value ? GraphBuilder.Reshaped(value) : TensorData.Scalar(0f)), n.Inputs[0]!]),
        ["BatchNormalization"] = BatchNormalization,
        ["MaxPool"] = MaxPoolIndices.Write,
        ["Size"] = Size,
        ["Sum"] = (g, n) => n.Inputs.Skip(1).Aggregate(n.Inputs[0]!, (sum, next) => g.Add(sum, next!)),
        ["Mean"] = (g, n) => g.Div(n.Inputs.Skip(1).Aggregate(n.Inputs[0]!, (sum, next) => g.Add(sum, next!)), n.Inputs.Count),
        ["Mod"] = Mod,
        ["Sign"] = (g, n) => Sign(g, n.Inputs[0]!),
        ["Tanh"] = Tanh,
        ["Tan"] = (g, n) => g.Div(g.Op("Sin", [n.Inputs[0]!]), g.Op("Cos", [n.Inputs[0]!])),
        ["Sinh"] = (g, n) => Sinh(g, n.Inputs[0]!),
        ["Cosh"] = (g, n) => g.Mul(g.Add(g.Exp(n.Inputs[0]!), g.Exp(g.Neg(n.Inputs[0]!))), 0.5),
        ["Or"] = (g, n) => g.Not(g.And(g.Not(n.Inputs[0]!), g.Not(n.Inputs[1]!))),
    };

    // `shapes`: the sizes of some inputs, where the graph is made for one size of batch.
    public static OnnxModel Run(OnnxModel model, DeviceCapabilities device, IReadOnlyDictionary<string, long[]>? shapes = null)
    {
        OnnxModel copy = GraphCopier.Copy(model).Model;
        InlineFunctions.Run(copy);
        if (shapes is not null) FixShapes(copy.Graph, shapes);
        if (!device.Float64) RefuseDouble(copy.Graph, device);
        if (device.HighestOpset is int highest) LowerOpset(copy, highest);
        PrepareGraph.Run(copy, InferShapes.Again(copy));
        ShapeInference known = InferShapes.Again(copy);
        foreach (Node node in copy.Graph.Nodes.Where(n => device.Missing.Contains(n.QualifiedType)).ToList()) Replace(copy.Graph, known, node);
        if (device.ColumnMajorMaxPool) MaxPoolIndices.Transpose(copy.Graph, known);
        if (!device.InPlace) SeparateOutputs(copy.Graph);
        copy.Graph.Sort();
        RemoveDeadNodes.Run(copy.Graph);
        GraphChecker.Check(copy, "adapt to device");
        return copy;
    }

    // Numbers for the symbols in the shapes of these inputs, in every shape of the graph; what is not a number then is inferred anew.
    private static void FixShapes(OnnxGraph graph, IReadOnlyDictionary<string, long[]> shapes)
    {
        var sizes = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (Value input in graph.Inputs)
        {
            if (!shapes.TryGetValue(input.Name, out long[]? given)) continue;
            for (int i = 0; i < given.Length && input.Shape is not null; i++) sizes[input.Shape[i].ToString()] = given[i];
            input.Shape = Shape.Of(given);
        }
        foreach (Value value in graph.Nodes.SelectMany(n => n.Outputs).OfType<Value>())
        {
            long?[]? known = value.Shape?.Select(d => d.Size?.Evaluate(sizes)).ToArray();
            value.Shape = known is not null && known.All(k => k is not null) ? Shape.Of(known.Select(k => k!.Value)) : null;
        }
    }

    // What came after opset 21, where kernels of some providers end: operators, and attributes of older ones. All other changes up to the newest opset
    // that is read only add types.
    internal static readonly HashSet<string> OperatorsAfter21 = new(StringComparer.Ordinal) { "Attention", "BitCast", "CumProd", "RMSNormalization", "RotaryEmbedding", "Swish", "TensorScatter" };
    private static readonly HashSet<string> AttributesAfter21 = new(StringComparer.Ordinal) { "Cast.round_mode", "CastLike.round_mode", "DequantizeLinear.output_dtype", "QuantizeLinear.precision" };

    private static void LowerOpset(OnnxModel model, int highest)
    {
        bool IsNewer(Node node) => node.Domain.Length == 0 && (OperatorsAfter21.Contains(node.OpType) || node.Attributes.Any(a => AttributesAfter21.Contains($"{node.OpType}.{a.Key}")));
        if (model.Opset > highest && !model.Graph.NodesAndInner().Any(IsNewer)) model.Opsets[""] = highest;
    }

    private static void RefuseDouble(OnnxGraph graph, DeviceCapabilities device)
    {
        string[] doubles = [.. graph.Inputs.Where(i => i.Type == ElementType.Double).Select(i => $"'{i.Name}'")];
        if (doubles.Length > 0)
            throw new OptionException($"The {device.Name} provider has no float64, and the graph '{graph.Name}' has float64 inputs: {string.Join(", ", doubles.Take(5))}. Export the model in float32, or use 'cpu'.");
    }

    private static void Replace(OnnxGraph graph, ShapeInference known, Node node)
    {
        var nodes = new List<Node>();
        Value old = node.Outputs[0]!;
        var g = new GraphBuilder(graph, known, nodes) { Scope = old.Name };
        Value? replacement = Replacements[node.QualifiedType](g, node);
        int at = graph.Nodes.IndexOf(node);
        graph.Nodes.InsertRange(at + 1, nodes);
        if (replacement is not Value value) return;
        graph.Nodes.RemoveAt(at);
        GraphBuilder.Like(value, old);
        graph.ReplaceReaders(old, value);
        // A graph output keeps its name.
        if (graph.Outputs.Contains(value)) value.Name = old.Name;
    }

    private static void SeparateOutputs(OnnxGraph graph)
    {
        var g = new GraphBuilder(graph);
        for (int i = 0; i < graph.Outputs.Count; i++)
        {
            Value output = graph.Outputs[i];
            if (output.Producer is null || output.Type == ElementType.Bool) continue;
            g.Scope = output.Name;
            // An Identity of integers may have no kernel, and a neutral element would be optimized away; x + (x − x) is exact for integers.
            Value copy = GraphBuilder.Like(output.Type.IsFloating() ? g.Identity(output) : g.Add(output, g.Sub(output, output)), output);
            (copy.Name, output.Name) = (output.Name, copy.Name);
            graph.Outputs[i] = copy;
        }
    }

    private static Value FusedMatMul(GraphBuilder g, Node node)
    {
        Value a = Operand(g, node, node.Inputs[0]!, "transA", "transBatchA"), b = Operand(g, node, node.Inputs[1]!, "transB", "transBatchB");
        Value product = g.MatMul(a, b);
        float alpha = node.Float("alpha", 1);
        return alpha == 1 ? product : g.Mul(product, alpha);
    }

    // transBatch exchanges the batch axes in front with the row: [B…, M, K] is stored as [M, B…, K].
    private static Value Operand(GraphBuilder g, Node node, Value x, string last, string batch)
    {
        int rank = x.Shape?.Rank ?? throw new UnsupportedGradientException($"The rank of '{x.Name}', input of node {node.Label}, is unknown, and its replacement needs it. Use 'cpu', or export the model with known ranks.");
        long[] perm = [.. Enumerable.Range(0, rank).Select(i => (long)i)];
        if (node.Int(batch, 0) != 0) perm = [.. perm.Skip(1).Take(rank - 2), 0, rank - 1];
        if (node.Int(last, 0) != 0) (perm[rank - 2], perm[rank - 1]) = (perm[rank - 1], perm[rank - 2]);
        return g.Transpose(x, perm);
    }

    private static Value? Size(GraphBuilder g, Node node)
    {
        Value x = node.Inputs[0]!;
        if (x.Shape is null or { Rank: 0 }) return x.Shape is null ? null : g.Int(1);
        return g.Squeeze(Enumerable.Range(0, x.Shape.Rank).Select(i => g.DimOf(x, i)).Aggregate(g.Mul), 0);
    }

    // With stored statistics: the provider's kernel gives wrong results for inputs without spatial axes.
    private static Value? BatchNormalization(GraphBuilder g, Node node)
    {
        Value x = node.Inputs[0]!;
        if (x.Shape is not Shape shape || node.Outputs.Count > 1) return null;
        Value Channel(Value vector) => Gradients.NormalizationRules.PerChannel(g, vector, shape.Rank);
        Value factor = g.Div(node.Inputs[1]!, g.Sqrt(g.Add(node.Inputs[4]!, node.Float("epsilon", 1e-5f))));
        return g.Add(g.Mul(g.Sub(x, Channel(node.Inputs[3]!)), Channel(factor)), Channel(node.Inputs[2]!));
    }

    // By its series near 0, where the exponentials cancel; the first term left out is below 1e-16 of the result.
    private static Value Sinh(GraphBuilder g, Value x)
    {
        Value square = g.Mul(x, x), series = g.Scalar(1, x.Type);
        foreach (double c in new[] { 156.0, 110, 72, 42, 20, 6 }) series = g.Add(g.Mul(series, g.Mul(square, 1 / c)), 1);
        Value far = g.Mul(g.Sub(g.Exp(x), g.Exp(g.Neg(x))), 0.5);
        return g.Where(g.Less(g.Abs(x), g.Scalar(0.5, x.Type)), g.Mul(x, series), far);
    }

    private static Value Sign(GraphBuilder g, Value x)
    {
        Value zero = g.Scalar(0, x.Type);
        return g.Where(g.Greater(x, zero), g.Scalar(1, x.Type), g.Where(g.Less(x, zero), g.Scalar(-1, x.Type), x));
    }

    // Integers, the sign being the divisor's.
    private static Value? Mod(GraphBuilder g, Node node)
    {
        Value a = node.Inputs[0]!, b = node.Inputs[1]!;
        if (a.Type.IsFloating()) return null;
        Value rest = g.Sub(a, g.Mul(g.Div(a, b), b));
        return g.Where(g.Less(g.Mul(rest, b), g.Scalar(0, a.Type)), g.Add(rest, b), rest);
    }

    // Scalars only: bias corrections of optimizers are built on tanh, and a shader's is good to 1e-5 only. By its series near 0, where the other
    // form cancels; the first term left out is below 1e-8 of the result.
    private static Value? Tanh(GraphBuilder g, Node node)
    {
        Value x = node.Inputs[0]!;
        if (x.Shape?.ElementCount?.Constant != 1) return null;
        Value square = g.Mul(x, x), series = g.Scalar(62.0 / 2835, x.Type);
        foreach (double c in new[] { -17.0 / 315, 2.0 / 15, -1.0 / 3, 1 }) series = g.Add(g.Mul(series, square), c);
        Value size = g.Abs(x), e = g.Exp(g.Mul(size, -2));
        Value far = g.Mul(g.Div(g.Sub(1, e), g.Add(e, 1)), Sign(g, x));
        return g.Where(g.Less(size, g.Scalar(0.25, x.Type)), g.Mul(x, series), far);
    }

    private static Value LogSoftmax(GraphBuilder g, Node node)
    {
        Value x = node.Inputs[0]!;
        long axis = node.Int("axis", -1);
        Value shifted = g.Sub(x, g.Reduce("ReduceMax", x, true, axis));
        return g.Sub(shifted, g.Log(g.ReduceSum(g.Exp(shifted), true, axis)));
    }

    // values[0] everywhere but values[1] where the index, counted from the front, is that of the position.
    private static Value OneHot(GraphBuilder g, Node node)
    {
        Value indices = g.Cast(node.Inputs[0]!, ElementType.Int64), depth = g.Squeeze(g.Reshape(g.Cast(node.Inputs[1]!, ElementType.Int64), 1), 0), values = node.Inputs[2]!;
        int rank = indices.Shape?.Rank ?? throw new UnsupportedGradientException($"The rank of '{indices.Name}', input of node {node.Label}, is unknown. Use 'cpu', or export the model with known ranks.");
        long axis = node.Int("axis", -1);
        if (axis < 0) axis += rank + 1;
        Value wrapped = g.Where(g.Less(indices, g.Int(0)), g.Add(indices, depth), indices);
        Value positions = g.Reshape(g.Op("Range", [g.Int(0), depth, g.Int(1)]), [-1, .. Enumerable.Repeat(1L, rank - (int)axis)]);
        Value hit = g.Equal(g.Unsqueeze(wrapped, axis), positions);
        return g.Where(hit, g.Gather(values, g.Int(1)), g.Gather(values, g.Int(0)));
    }
}
