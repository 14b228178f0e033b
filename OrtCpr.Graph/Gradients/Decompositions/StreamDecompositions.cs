using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>com.microsoft operators of models with several residual streams, gated normalisation and linear
/// attention.</summary>
internal static class StreamDecompositions
{
    public static readonly IReadOnlyDictionary<string, Decomposition> Table = new Dictionary<string, Decomposition>(StringComparer.Ordinal)
    {
        ["com.microsoft.ScaledSiLU"] = ScaledSiLU,
        ["com.microsoft.GatedAdd"] = (g, n) => [n.Inputs[0]! + g.In(n, 1) * n.Inputs[2]!],
        ["com.microsoft.GatedRMSNorm"] = GatedRMSNorm,
        ["com.microsoft.BranchwiseRMSNorm"] = BranchwiseRMSNorm,
        ["com.microsoft.HyperConnectionPreMix"] = PreMix,
        ["com.microsoft.HyperConnectionPostMix"] = PostMix,
        ["com.microsoft.LinearAttentionGate"] = LinearAttentionGate,
        ["com.microsoft.LinearAttention"] = LinearAttention,
        ["com.microsoft.CausalConvWithState"] = CausalConvWithState,
        ["com.microsoft.EngramGate"] = EngramGate,
    };

    /// <summary>y = z·σ(z), z = scale·x.</summary>
    private static Value?[] ScaledSiLU(GraphBuilder g, Node node)
    {
        Term x = g.In(node, 0), z = node.In(1) is Value scale ? x * g.Cast(scale, x.Type) : x * node.Float("alpha", 1);
        return [SiLU(g, z)];
    }

    /// <summary>y = x / rms(x)·scale·activation(gate), over groups as long as the scale.</summary>
    private static Value?[] GatedRMSNorm(GraphBuilder g, Node node)
    {
        Term x = g.In(node, 0), scale = g.In(node, 1), gate = g.In(node, 2);
        Term groups = g.Reshape(x, g.Concat(0, g.Ints(-1), g.DimOf(scale, 0)));
        Term normal = g.ReshapeLike(Normalised(g, groups, node.Float("epsilon", 1e-6f)) * scale, x);
        return [normal * (node.Text("activation", "silu") == "sigmoid" ? g.Sigmoid(gate) : SiLU(g, gate))];
    }

    private static Value?[] BranchwiseRMSNorm(GraphBuilder g, Node node)
    {
        Term x = g.In(node, 0), grouped = Grouped(g, node, x), normal = Normalised(g, grouped, node.Float("epsilon", 1e-6f));
        if (node.In(1) is Value scale)
        {
            // C·H numbers in a row are one a stream and feature; H of them serve all streams.
            bool flat = scale.Shape is { Rank: 1 };
            normal = normal * (flat ? g.Reshape(scale, g.Concat(0, g.Ints(-1), g.DimOf(grouped, grouped.Shape!.Rank - 1))) : scale);
        }
        return [g.ReshapeLike(normal, x)];
    }

    /// <summary>y[h] = reduction_scale·Σ over the streams of x[c, h]·pre_mix[c, h].</summary>
    private static Value?[] PreMix(GraphBuilder g, Node node)
    {
        Term x = Grouped(g, node, g.In(node, 0));
        Term sum = g.ReduceSum(x * Gate(g, node, g.In(node, 1), x), false, -2);
        float scale = node.Float("reduction_scale", 1);
        return [scale == 1 ? sum : sum * scale];
    }

    /// <summary>y[k, h] = Σ over the streams of stream_mix[c, k]·x[c, h] + post_mix[k, h]·block_output[h].</summary>
    private static Value?[] PostMix(GraphBuilder g, Node node)
    {
        Term x = g.In(node, 0), added = Gate(g, node, g.In(node, 2), x) * g.Unsqueeze(node.Inputs[1]!, -2);
        return [(node.In(3) is Value mix ? g.MatMul(g.TransposeLast(mix), x) : x) + added];
    }

    /// <summary>decay = decay_scale·softplus(a + dt_bias), beta = σ(b).</summary>
    private static Value?[] LinearAttentionGate(GraphBuilder g, Node node)
    {
        Term decay = g.Op("Softplus", [g.In(node, 0) + node.Inputs[1]!]) * node.Inputs[2]!;
        return [decay, node.In(3) is Value b ? g.Sigmoid(b) : null];
    }

    /// <summary>S ← e^g·S + k·(β·(v - (e^g·S)ᵀ·k))ᵀ, o = scale·Sᵀ·q; the update rule says which of g and β there are. A
    /// Scan over the positions.</summary>
    private static Value?[] LinearAttention(GraphBuilder g, Node node)
    {
        int queryHeads = (int)node.Int("q_num_heads", 0), heads = (int)node.Int("kv_num_heads", 0);
        // [batch, positions, heads·width] -> [positions, batch, heads, width].
        Term Steps(Value x, long count) =>
            g.Transpose(g.Reshape(x, g.Concat(0, g.DimOf(x, 0), g.DimOf(x, 1), g.Ints(count, -1))), 1, 0, 2, 3);
        Term q = Steps(node.Inputs[0]!, queryHeads), k = Steps(node.Inputs[1]!, heads), v = Steps(node.Inputs[2]!, heads);
        Value? decay = node.In(4) is Value d ? Steps(d, heads) : null;
        Value? beta = node.In(5) is Value b ? g.Transpose(g.Unsqueeze(b, -1), 1, 0, 2, 3) : null;
        Value first = node.In(3) ?? g.FilledOf(0, g.Concat(0, g.DimOf(k, 1), g.DimOf(k, 2), g.DimOf(k, 3), g.DimOf(v, 3)), q.Type);
        // Queries of a group share a state: [heads, group, width] times [heads, width, width].
        Term grouped = g.Reshape(q, g.Concat(0, g.DimOf(q, 0), g.DimOf(q, 1), g.Ints(heads, queryHeads / heads), g.DimOf(q, 3)));
        float scale = node.Float("scale", 0);
        grouped = scale != 0 ? grouped * scale : grouped / g.Sqrt(g.Cast(g.Squeeze(g.DimOf(q, 3), 0), q.Type));

        var body = new OnnxGraph(g.Graph.Names.Unique($"{g.Scope}/step"), g.Graph.Names);
        var step = new GraphBuilder(body) { Scope = body.Name };
        Value[] scanned = [.. new[] { grouped, k, v, decay, beta }.OfType<Value>()];
        Term state = step.Term(body.AddInput($"{body.Name}/state", q.Type, new Shape(Enumerable.Repeat(Dim.Unknown, 4))));
        Value[] inputs = [.. scanned.Select(s => body.AddInput($"{body.Name}/x", s.Type, new Shape(s.Shape!.Skip(1))))];
        Value At(Value? of) => inputs[Array.IndexOf(scanned, of)];
        Term kept = decay is null ? state : state * step.Unsqueeze(step.Exp(At(decay)), -1);
        Term key = step.Unsqueeze(At(k), -1), row = step.Unsqueeze(At(v), -2);
        if (beta is not null) row = (row - step.MatMul(step.Unsqueeze(At(k), -2), kept)) * step.Unsqueeze(At(beta), -1);
        Term after = (kept + key * row).Like(state);
        Term read = step.MatMul(inputs[0], after);
        body.Outputs.Add(after);
        body.Outputs.Add(step.Identity(read).Typed(q.Type, new Shape(Enumerable.Repeat(Dim.Unknown, 4))));
        Term[] results = g.Ops("Scan", 2, [first, .. scanned], ("body", body), ("num_scan_inputs", scanned.Length));
        results[0].Typed(q.Type, first.Shape ?? state.Shape);
        results[1].Typed(q.Type, new Shape(Enumerable.Repeat(Dim.Unknown, 5)));
        Term y = g.Transpose(results[1], 1, 0, 2, 3, 4);
        return [g.Reshape(y, g.Concat(0, g.DimOf(y, 0), g.DimOf(y, 1), g.Ints(-1))), results[0]];
    }

    /// <summary>A depthwise convolution of [past state or zeros, x], whose last k - 1 positions are the next
    /// state.</summary>
    private static Value?[] CausalConvWithState(GraphBuilder g, Node node)
    {
        Term x = g.In(node, 0), weight = g.In(node, 1), before = g.DimOf(weight, 2) - g.Ints(1);
        Term whole = node.In(3) is Value past ? g.Concat(2, past, x) : g.Op("Pad", [x, g.Concat(0, g.Ints(0, 0), before, g.Ints(0, 0, 0))]);
        whole.Shape ??= new Shape(Enumerable.Repeat(Dim.Unknown, 3));
        long channels = weight.Shape?[0].Known ?? x.Shape?[1].Known
            ?? throw new UnsupportedGradientException(
                $"Node {node.Label}: the number of channels of '{weight.Name}' is unknown. "
                + "Export the model with weights of a known shape.");
        Term y = g.Op("Conv", [whole, weight, node.In(2)], ("group", channels));
        y.Shape ??= x.Shape;
        Term length = g.DimOf(whole, 2), next = g.Op("Slice", [whole, length - before, length, g.Ints(2)]);
        return [node.Text("activation", "none") == "none" ? y : SiLU(g, y), next];
    }

    /// <summary>gate = σ(sign(d)·√max(|d|, 1e-6)), d = Σ key'·query' / √width over keys and queries divided by their
    /// rms and scaled; y = gate·value for all streams.</summary>
    private static Value?[] EngramGate(GraphBuilder g, Node node)
    {
        Term key = g.In(node, 0);
        Term Scaled(Term x, int scale) => Normalised(g, x, node.Float("epsilon", 1e-5f)) * node.Inputs[scale]!;
        Term sum = g.ReduceSum(Scaled(key, 3) * Scaled(g.In(node, 1), 4), true, -1);
        Term dot = sum / g.Sqrt(g.Cast(g.DimOf(key, -1), key.Type));
        Term gate = g.Sigmoid(g.Sign(dot) * g.Sqrt(g.Max(g.Abs(dot), 1e-6)));
        Term y = gate * g.Unsqueeze(node.Inputs[2]!, -2);
        return [y, node.In(5) is null ? null : Scaled(y, 5)];
    }

    private static Term SiLU(GraphBuilder g, Term x) => x * g.Sigmoid(x);

    private static Term Normalised(GraphBuilder g, Term x, float epsilon) => x / g.Sqrt(g.ReduceMean(x * x, true, -1) + epsilon);

    /// <summary>[..., C·H] → [..., C, H] where the number of streams is given.</summary>
    private static Term Grouped(GraphBuilder g, Node node, Term x)
    {
        long streams = node.Int("num_branches", 0);
        if (streams == 0) return x;
        int rank = x.Shape?.Rank
            ?? throw new UnsupportedGradientException(
                $"The rank of '{x.Name}', input of node {node.Label}, is unknown. "
                + "Give the model's inputs a known rank and export it again.");
        return g.Reshape(x, g.Concat(0, [.. Enumerable.Range(0, rank - 1).Select(i => g.DimOf(x, i)), g.Ints(streams, -1)]));
    }

    /// <summary>A gate a stream, or one a stream and feature, against [..., C, H].</summary>
    private static Term Gate(GraphBuilder g, Node node, Term gate, Value x)
    {
        int missing = x.Shape!.Rank - gate.Shape!.Rank;
        if (missing == 0) return gate;
        // [..., C·H] for flattened streams is told from [..., C] by its width.
        bool wide = node.Int("num_branches", 0) is long streams and > 0 && gate.Shape[gate.Shape.Rank - 1].Known is long width
            && width != streams;
        return wide ? Grouped(g, node, gate) : g.Unsqueeze(gate, -1);
    }
}
