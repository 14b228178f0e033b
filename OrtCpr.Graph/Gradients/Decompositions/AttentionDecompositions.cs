using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Scaled dot-product attention in its ONNX form and the forms that optimizers and exporters write. Every one
/// brings its operands to [batch, heads, positions, width] and is softmax(q·kᵀ·scale, masked)·v from there
/// on.</summary>
internal static class AttentionDecompositions
{
    public static readonly IReadOnlyDictionary<string, Decomposition> Table = new Dictionary<string, Decomposition>(StringComparer.Ordinal)
    {
        ["Attention"] = Attention,
        ["com.microsoft.Attention"] = PackedWeights,
        // Inputs: bias, padding mask, added mask, past keys and values.
        ["com.microsoft.MultiHeadAttention"] = (g, n) => MultiHead(g, n, n.In(3), n.In(4), n.In(5), n.In(6), n.In(7)),
        ["com.microsoft.DecoderMaskedMultiHeadAttention"] = (g, n) => n.Int("past_present_share_buffer", 0) != 0 || n.In(9) is not null
            ? throw Refused(n, "a shared cache", "Train with the model that was not prepared for generation.")
            : MultiHead(g, n, n.In(10), n.In(3), n.In(4), n.In(5), n.In(6)),
        ["com.microsoft.GroupQueryAttention"] = GroupQuery,
    };

    /// <summary>ONNX Attention. Outputs: result, keys and values with the past in front, and the scores at the stage
    /// that qk_matmul_output_mode names.</summary>
    private static Value?[] Attention(GraphBuilder g, Node node)
    {
        bool flat = Rank(node, 0) == 3;
        int heads = (int)node.Int("q_num_heads", 0), keyHeads = (int)node.Int("kv_num_heads", 0);
        Term q = g.In(node, 0), k = g.In(node, 1), v = g.In(node, 2);
        if (flat) (q, k, v) = (Heads(g, q, heads), Heads(g, k, keyHeads), Heads(g, v, keyHeads));
        Value? past = node.In(4) is Value p ? g.DimOf(p, 2) : null;
        (k, v) = (AfterPast(g, node.In(4), k), AfterPast(g, node.In(5), v));
        var core = new AttentionCore(g, q, k, v)
        { Scale = node.Has("scale") ? node.Float("scale", 0) : null, SoftCap = node.Float("softcap", 0) };
        if (node.In(3) is Value mask) core.Mask(PaddedMask(g, mask, core.Keys));
        if (node.In(6) is Value lengths) core.Keep(core.KeyPositions < g.Reshape(lengths, -1, 1, 1, 1));
        if (node.Int("is_causal", 0) != 0) core.Causal(past);
        Term y = core.Result();
        return [flat ? Merge(g, y) : y, k, v, core.Stages[(int)node.Int("qk_matmul_output_mode", 0)]];
    }

    /// <summary>com.microsoft Attention: one product gives queries, keys and values.</summary>
    private static Value?[] PackedWeights(GraphBuilder g, Node node)
    {
        int heads = (int)node.Int("num_heads", 0);
        if (node.Int("do_rotary", 0) != 0) throw Refused(node, "do_rotary", "Export rotary embeddings as operators of their own.");
        Term projected = g.MatMul(node.Inputs[0]!, node.Inputs[1]!);
        if (node.In(2) is Value bias) projected = projected + bias;
        Term[] qkv = node.Ints("qkv_hidden_sizes") is { Length: 3 } sizes ? g.Ops("Split", 3, [projected, g.Ints(sizes)], ("axis", -1))
            : g.Ops("Split", 3, [projected], ("axis", -1), ("num_outputs", 3));
        Term[] parts = [.. qkv.Select(x => Heads(g, x, heads))];
        Term k = parts[1], v = parts[2];
        Value? past = null;
        if (node.In(4) is Value pair)
        {
            past = g.DimOf(pair, 3);
            (k, v) = (AfterPast(g, g.Gather(pair, g.Int(0)), k), AfterPast(g, g.Gather(pair, g.Int(1)), v));
        }
        var core = new AttentionCore(g, parts[0], k, v) { Scale = Scale(node) };
        if (node.In(5) is Value added) core.Mask(added);
        if (node.In(3) is Value mask) PaddingMask(g, node, core, mask);
        if (node.Int("unidirectional", 0) != 0) core.Causal(past);
        Value? present = node.Outputs.Count > 1 ? g.Concat(0, g.Unsqueeze(k, 0), g.Unsqueeze(v, 0)) : null;
        return [Merge(g, core.Result()), present];
    }

    /// <summary>com.microsoft MultiHeadAttention: queries, keys and values apart, or packed as [batch, positions,
    /// heads, 3 or 2, width], with a bias for all three.</summary>
    private static Value?[] MultiHead(GraphBuilder g, Node node, Value? bias, Value? mask, Value? added, Value? pastKeys, Value? pastValues)
    {
        int heads = (int)node.Int("num_heads", 0);
        Term q = g.In(node, 0);
        Value? k = node.In(1), v = node.In(2);
        if (Rank(node, 0) == 5)
        {
            Term[] parts = g.Ops("Split", 3, [q], ("axis", 3), ("num_outputs", 3));
            (q, k, v) = (Unpacked(g, parts[0]), Unpacked(g, parts[1]), Unpacked(g, parts[2]));
        }
        else if (Rank(node, 1) == 5)
        {
            Term[] parts = g.Ops("Split", 2, [k], ("axis", 3), ("num_outputs", 2));
            (k, v) = (Unpacked(g, parts[0]), Unpacked(g, parts[1]));
        }
        if (bias is not null)
        {
            Term width = g.DimOf(q, 2), valueWidth = v!.Shape is { Rank: 3 } ? g.DimOf(v, 2) : width;
            Term[] biases = g.Ops("Split", 3, [bias, g.Concat(0, width, width, valueWidth)], ("axis", 0));
            q = q + biases[0];
            if (k!.Shape is { Rank: 3 }) (k, v) = (k + biases[1], v + biases[2]);
        }
        Value keys = k!.Shape is { Rank: 4 } ? k : Heads(g, k, heads), values = v!.Shape is { Rank: 4 } ? v : Heads(g, v, heads);
        Value? past = pastKeys is null ? null : g.DimOf(pastKeys, 2);
        (keys, values) = (AfterPast(g, pastKeys, keys), AfterPast(g, pastValues, values));
        var core = new AttentionCore(g, Heads(g, q, heads), g.Term(keys), g.Term(values)) { Scale = Scale(node) };
        if (added is not null) core.Mask(added);
        if (mask is not null) PaddingMask(g, node, core, mask);
        if (node.Int("unidirectional", 0) != 0) core.Causal(past);
        Term y = Merge(g, core.Result());
        return [y, keys, values, core.Stages[0]];
    }

    /// <summary>com.microsoft GroupQueryAttention: always causal, over a cache of which seqlens_k tells how much holds
    /// (the last position, from 0).</summary>
    private static Value?[] GroupQuery(GraphBuilder g, Node node)
    {
        if (node.Text("k_quant_type", "NONE") != "NONE" || node.Text("v_quant_type", "NONE") != "NONE")
            throw Refused(node, "a quantized cache", "Export the model with a floating cache.");
        if (node.In(11) is not null || node.Int("smooth_softmax", 0) == 1)
            throw Refused(node, "head_sink or smooth_softmax", "Export the model with plain softmax.");
        if (node.In(3) is Value { Shape: not null } cache && cache.Shape[2].Known != 0)
            throw Refused(node, "a past", "Train without a cache: give past_key and past_value of length 0, or leave them out.");
        int heads = (int)node.Int("num_heads", 0), keyHeads = (int)node.Int("kv_num_heads", 0);
        Term q, k, v;
        if (node.In(1) is Value key)
        {
            (q, k, v) = (Heads(g, node.Inputs[0]!, heads), Heads(g, key, keyHeads), Heads(g, node.Inputs[2]!, keyHeads));
        }
        else
        {
            Term all = Heads(g, node.Inputs[0]!, heads + (2 * keyHeads));
            Term[] parts = g.Ops("Split", 3, [all, g.Ints(heads, keyHeads, keyHeads)], ("axis", 1));
            (q, k, v) = (parts[0], parts[1], parts[2]);
        }
        if (node.Int("do_rotary", 0) != 0)
        {
            Term Turn(Value x) =>
                RotaryDecompositions.RotateFirst(g, x, node.In(9), node.Inputs[7]!, node.Inputs[8]!, node.Int(
                    "rotary_interleaved", 0) != 0, 2);
            (q, k) = (Turn(q), Turn(k));
        }
        var core = new AttentionCore(g, q, k, v) { Scale = Scale(node), SoftCap = node.Float("softcap", 0) };
        if (node.In(10) is Value added) core.Mask(added);
        core.Causal(null);
        long window = node.Int("local_window_size", -1);
        if (window > 0) core.Keep(core.QueryPositions - core.KeyPositions < window);
        return [Merge(g, core.Result()), k, v];
    }

    /// <summary>0 says "the usual one" in these operators.</summary>
    private static float? Scale(Node node) => node.Float("scale", 0) is float scale and not 0 ? scale : null;

    /// <summary>key_padding_mask and mask_index: 1 (or a length, or first and last position) keeps a key. Others get
    /// mask_filter_value added.</summary>
    private static void PaddingMask(GraphBuilder g, Node node, AttentionCore core, Value mask)
    {
        int rank = mask.Shape?.Rank
            ?? throw Refused(node, "a mask of unknown rank", "Give the mask input a known rank and export the model again.");
        double filter = node.Float("mask_filter_value", -10000);
        if (rank == 1)
        {
            Term batch = g.DimOf(core.Q, 0), positions = g.Squeeze(g.Cast(core.KeyPositions, mask.Type), 1, 2);
            if (mask.Shape[0].Known is long n && core.Q.Shape?[0].Known is long b && n != b)
                throw Refused(node, $"a mask of {n} numbers for {b} sequences", "Use a mask of the shape [batch, keys].");
            Term keep = positions < g.Unsqueeze(g.Op("Slice", [mask, g.Ints(0), batch]), 1);
            core.Filter(g.Unsqueeze(keep, 1, 2), filter);
            return;
        }
        Term on = g.Cast(mask, ElementType.Bool);
        if (rank == 4 && node.Is("Attention")) throw Refused(node, "a mask of rank 4", "Use a mask of the shape [batch, keys].");
        core.Filter(rank switch { 2 => g.Unsqueeze(on, 1, 2), 3 => g.Unsqueeze(on, 1), _ => on }, filter);
    }

    /// <summary>From opset 24 on a mask may be shorter than the keys; what it does not reach is masked.</summary>
    private static Value PaddedMask(GraphBuilder g, Value mask, Value keys)
    {
        if (mask.Shape is not Shape shape || shape[shape.Rank - 1].SurelyEquals(keys.Shape?[2] ?? Dim.Unknown)
            || shape[shape.Rank - 1].Known == 1)
        {
            return mask;
        }
        Term missing = g.Max(g.DimOf(keys, 2) - g.DimOf(mask, shape.Rank - 1), g.Ints(0));
        bool boolean = mask.Type == ElementType.Bool;
        Term pads = g.Concat(0, [.. Enumerable.Repeat(g.Ints(0), (2 * shape.Rank) - 1), missing]);
        Value? fill = boolean ? null : g.Scalar(AttentionCore.Lowest(mask.Type), mask.Type);
        Term wide = g.Op("Pad", [boolean ? g.Cast(mask, ElementType.Int32) : mask, pads, fill]);
        Term result = boolean ? g.Cast(wide, ElementType.Bool) : wide;
        return result.Typed(mask.Type, shape.With(shape.Rank - 1, keys.Shape?[2] ?? Dim.Unknown));
    }

    /// <summary>[batch, positions, heads·width] → [batch, heads, positions, width].</summary>
    internal static Term Heads(GraphBuilder g, Value x, int heads) =>
        g.Transpose(g.Reshape(x, g.Concat(0, g.DimOf(x, 0), g.DimOf(x, 1), g.Ints(heads, -1))), 0, 2, 1, 3);

    /// <summary>The backward pass: [batch, heads, positions, width] → [batch, positions, heads·width].</summary>
    internal static Term Merge(GraphBuilder g, Value x) =>
        g.Reshape(g.Transpose(x, 0, 2, 1, 3), g.Concat(0, g.DimOf(x, 0), g.DimOf(x, 2), g.Ints(-1)));

    private static Term Unpacked(GraphBuilder g, Value x) => g.Reshape(x, g.Concat(0, g.DimOf(x, 0), g.DimOf(x, 1), g.Ints(-1)));

    private static Term AfterPast(GraphBuilder g, Value? past, Value x) => past is null ? g.Term(x) : g.Concat(2, past, x);

    private static int Rank(Node node, int input) => node.In(input) is not Value x ? 0
        : x.Shape?.Rank
        ?? throw Refused(node, $"the input '{x.Name}' of unknown rank", "Give the model's inputs a known rank and export it again.");

    private static UnsupportedGradientException Refused(Node node, string found, string remedy) =>
        new($"Node {node.Label} has {found}, which is not differentiated. {remedy}");
}
