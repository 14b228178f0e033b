using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>QuantizeLinear and DequantizeLinear as fake quantization: straight through where the value was inside the
/// range, zero outside. The gradient of a quantized tensor is that of the numbers it stands for, so it is floating.
/// Operators on quantized tensors have no rule and are refused.</summary>
internal static class QuantizationRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["QuantizeLinear"] = Quantize,
        ["com.microsoft.QuantizeLinear"] = Quantize,
        ["DequantizeLinear"] = Dequantize,
        ["com.microsoft.DequantizeLinear"] = Dequantize,
        // Its range is that of the data, so nothing lies outside.
        ["DynamicQuantizeLinear"] = (g, op, dy) => [dy],
    };

    private static readonly Dictionary<ElementType, (double Low, double High)> Ranges = new()
    {
        [ElementType.Int8] = (-128, 127),
        [ElementType.UInt8] = (0, 255),
        [ElementType.Int16] = (short.MinValue, short.MaxValue),
        [ElementType.UInt16] = (0, ushort.MaxValue),
        [ElementType.Int4] = (-8, 7),
        [ElementType.UInt4] = (0, 15),
    };

    /// <summary>Integers that stand for the floating numbers that they encode, and so carry a gradient.</summary>
    public static bool IsQuantized(Value value) => value.Producer is Node node
        && (node.OpType is "QuantizeLinear" or "DynamicQuantizeLinear" or "MatMulInteger" or "ConvInteger" or "QGemm"
            || node.OpType.StartsWith("QLinear", StringComparison.Ordinal)
            || (node.Has(Trait.Carries) && !value.Type.IsFloating() && node.In(0) is Value source
                && IsQuantized(source)));

    /// <summary>q = round(x / s) + z, cut to the range of its type: dx = dy inside; ds = -dy·x / s inside, what
    /// Dequantize adds being dy·(q - z).</summary>
    private static Value?[] Quantize(GraphBuilder g, Forward op, Term dy)
    {
        Value scale = Along(g, op, op.In(1));
        Term x = op.In(0);
        Term ratio = x / g.Cast(scale, x.Type), inside = dy;
        if (Ranges.TryGetValue(op.Out(0).Type, out (double Low, double High) range))
        {
            Term q = g.Op("Round", [ratio]);
            if (op.TryIn(2) is Value zero) q += g.Cast(Along(g, op, zero), x.Type);
            Term kept = (q >= range.Low) & (q <= range.High);
            inside = g.Where(kept, dy, 0);
        }
        return [inside, op.Active.Contains(op.In(1)) ? Summed(g, op, -(inside * ratio)) : null];
    }

    /// <summary>y = (q - z)·s: the gradient of q is that of what it stands for; ds = dy·(q - z).</summary>
    private static Value?[] Dequantize(GraphBuilder g, Forward op, Term dy)
    {
        if (!op.Active.Contains(op.In(1))) return [dy];
        Term q = g.Cast(op.In(0), dy.Type);
        if (op.TryIn(2) is Value zero) q -= g.Cast(Along(g, op, zero), dy.Type);
        return [dy, Summed(g, op, dy * q)];
    }

    /// <summary>One scale for all, or one for each position of an axis: brought to where it broadcasts.</summary>
    private static Value Along(GraphBuilder g, Forward op, Value v)
    {
        if (op.Node.Int("block_size", 0) != 0)
        {
            throw new UnsupportedGradientException(
                $"Node {op.Node.Label} quantizes in blocks, which is not differentiated. "
                + "Freeze what comes before it, or export the float model.");
        }
        int trailing = op.Rank(0) - op.Axis("axis", 1) - 1;
        return v.Shape is not { Rank: 1 } shape || shape[0].Known == 1 || trailing <= 0 ? v
            : g.Reshape(v, [-1, .. Enumerable.Repeat(1L, trailing)]);
    }

    private static Term Summed(GraphBuilder g, Forward op, Term gradient)
    {
        Term scale = op.In(1);
        if (scale.Shape is not { Rank: 1 } shape || shape[0].Known == 1) return gradient;
        int axis = op.Axis("axis", 1);
        return g.Cast(g.ReduceSum(gradient, false, [.. Enumerable.Range(0, op.Rank(0)).Where(i => i != axis).Select(i => (long)i)]),
            scale.Type);
    }
}
