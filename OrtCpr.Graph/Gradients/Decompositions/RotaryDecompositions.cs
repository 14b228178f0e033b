using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Rotary position embeddings: pairs of elements are rotated by an angle that grows with the
/// position.</summary>
internal static class RotaryDecompositions
{
    public static readonly IReadOnlyDictionary<string, Decomposition> Table = new Dictionary<string, Decomposition>(StringComparer.Ordinal)
    {
        ["RotaryEmbedding"] = (g, n) => [Embedding(g, n, n.In(3), n.Inputs[1]!, n.Inputs[2]!, 1)],
        ["com.microsoft.RotaryEmbedding"] = (g, n) => [Embedding(g, n, n.In(1), n.Inputs[2]!, n.Inputs[3]!, n.Float("scale", 1))],
        ["com.microsoft.MRotaryEmbedding"] = (g, n) => [Embedding(g, n, null, OfThree(g, n, n.Inputs[2]!), OfThree(g, n, n.Inputs[3]!), 1)],
    };

    /// <summary>x is [batch, heads, positions, width], or [batch, positions, heads·width].</summary>
    private static Term Embedding(GraphBuilder g, Node node, Value? positions, Value cos, Value sin, float scale)
    {
        Term x = g.In(node, 0);
        int rank = x.Shape?.Rank
            ?? throw new UnsupportedGradientException(
                $"The rank of '{x.Name}', input of node {node.Label}, is unknown. "
                + "Give the model's inputs a known rank and export it again.");
        bool interleaved = node.Int("interleaved", 0) != 0;
        long rotated = node.Int("rotary_embedding_dim", 0), heads = node.Int("num_heads", 0);
        if (rank == 3)
        {
            // com.microsoft takes the width of a head from the tables when the number of heads is not given.
            Term width = heads > 0 ? g.Ints(-1) : rotated > 0 ? g.Ints(rotated) : g.DimOf(cos, -1) * g.Ints(2);
            x = g.Reshape(x, g.Concat(0, g.DimOf(x, 0), g.DimOf(x, 1), heads > 0 ? g.Ints(heads) : g.Ints(-1), width));
        }
        int positionAxis = rank == 3 ? 1 : 2;
        Value? rest = null;
        if (rotated > 0)
        {
            rest = g.Op("Slice", [x, g.Ints(rotated), g.Ints(long.MaxValue), g.Ints(-1)]);
            x = g.Slice(x, [0], [rotated], [-1]);
        }
        Term y = Rotate(g, x, positions, cos, sin, interleaved, positionAxis);
        if (rest is not null) y = g.Concat(-1, y, rest);
        if (scale != 1) y = y * scale;
        return rank == 3 ? g.Reshape(y, g.Concat(0, g.DimOf(y, 0), g.DimOf(y, 1), g.Ints(-1))) : y;
    }

    /// <summary>(a, b) → (a·cos - b·sin, a·sin + b·cos) for pairs of the last axis: neighbours when interleaved, else
    /// the two halves.</summary>
    public static Term Rotate(GraphBuilder g, Value x, Value? positions, Value cos, Value sin, bool interleaved, int positionAxis)
    {
        Term c = Angles(g, cos, positions, x, positionAxis), s = Angles(g, sin, positions, x, positionAxis);
        Term a, b;
        if (interleaved)
        {
            Term pairs = g.Reshape(x, g.Concat(0, g.DimOf(x, 0), g.DimOf(x, 1), g.DimOf(x, 2), g.Ints(-1, 2)));
            (a, b) = (g.Gather(pairs, g.Int(0), -1), g.Gather(pairs, g.Int(1), -1));
        }
        else
        {
            Term[] halves = g.Ops("Split", 2, [x], ("axis", -1), ("num_outputs", 2));
            (a, b) = (halves[0], halves[1]);
        }
        Term first = a * c - b * s, second = a * s + b * c;
        return interleaved ? g.ReshapeLike(g.Concat(-1, g.Unsqueeze(first, -1), g.Unsqueeze(second, -1)), x) : g.Concat(-1, first, second);
    }

    /// <summary>As Rotate for [·, ·, ·, width] with a table for fewer than width / 2 pairs: the elements after them
    /// stay.</summary>
    public static Term RotateFirst(GraphBuilder g, Value x, Value? positions, Value cos, Value sin, bool interleaved, int positionAxis)
    {
        if (x.Shape?[3].Known is long width && cos.Shape?[1].Known * 2 == width)
            return Rotate(g, x, positions, cos, sin, interleaved, positionAxis);
        Term rotated = g.DimOf(cos, 1) * g.Ints(2);
        Term first = g.Op("Slice", [x, g.Ints(0), rotated, g.Ints(-1)]);
        Term rest = g.Op("Slice", [x, rotated, g.Ints(long.MaxValue), g.Ints(-1)]);
        return g.Concat(-1, Rotate(g, first, positions, cos, sin, interleaved, positionAxis), rest);
    }

    /// <summary>A token has three positions, each for a section of the table's columns: the sections one after the
    /// other, or interleaved (every third column from 1 and from 2 on for the second and the third as far as they
    /// reach, the others for the first).</summary>
    private static Term OfThree(GraphBuilder g, Node node, Value table)
    {
        long[] sections = node.Ints("mrope_section")!;
        bool interleaved = node.Int("mrope_layout", 0) != 0;
        bool In(int section, long column) => interleaved ? column % 3 == section && column < 3 * sections[section]
            : column >= sections.Take(section).Sum() && column < sections.Take(section + 1).Sum();
        Term Columns(int section) =>
            g.Constant(TensorData.From<bool>([.. Enumerable.Range(0, (int)sections.Sum()).Select(c => In(section, c))], sections.Sum()));
        Term Rows(int section) => g.Gather(table, g.Gather(node.Inputs[1]!, g.Int(section)));
        return g.Where(Columns(1), Rows(1), g.Where(Columns(2), Rows(2), Rows(0)));
    }

    /// <summary>Rows of a table for the positions, with an axis for the heads: [batch or 1, positions, 1, half], or
    /// heads in front of the positions. One position for a whole batch is the first of its row; without positions the
    /// table has one row a position of the batch already, or starts at 0.</summary>
    private static Term Angles(GraphBuilder g, Value table, Value? positions, Value x, int positionAxis)
    {
        Term length = g.DimOf(x, positionAxis);
        Term rows = g.Term(table);
        if (positions is { Shape.Rank: <= 1 })
        {
            Term count = g.Op("Range", [g.Int(0), g.Squeeze(length, 0), g.Int(1)]);
            rows = g.Gather(table, g.Unsqueeze(count, 0) + g.Cast(g.Reshape(positions, -1, 1), ElementType.Int64));
        }
        else if (positions is not null)
        {
            rows = g.Gather(table, positions);
        }
        else if (table.Shape is { Rank: 2 })
        {
            rows = g.Unsqueeze(g.Op("Slice", [table, g.Ints(0), length]), 0);
        }
        return g.Unsqueeze(rows, positionAxis == 1 ? 2 : 1);
    }
}
