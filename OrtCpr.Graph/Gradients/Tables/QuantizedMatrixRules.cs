using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Products with weights that are packed integers. The weights are frozen; the activations in front get dA =
/// dY·Wᵀ, which is what training beside a quantized base model needs.</summary>
internal static class QuantizedMatrixRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["com.microsoft.MatMulNBits"] = (g, op, dy) =>
            [g.MatMul(dy, FromBits(g, op)), null, null, null, null, op.TryIn(5) is null ? null : dy],
        // The kernel itself unpacks: the product of the unit matrix with the weights is the weights.
        ["com.microsoft.MatMulBnb4"] = (g, op, dy) =>
            [g.MatMul(dy, g.Op("com.microsoft.MatMulBnb4", [Unit(g, op), op.In(1), op.In(2)], Own(op)), false, true)],
        ["com.microsoft.DynamicQuantizeMatMul"] = (g, op, dy) =>
            [g.MatMul(dy, Scaled(g, op, 2, 3), false, true), null, null, null, op.TryIn(4) is null ? null : dy],
        ["com.microsoft.MatMulIntegerToFloat"] = (g, op, dy) =>
            [g.MatMul(dy, Scaled(g, op, 3, 5), false, true), null, null, null, null, null, op.TryIn(6) is null ? null : dy],
    };

    /// <summary>W[n, k] = (q - z)·s with one z and s a block of k, or the ones that g_idx names.</summary>
    private static Term FromBits(GraphBuilder g, Forward op)
    {
        long bits = op.Node.Int("bits", 4), n = op.Node.Int("N", 0), k = op.Node.Int("K", 0), block = op.Node.Int("block_size", 0);
        RefuseTrained(op, 2);
        long blocks = (k + block - 1) / block;
        Term scales = g.Reshape(op.In(2), n, blocks);
        Term zeros = op.TryIn(3) is not Value given ? g.Scalar(1L << (int)(bits - 1), scales.Type)
            : given.Type.IsFloating() ? g.Reshape(given, n, blocks)
            : g.Cast(g.Slice(g.Reshape(Unpacked(g, given, bits), n, -1), [0], [blocks], [1]), scales.Type);
        Term q = g.Cast(g.Reshape(Unpacked(g, op.In(1), bits), n, blocks * block), scales.Type);
        if (op.TryIn(4) is Value groups)
        {
            Term Chosen(Term v) => v.Shape is { Rank: 0 } ? v : g.Gather(v, groups, 1);
            return (g.Slice(q, [0], [k], [1]) - Chosen(zeros)) * Chosen(scales);
        }
        Term Wide(Term v) => v.Shape is { Rank: 0 } ? v : g.Unsqueeze(v, 2);
        Term w = g.Reshape((g.Reshape(q, n, blocks, block) - Wide(zeros)) * Wide(scales), n, blocks * block);
        return blocks * block == k ? w : g.Slice(w, [0], [k], [1]);
    }

    /// <summary>Several numbers in a byte, the first in its low bits, along a new last axis.</summary>
    private static Value Unpacked(GraphBuilder g, Value bytes, long bits)
    {
        if (bits == 8) return bytes;
        byte[] shifts = [.. Enumerable.Range(0, (int)(8 / bits)).Select(i => (byte)(i * bits))];
        Term moved =
            g.Op("BitShift", [g.Unsqueeze(bytes, -1), g.Constant(TensorData.From<byte>(shifts, shifts.Length))], ("direction", "RIGHT"));
        return g.Op("BitwiseAnd", [moved, g.Constant(TensorData.Scalar((byte)((1 << (int)bits) - 1)))]);
    }

    /// <summary>W[k, n] = (q - z)·s, z and s one for all or one a column.</summary>
    private static Term Scaled(GraphBuilder g, Forward op, int scale, int zero)
    {
        RefuseTrained(op, scale);
        Term s = op.In(scale), q = g.Cast(op.In(1), s.Type);
        return (op.TryIn(zero) is Value z ? q - g.Cast(z, s.Type) : q) * s;
    }

    private static Term Unit(GraphBuilder g, Forward op)
    {
        long k = op.Node.Int("K", 0);
        return g.Op("EyeLike", [g.Op("ConstantOfShape", [g.Ints(k, k)])]);
    }

    private static (string, object)[] Own(Forward op) => [.. op.Node.Attributes.Select(a => (a.Key, a.Value))];

    private static void RefuseTrained(Forward op, int scale)
    {
        if (op.Active.Contains(op.In(scale)))
        {
            throw new UnsupportedGradientException(
                $"Node {op.Node.Label}: its scales '{op.In(scale).Name}' belong to packed weights and are not differentiated. "
                + "Freeze them, or export the float model.");
        }
    }
}
