using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Writes at integer indices, with every reduction. ScatterElements and ScatterND differ only in how a tensor
/// is read at the indices.</summary>
internal static class ScatterRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["ScatterElements"] = Scatter,
        ["ScatterND"] = Scatter,
        ["TensorScatter"] = TensorScatter,
    };

    private static Value?[] Scatter(GraphBuilder g, Forward op, Term dy) => op.Node.Text("reduction", "none") switch
    {
        "none" => [Written(g, op, dy, Zeros(g, op), "none"), null, Read(g, op, dy)],
        "add" => [dy, null, Read(g, op, dy)],
        "mul" => Factors(g, op, dy),
        _ => Extremum(g, op, dy),
    };

    private static Term Zeros(GraphBuilder g, Forward op) => g.Filled(0, op.In(2));

    private static Term Read(GraphBuilder g, Forward op, Value from) => (op.Node.OpType == "ScatterND"
        ? g.Op("GatherND", [from, op.In(1)])
        : g.Op("GatherElements", [from, op.In(1)], ("axis", op.Node.Int("axis", 0)))).Typed(from.Type, op.In(2).Shape);

    private static Term Written(GraphBuilder g, Forward op, Value data, Value updates, string reduction)
    {
        (string, object) how = ("reduction", reduction);
        Value?[] inputs = [data, op.In(1), updates];
        Term written = op.Node.OpType == "ScatterND"
            ? g.Op("ScatterND", inputs, how)
            : g.Op("ScatterElements", inputs, ("axis", op.Node.Int("axis", 0)), how);
        return written.Like(data);
    }

    /// <summary>Each factor of an element gets dy times the product of the others, exact with zeros among
    /// them.</summary>
    private static Value?[] Factors(GraphBuilder g, Forward op, Term dy)
    {
        Term zero = g.Scalar(0, dy.Type), one = g.Scalar(1, dy.Type), data = op.In(0), updates = op.In(2);
        Term dataZero = g.Equal(data, zero), updateZero = g.Equal(updates, zero);
        Term dataSafe = g.Where(dataZero, one, data), updateSafe = g.Where(updateZero, one, updates);
        Term zeros = Written(g, op, g.Cast(dataZero, dy.Type), g.Cast(updateZero, dy.Type), "add");
        Term product = Written(g, op, dataSafe, updateSafe, "mul");
        Term dData = dy * ReductionRules.OtherFactors(g, dataZero, dataSafe, zeros, product);
        Term others = ReductionRules.OtherFactors(g, updateZero, updateSafe, Read(g, op, zeros), Read(g, op, product));
        return [dData, null, Read(g, op, dy) * others];
    }

    /// <summary>Equal shares to all that are equal to the result, the data included.</summary>
    private static Value?[] Extremum(GraphBuilder g, Forward op, Term dy)
    {
        Term y = op.Out(0);
        Term dataWins = g.Cast(g.Equal(op.In(0), y), dy.Type), updateWins = g.Cast(g.Equal(op.In(2), Read(g, op, y)), dy.Type);
        Term share = dy / Written(g, op, dataWins, updateWins, "add");
        return [share * dataWins, null, Read(g, op, share) * updateWins];
    }

    /// <summary>The update goes to positions write_indices[b] + 0, 1 … of the axis, around the end where the mode is
    /// circular.</summary>
    private static Value?[] TensorScatter(GraphBuilder g, Forward op, Term dy)
    {
        Term cache = op.In(0), update = op.In(1);
        int rank = op.Rank(0), axis = op.Axis("axis", -2);
        Term Along(int where, Value vector) => g.Reshape(vector, [.. Enumerable.Range(0, rank).Select(i => i == where ? -1L : 1)]);
        Term at = Along(axis, g.Positions(g.DimOf(update, axis)));
        if (op.TryIn(2) is Value starts) at = Along(0, g.Cast(starts, ElementType.Int64)) + at;
        if (op.Node.Text("mode", "linear") == "circular") at = g.Op("Mod", [at, g.DimOf(cache, axis)]);
        Term index = g.Op("Expand", [at, g.ShapeOf(update)]);
        Term kept = g.Op("ScatterElements", [dy, index, g.Filled(0, update)], ("axis", axis));
        return [kept, g.Op("GatherElements", [dy, index], ("axis", axis)).Like(update)];
    }
}
