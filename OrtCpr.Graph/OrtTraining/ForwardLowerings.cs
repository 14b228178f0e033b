using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.OrtTraining;

// Training forms of forward operators, and the small ones that gradient graphs compute with.
internal static class ForwardLowerings
{
    // The same operator under another name; outputs behind the given number serve the gradient operator only.
    public static readonly IReadOnlyDictionary<string, (string OpType, int Outputs)> Renamed =
        new Dictionary<string, (string, int)>(StringComparer.Ordinal)
        {
            ["com.microsoft.LSTMTraining"] = ("LSTM", 3),
            ["com.microsoft.GRUTraining"] = ("GRU", 2),
            ["com.microsoft.ShrunkenGather"] = ("Gather", 1),
            ["com.microsoft.ReduceSumTraining"] = ("ReduceSum", 1),
            ["com.microsoft.SplitTraining"] = ("Split", int.MaxValue),
        };

    public static readonly IReadOnlyDictionary<string, Decomposition> Table = new Dictionary<string, Decomposition>(StringComparer.Ordinal)
    {
        ["com.microsoft.BatchNormInternal"] = BatchNormInternal,
        ["com.microsoft.BiasDropout"] = BiasDropout,
        ["com.microsoft.BitmaskDropout"] = (g, n) => [.. g.Ops("Dropout", 2, [.. n.Inputs])],
        ["com.microsoft.BitmaskBiasDropout"] = BiasDropout,
        ["com.microsoft.BroadcastGradientArgs"] = BroadcastGradientArgs,
        ["com.microsoft.ConcatTraining"] = ConcatTraining,
        ["com.microsoft.FakeQuant"] = FakeQuant,
        ["com.microsoft.PadAndUnflatten"] = PadAndUnflatten,
        ["com.microsoft.ReduceAllL2"] = ReduceAllL2,
        ["com.microsoft.Scale"] = Scale,
        ["com.microsoft.SoftmaxCrossEntropyLossInternal"] = SoftmaxCrossEntropyLossInternal,
    };

    // Training: batch statistics, which come out as mean and 1/√(var + ε), and running = momentum·running + (1 - momentum)·batch with the
    // population variance.
    private static Value?[] BatchNormInternal(GraphBuilder g, Node n)
    {
        Value x = n.Inputs[0]!;
        float epsilon = n.Float("epsilon", 1e-5f), momentum = n.Float("momentum", 0.9f);
        Value?[] inputs = [.. n.Inputs];
        if (n.Int("training_mode", 0) == 0)
        {
            Value still = g.Op("BatchNormalization", inputs, ("epsilon", epsilon));
            return [still, n.Inputs[3], n.Inputs[4], n.Inputs[3], g.Reciprocal(g.Sqrt(g.Add(n.Inputs[4]!, epsilon)))];
        }
        int rank = x.Shape?.Rank
            ?? throw new LoweringException($"The rank of '{x.Name}', input of node {n.Label}, is unknown. Generate the artifacts from a "
            + "model whose inputs have a known rank.");
        long[] axes = NormalizationRules.AllButChannels(rank);
        Value mean = g.ReduceMean(x, true, axes), centred = g.Sub(x, mean);
        Value variance = g.ReduceMean(g.Mul(centred, centred), true, axes);
        Value inverse = g.Reciprocal(g.Sqrt(g.Add(variance, epsilon)));
        Value gain = g.PerChannel(n.Inputs[1]!, rank), bias = g.PerChannel(n.Inputs[2]!, rank);
        Value y = GraphBuilder.Like(g.Add(g.Mul(centred, g.Mul(inverse, gain)), bias), x);
        Value Running(int input, Value batch) =>
            GraphBuilder.Like(g.Add(g.Mul(n.Inputs[input]!, momentum), g.Mul(g.Reshape(batch, -1), 1 - (double)momentum)),
                n.Inputs[input]!);
        return [y, Running(3, mean), Running(4, variance), g.Reshape(mean, -1), g.Reshape(inverse, -1)];
    }

    // y = dropout(x + bias) + residual.
    private static Value?[] BiasDropout(GraphBuilder g, Node n)
    {
        Term[] dropped = g.Ops("Dropout", 2, [g.Add(n.Inputs[0]!, n.Inputs[1]!), n.In(3), n.In(4)]);
        return [n.In(2) is Value residual ? g.Add(dropped[0], residual) : dropped[0], dropped[1]];
    }

    // The axes along which either of two shapes was stretched.
    private static Value?[] BroadcastGradientArgs(GraphBuilder g, Node n)
    {
        Value a = n.Inputs[0]!, b = n.Inputs[1]!;
        Value rankA = g.Op("Shape", [a]), rankB = g.Op("Shape", [b]), rank = g.Max(rankA, rankB);
        Value Padded(Value shape, Value own) =>
            g.Concat(0, g.Op("ConstantOfShape", [g.Sub(rank, own)], ("value", TensorData.From<long>([1], 1))), shape);
        Value wideA = Padded(a, rankA), wideB = Padded(b, rankB), differ = g.Not(g.Equal(wideA, wideB));
        Value Axes(Value wide) => g.Squeeze(g.Op("NonZero", [g.And(differ, g.Equal(wide, g.Int(1)))]), 0);
        return [Axes(wideA), Axes(wideB)];
    }

    private static Value?[] ConcatTraining(GraphBuilder g, Node n)
    {
        Value[] parts = [.. n.Inputs.OfType<Value>()];
        int axis = (int)n.Int("axis", 0);
        Value y = g.Concat(axis, parts);
        return n.Outputs.Count < 2 || n.Outputs[1] is null ? [y] : [y, g.Concat(0, [.. parts.Select(p => g.DimOf(p, axis))])];
    }

    // y = (clip(round(x/s) + z, min, max) - z)·s; the mask says what was not clipped.
    private static Value?[] FakeQuant(GraphBuilder g, Node n)
    {
        Value x = n.Inputs[0]!, scale = n.Inputs[1]!, zero = n.Inputs[2]!;
        Value low = g.Scalar(n.Int("quant_min", 0), x.Type), high = g.Scalar(n.Int("quant_max", 255), x.Type);
        Value level = g.Add(g.Op("Round", [g.Div(x, scale)]), zero);
        Value y = g.Mul(g.Sub(g.Op("Clip", [level, low, high]), zero), scale);
        return [GraphBuilder.Like(y, x), g.And(g.GreaterOrEqual(level, low), g.LessOrEqual(level, high))];
    }

    // Rows of the input at their places in zeros of [d0·d1, …], then [d0, d1, …].
    private static Value?[] PadAndUnflatten(GraphBuilder g, Node n)
    {
        Value x = n.Inputs[0]!, indices = n.Inputs[1]!, dims = n.Inputs[2]!, row = g.Op("Shape", [x], ("start", 1));
        Value zeros = g.FilledOf(0, g.Concat(0, g.Op("ReduceProd", [dims]), row), x.Type);
        return [g.Reshape(g.Op("ScatterND", [zeros, g.Unsqueeze(indices, -1), x]), g.Concat(0, dims, row))];
    }

    private static Value?[] ReduceAllL2(GraphBuilder g, Node n) =>
        [g.Sqrt(g.Op("Sum", [.. n.Inputs.Select(x => g.Op("ReduceSumSquare", [x], ("keepdims", 0)))]))];

    // The factor is one number of any type and rank.
    private static Value?[] Scale(GraphBuilder g, Node n)
    {
        Value x = n.Inputs[0]!, factor = g.Op("Reshape", [n.Inputs[1]!, g.Constant(TensorData.From<long>([], 0))]);
        factor = x.Type == ElementType.Undefined ? g.Op("CastLike", [factor, x]) : g.Cast(factor, x.Type);
        return [GraphBuilder.Like(n.Int("scale_down", 0) != 0 ? g.Div(x, factor) : g.Mul(x, factor), x)];
    }

    private static Value?[] SoftmaxCrossEntropyLossInternal(GraphBuilder g, Node n) =>
        [.. g.Ops("SoftmaxCrossEntropyLoss", 2, [n.Inputs[0], n.Inputs[1], n.In(2)],
            [("reduction", n.Text("reduction", "mean")), .. IgnoreIndex(n, 3)])];

    // The internal form has the ignored label as an input.
    internal static (string, object)[] IgnoreIndex(Node n, int input) => n.In(input) is not Value index
        ? n.Has("ignore_index") ? [("ignore_index", n.Int("ignore_index", -1))] : []
        : index.ConstantIntegers is [long label] ? [("ignore_index", label)]
        : throw new LoweringException($"The ignored label of node {n.Label}, '{index.Name}', is computed in the graph. Generate the "
            + "artifacts with a constant ignore_index.");
}
