using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>A copy of a graph in the form that a device runs as a whole: functions inlined, shapes folded, operators
/// that it lacks written with others, and an Identity in front of each state output where a node may not write the
/// buffer that it reads.</summary>
internal static class AdaptToDevice
{
    /// <summary>Operator → its replacement, one output each; null leaves the node alone.</summary>
    private static readonly Dictionary<string, Func<GraphBuilder, Node, Value?>> Replacements = new(StringComparer.Ordinal)
    {
        ["com.microsoft.FusedMatMul"] = (g, n) => FusedMatMul(g, n),
        ["LogSoftmax"] = (g, n) => LogSoftmax(g, n),
        ["OneHot"] = (g, n) => OneHot(g, n),
        ["ConstantOfShape"] = (g, n) =>
            g.Op(
                "Expand", [g.Constant(n.Tensor("value") is TensorData value ? GraphBuilder.Reshaped(value) : TensorData.Scalar(0f)),
                    n.Inputs[0]!]),
        ["BatchNormalization"] = BatchNormalization,
        ["MaxPool"] = MaxPoolIndices.Write,
        ["Size"] = Size,
        ["Sum"] = (g, n) => Sum(g, n),
        ["Mean"] = (g, n) => Sum(g, n) / n.Inputs.Count,
        ["Mod"] = Mod,
        ["Sign"] = (g, n) => Sign(g, g.In(n, 0)),
        ["Tanh"] = Tanh,
        ["Tan"] = (g, n) => g.Op("Sin", [n.Inputs[0]!]) / g.Op("Cos", [n.Inputs[0]!]),
        ["Sinh"] = (g, n) => Sinh(g, g.In(n, 0)),
        ["Cosh"] = (g, n) => (g.Exp(n.Inputs[0]!) + g.Exp(-g.In(n, 0))) * 0.5,
        ["Or"] = (g, n) => !(!g.In(n, 0) & !g.In(n, 1)),
    };

    /// <summary><c>shapes</c>: the sizes of some inputs, where the graph is made for one size of batch.</summary>
    public static OnnxModel Run(OnnxModel model, DeviceCapabilities device, IReadOnlyDictionary<string, long[]>? shapes = null)
    {
        OnnxModel copy = GraphCopier.Copy(model).Model;
        InlineFunctions.Run(copy);
        if (shapes is not null) FixShapes(copy.Graph, shapes);
        if (!device.Float64) RefuseDouble(copy.Graph, device);
        if (device.HighestOpset is int highest) LowerOpset(copy, highest);
        PrepareGraph.Run(copy, InferShapes.Again(copy));
        ShapeInference known = InferShapes.Again(copy);
        foreach (Node node in copy.Graph.Nodes.Where(n => device.Missing.Contains(n.QualifiedType)).ToList())
            Replace(copy.Graph, known, node);
        if (device.ColumnMajorMaxPool) MaxPoolIndices.Transpose(copy.Graph, known);
        WidenMissing.Run(copy, device);
        if (!device.InPlace) SeparateOutputs(copy.Graph);
        copy.Graph.Sort();
        RemoveDeadNodes.Run(copy.Graph);
        GraphChecker.Check(copy, "adapt to device");
        return copy;
    }

    /// <summary>Numbers for the symbols in the shapes of these inputs, in every shape of the graph; what is not a
    /// number then is inferred anew.</summary>
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

    /// <summary>A graph without anything that came after it is one of the device's highest opset too: all other changes
    /// up to the newest only add types.</summary>
    private static void LowerOpset(OnnxModel model, int highest)
    {
        bool fits = model.Graph.NodesAndInner().All(n => OperatorTraits.SinceOpset(n) <= highest);
        if (model.Opset > highest && fits) model.Opsets[""] = highest;
    }

    private static void RefuseDouble(OnnxGraph graph, DeviceCapabilities device)
    {
        string[] doubles = [.. graph.Inputs.Where(i => i.Type == ElementType.Double).Select(i => $"'{i.Name}'")];
        if (doubles.Length > 0)
        {
            throw new OptionException(
                $"The {device.Name} provider has no float64, and the graph '{graph.Name}' has float64 inputs: "
                + $"{string.Join(", ", doubles.Take(5))}. Export the model in float32, or use 'cpu'.");
        }
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
            // An Identity of integers may have no kernel, and a neutral element would be optimized away; x + (x − x) is
            // exact for integers.
            Term x = g.Term(output);
            Value copy = (output.Type.IsFloating() ? g.Identity(x) : x + (x - x)).Like(x);
            (copy.Name, output.Name) = (output.Name, copy.Name);
            graph.Outputs[i] = copy;
        }
    }

    private static Term Sum(GraphBuilder g, Node node) =>
        node.Inputs.Skip(1).Aggregate(g.In(node, 0), (sum, next) => sum + next!);

    private static Term FusedMatMul(GraphBuilder g, Node node)
    {
        Term a = Operand(g, node, node.Inputs[0]!, "transA", "transBatchA"), b = Operand(g, node, node.Inputs[1]!, "transB", "transBatchB");
        Term product = g.MatMul(a, b);
        float alpha = node.Float("alpha", 1);
        return alpha == 1 ? product : product * alpha;
    }

    /// <summary>transBatch exchanges the batch axes in front with the row: [B…, M, K] is stored as [M, B…,
    /// K].</summary>
    private static Term Operand(GraphBuilder g, Node node, Value x, string last, string batch)
    {
        int rank = x.Shape?.Rank
            ?? throw new UnsupportedGradientException(
                $"The rank of '{x.Name}', input of node {node.Label}, is unknown, and its replacement needs it. "
                + "Use 'cpu', or export the model with known ranks.");
        long[] perm = [.. Enumerable.Range(0, rank).Select(i => (long)i)];
        if (node.Int(batch, 0) != 0) perm = [.. perm.Skip(1).Take(rank - 2), 0, rank - 1];
        if (node.Int(last, 0) != 0) (perm[rank - 2], perm[rank - 1]) = (perm[rank - 1], perm[rank - 2]);
        return g.Transpose(x, perm);
    }

    private static Value? Size(GraphBuilder g, Node node)
    {
        Term x = g.In(node, 0);
        if (x.Shape is null or { Rank: 0 }) return x.Shape is null ? null : g.Int(1);
        return g.Squeeze(Enumerable.Range(0, x.Shape.Rank).Select(i => g.DimOf(x, i)).Aggregate((size, d) => size * d), 0);
    }

    /// <summary>With stored statistics: the provider's kernel gives wrong results for inputs without spatial
    /// axes.</summary>
    private static Value? BatchNormalization(GraphBuilder g, Node node)
    {
        Term x = g.In(node, 0);
        if (x.Shape is not Shape shape || node.Outputs.Count > 1) return null;
        Term Channel(Value vector) => g.PerChannel(vector, shape.Rank);
        Term factor = node.Inputs[1]! / g.Sqrt(g.In(node, 4) + node.Float("epsilon", 1e-5f));
        return (x - Channel(node.Inputs[3]!)) * Channel(factor) + Channel(node.Inputs[2]!);
    }

    /// <summary>By its series near 0, where the exponentials cancel; the first term left out is below 1e-16 of the
    /// result.</summary>
    private static Term Sinh(GraphBuilder g, Term x)
    {
        Term square = x * x, series = g.Scalar(1, x.Type);
        foreach (double c in new[] { 156.0, 110, 72, 42, 20, 6 }) series = series * (square * (1 / c)) + 1;
        Term far = (g.Exp(x) - g.Exp(-x)) * 0.5;
        return g.Where(g.Abs(x) < 0.5, x * series, far);
    }

    private static Term Sign(GraphBuilder g, Term x)
    {
        Term zero = g.Scalar(0, x.Type);
        return g.Where(x > zero, 1, g.Where(x < zero, -1, x));
    }

    /// <summary>Integers, the sign being the divisor's.</summary>
    private static Value? Mod(GraphBuilder g, Node node)
    {
        Term a = g.In(node, 0), b = g.In(node, 1);
        if (a.Type.IsFloating()) return null;
        Term rest = a - a / b * b;
        return g.Where(rest * b < 0, rest + b, rest);
    }

    /// <summary>Scalars only: bias corrections of optimizers are built on tanh, and a shader's is good to 1e-5 only. By
    /// its series near 0, where the other form cancels; the first term left out is below 1e-8 of the result.</summary>
    private static Value? Tanh(GraphBuilder g, Node node)
    {
        Term x = g.In(node, 0);
        if (x.Shape?.ElementCount?.Constant != 1) return null;
        Term square = x * x, series = g.Scalar(62.0 / 2835, x.Type);
        foreach (double c in new[] { -17.0 / 315, 2.0 / 15, -1.0 / 3, 1 }) series = series * square + c;
        Term size = g.Abs(x), e = g.Exp(size * -2);
        Term far = (1 - e) / (e + 1) * Sign(g, x);
        return g.Where(size < 0.25, x * series, far);
    }

    private static Term LogSoftmax(GraphBuilder g, Node node)
    {
        Term x = g.In(node, 0);
        long axis = node.Int("axis", -1);
        Term shifted = x - g.Reduce("ReduceMax", x, true, axis);
        return shifted - g.Log(g.ReduceSum(g.Exp(shifted), true, axis));
    }

    /// <summary>values[0] everywhere but values[1] where the index, counted from the front, is that of the
    /// position.</summary>
    private static Term OneHot(GraphBuilder g, Node node)
    {
        Term indices = g.Cast(node.Inputs[0]!, ElementType.Int64);
        Term depth = g.Squeeze(g.Reshape(g.Cast(node.Inputs[1]!, ElementType.Int64), 1), 0);
        Term values = g.In(node, 2);
        int rank = indices.Shape?.Rank
            ?? throw new UnsupportedGradientException(
                $"The rank of '{indices.Name}', input of node {node.Label}, is unknown. Use 'cpu', or export the model with known ranks.");
        long axis = node.Int("axis", -1);
        if (axis < 0) axis += rank + 1;
        Term wrapped = g.Where(indices < 0, indices + depth, indices);
        Term positions = g.Reshape(g.Op("Range", [g.Int(0), depth, g.Int(1)]), [-1, .. Enumerable.Repeat(1L, rank - (int)axis)]);
        Term hit = g.Equal(g.Unsqueeze(wrapped, axis), positions);
        return g.Where(hit, g.Gather(values, g.Int(1)), g.Gather(values, g.Int(0)));
    }
}
