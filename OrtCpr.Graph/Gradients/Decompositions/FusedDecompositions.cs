using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Operators that an optimizer fused out of others, taken apart again.</summary>
internal static class FusedDecompositions
{
    public static readonly IReadOnlyDictionary<string, Decomposition> Table = new Dictionary<string, Decomposition>(StringComparer.Ordinal)
    {
        ["com.microsoft.SkipLayerNormalization"] = SkipLayerNormalization,
        ["com.microsoft.SkipSimplifiedLayerNormalization"] = SkipLayerNormalization,
        ["com.microsoft.EmbedLayerNormalization"] = EmbedLayerNormalization,
        ["com.microsoft.WordConvEmbedding"] = WordConvEmbedding,
    };

    /// <summary>sum = input + skip (+ bias), y = normalised sum. The sum is output 3; outputs 1 and 2 are the
    /// statistics.</summary>
    private static Value?[] SkipLayerNormalization(GraphBuilder g, Node node)
    {
        bool simplified = node.OpType.Contains("Simplified", StringComparison.Ordinal);
        Value? gamma = node.In(2), beta = simplified ? null : node.In(3), bias = node.In(simplified ? 3 : 4);
        Term sum = g.In(node, 0) + node.Inputs[1]!;
        if (bias is not null) sum = sum + bias;
        (string, object)[] attributes = [("axis", -1), ("epsilon", node.Float("epsilon", 1e-12f))];
        Term[] y = simplified ? g.Ops("SimplifiedLayerNormalization", 2, [sum, gamma], attributes)
            : g.Ops("LayerNormalization", 3, [sum, gamma, beta], attributes);
        return simplified ? [y[0], node.Outputs.Count > 1 && node.Outputs[1] is not null ? g.ReduceMean(sum, true, -1) : null, y[1], sum]
            : [y[0], y[1], y[2], sum];
    }

    /// <summary>Rows of the tables, summed and normalised. mask_index counts the tokens that the mask keeps;
    /// embedding_sum is output 2.</summary>
    private static Value?[] EmbedLayerNormalization(GraphBuilder g, Node node)
    {
        Term ids = g.In(node, 0);
        Value? segments = node.In(1), segmentTable = node.In(4), mask = node.In(7), positions = node.In(8);
        positions ??= g.Unsqueeze(g.Op("Range", [g.Int(0), g.Squeeze(g.DimOf(ids, 1), 0), g.Int(1)]), 0);
        Term sum = g.Gather(node.Inputs[2]!, ids) + g.Gather(node.Inputs[3]!, positions);
        if (segments is not null) sum = sum + g.Gather(segmentTable!, segments);
        Term y = g.Op("LayerNormalization", [sum, node.In(5), node.In(6)], ("axis", -1), ("epsilon", node.Float("epsilon", 1e-12f)));
        Term lengths = mask is null ? g.Cast(g.Filled(0, g.Gather(ids, g.Int(0), 1)), ElementType.Int32) : g.ReduceSum(mask, false, 1);
        return [y, lengths, sum];
    }

    /// <summary>y[word, filter] = max over the windows t of tanh(conv(rows of C for the word's characters))[t]. 0 fills
    /// a word up; a word shorter than the window has one window. The kernel leaves the rows of words that start with 0
    /// as they were in memory: they are zeros here.</summary>
    private static Value?[] WordConvEmbedding(GraphBuilder g, Node node)
    {
        Term words = g.In(node, 0), filters = g.In(node, 1);
        Term conv = g.Op("Conv", [g.Unsqueeze(g.Gather(node.Inputs[3]!, words), 1), filters, node.Inputs[2]!]);
        conv.Shape ??= new Shape(Enumerable.Repeat(Dim.Unknown, 4));
        Term y = g.Tanh(g.Squeeze(conv, 3)), used = g.Cast(words > 0, ElementType.Int64);
        Term last = g.Max(g.ReduceSum(used, true, 1) - g.DimOf(filters, 2), g.Ints(0));
        // Below every tanh, so that no window after the word is the largest.
        Term kept = g.Where(g.Unsqueeze(g.Positions(g.DimOf(conv, 2)), 0, 1) <= g.Unsqueeze(last, 2), y, -2);
        Term given = g.Cast(g.Slice(used, [0], [1], [1]), ElementType.Bool);
        return [g.Where(given, g.Reduce("ReduceMax", kept, false, 2), 0)];
    }
}
