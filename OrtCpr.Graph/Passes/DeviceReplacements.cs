using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>What is written for an operator where a device has no kernel for it, or no complete or exact one.</summary>
internal static class DeviceReplacements
{
    /// <summary>One row: null leaves the node alone, which the device then runs after all.</summary>
    private delegate Value? Row(GraphBuilder g, Node node);

    /// <summary>Operator → its replacement, one output each.</summary>
    private static readonly Dictionary<string, Row> Table = new(StringComparer.Ordinal)
    {
        ["com.microsoft.FusedMatMul"] = (g, n) => FusedMatMul(g, n),
        ["LogSoftmax"] = (g, n) => LogSoftmax(g, n),
        ["OneHot"] = (g, n) => OneHot(g, n),
        ["Hardmax"] = Hardmax,
        ["ConstantOfShape"] = (g, n) =>
            g.Op(
                "Expand", [g.Constant(n.Tensor("value") is TensorData value ? GraphBuilder.Reshaped(value) : TensorData.Scalar(0f)),
                    n.Inputs[0]!]),
        ["BatchNormalization"] = BatchNormalization,
        ["MeanVarianceNormalization"] = (g, n) => MeanVariance(g, n),
        ["ConvTranspose"] = TransposedPadding.Cut,
        ["MaxPool"] = MaxPoolIndices.Write,
        ["MaxUnpool"] = MaxPoolIndices.Unpool,
        ["LpPool"] = PowerPool.Write,
        ["GlobalLpPool"] = PowerPool.WriteGlobal,
        ["Size"] = Size,
        ["Sum"] = (g, n) => Sum(g, n),
        ["Mean"] = (g, n) => Sum(g, n) / n.Inputs.Count,
        ["Mod"] = Mod,
        ["Sign"] = (g, n) => Sign(g, g.In(n, 0)),
        ["Tanh"] = Tanh,
        ["Tan"] = (g, n) => g.Op("Sin", [n.Inputs[0]!]) / g.Op("Cos", [n.Inputs[0]!]),
        ["Sinh"] = (g, n) => Sinh(g, g.In(n, 0)),
        ["Cosh"] = (g, n) => (g.Exp(n.Inputs[0]!) + g.Exp(-g.In(n, 0))) * 0.5,
        ["Atan"] = (g, n) => InverseFunctions.Atan(g, g.In(n, 0)),
        ["Asin"] = (g, n) => InverseFunctions.Asin(g, g.In(n, 0)),
        ["Acos"] = (g, n) => InverseFunctions.Acos(g, g.In(n, 0)),
        ["Asinh"] = (g, n) => InverseFunctions.Asinh(g, g.In(n, 0)),
        ["Acosh"] = (g, n) => InverseFunctions.Acosh(g, g.In(n, 0)),
        ["Atanh"] = (g, n) => InverseFunctions.Atanh(g, g.In(n, 0)),
        ["Celu"] = (g, n) => Celu(g, n),
        ["com.microsoft.ExpandDims"] = (g, n) =>
            g.Op("Unsqueeze", [n.Inputs[0]!, g.Reshape(g.Cast(n.Inputs[1]!, ElementType.Int64), 1)]),
        ["com.microsoft.GatherND"] = (g, n) => g.Op("GatherND", [n.Inputs[0]!, g.Cast(n.Inputs[1]!, ElementType.Int64)]),
        ["com.microsoft.Pad"] = (g, n) => g.Op(
            "Pad", [n.Inputs[0]!, g.Reshape(n.Inputs[1]!, -1), n.In(2) is Value fill ? g.Squeeze(g.Reshape(fill, 1), 0) : null],
                ("mode", n.Text("mode", "constant"))),
        ["com.microsoft.SampleOp"] = (g, n) => g.Identity(n.Inputs[0]!),
        ["Or"] = (g, n) => !(!g.In(n, 0) & !g.In(n, 1)),
    };

    /// <summary>Operators of several outputs.</summary>
    private static readonly Dictionary<string, Decomposition> Recurrent = RecurrentDecompositions.Table
        .ToDictionary(row => row.Key, row => row.Value, StringComparer.Ordinal);

    /// <summary>Operators with a row.</summary>
    public static IEnumerable<string> Operators => Table.Keys.Concat(Recurrent.Keys);

    /// <summary>One value for each output of the node; none at all where the node stays.</summary>
    public static Value?[] Of(GraphBuilder g, Node node) =>
        Recurrent.TryGetValue(node.QualifiedType, out Decomposition? decomposition)
            ? RecurrentVariants.HasCudnnKernel(node) ? [] : decomposition(g, node)
            : Table[node.QualifiedType](g, node) is Value value ? [value] : [];

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

    /// <summary>1 at the first of the largest along the axis, 0 elsewhere.</summary>
    private static Value? Hardmax(GraphBuilder g, Node node)
    {
        Term x = g.In(node, 0);
        if (x.Shape is not Shape shape) return null;
        int axis = shape.Axis(node.Int("axis", -1));
        Term largest = g.Op("ArgMax", [x], ("axis", axis), ("keepdims", 1L));
        Term positions = g.Reshape(g.Positions(g.DimOf(x, axis)), [-1, .. Enumerable.Repeat(1L, shape.Rank - 1 - axis)]);
        return g.Cast(g.Equal(largest, positions), x.Type);
    }

    /// <summary>α·ELU(x/α) with the α of ELU at 1.</summary>
    private static Term Celu(GraphBuilder g, Node node)
    {
        double alpha = node.Float("alpha", 1);
        return g.Op("Elu", [g.In(node, 0) / alpha]) * alpha;
    }

    /// <summary>(x − mean)/(σ + 1e-9), as the operator's definition has it.</summary>
    private static Term MeanVariance(GraphBuilder g, Node node)
    {
        long[] axes = node.Ints("axes") ?? [0, 2, 3];
        Term x = g.In(node, 0), centred = x - g.ReduceMean(x, true, axes);
        return centred / (g.Sqrt(g.ReduceMean(centred * centred, true, axes)) + 1e-9);
    }
}
