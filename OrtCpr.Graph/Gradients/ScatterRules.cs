using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

// Writes at integer indices, with every reduction. ScatterElements and ScatterND differ only in how a tensor is read at the indices.
internal static class ScatterRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["ScatterElements"] = Scatter,
        ["ScatterND"] = Scatter,
        ["TensorScatter"] = TensorScatter,
    };

    private static Value?[] Scatter(GraphBuilder g, Forward op, Value dy) => op.Node.Text("reduction", "none") switch
    {
        "none" => [Written(g, op, dy, Zeros(g, op), "none"), null, Read(g, op, dy)],
        "add" => [dy, null, Read(g, op, dy)],
        "mul" => Factors(g, op, dy),
        _ => Extremum(g, op, dy),
    };

    private static Value Zeros(GraphBuilder g, Forward op) => g.Filled(0, op.In(2));

    private static Value Read(GraphBuilder g, Forward op, Value from) => GraphBuilder.Typed(
        op.Node.OpType == "ScatterND" ? g.Op("GatherND", [from, op.In(1)]) : g.Op("GatherElements", [from, op.In(1)], ("axis", op.Node.Int("axis", 0))),
        from.Type, op.In(2).Shape);

    private static Value Written(GraphBuilder g, Forward op, Value data, Value updates, string reduction)
    {
        (string, object) how = ("reduction", reduction);
        Value?[] inputs = [data, op.In(1), updates];
        return GraphBuilder.Like(op.Node.OpType == "ScatterND" ? g.Op("ScatterND", inputs, how) : g.Op("ScatterElements", inputs, ("axis", op.Node.Int("axis", 0)), how), data);
    }

    // Each factor of an element gets dy times the product of the others, exact with zeros among them.
    private static Value?[] Factors(GraphBuilder g, Forward op, Value dy)
    {
        Value zero = g.Scalar(0, dy.Type), one = g.Scalar(1, dy.Type), data = op.In(0), updates = op.In(2);
        Value dataZero = g.Equal(data, zero), updateZero = g.Equal(updates, zero);
        Value dataSafe = g.Where(dataZero, one, data), updateSafe = g.Where(updateZero, one, updates);
        Value zeros = Written(g, op, g.Cast(dataZero, dy.Type), g.Cast(updateZero, dy.Type), "add");
        Value product = Written(g, op, dataSafe, updateSafe, "mul");
        Value dData = g.Mul(dy, ReductionRules.OtherFactors(g, dataZero, dataSafe, zeros, product));
        Value others = ReductionRules.OtherFactors(g, updateZero, updateSafe, Read(g, op, zeros), Read(g, op, product));
        return [dData, null, g.Mul(Read(g, op, dy), others)];
    }

    // Equal shares to all that are equal to the result, the data included.
    private static Value?[] Extremum(GraphBuilder g, Forward op, Value dy)
    {
        Value y = op.Out(0);
        Value dataWins = g.Cast(g.Equal(op.In(0), y), dy.Type), updateWins = g.Cast(g.Equal(op.In(2), Read(g, op, y)), dy.Type);
        Value share = g.Div(dy, Written(g, op, dataWins, updateWins, "add"));
        return [g.Mul(share, dataWins), null, g.Mul(Read(g, op, share), updateWins)];
    }

    // The update goes to positions write_indices[b] + 0, 1 … of the axis, around the end where the mode is circular.
    private static Value?[] TensorScatter(GraphBuilder g, Forward op, Value dy)
    {
        Value cache = op.In(0), update = op.In(1);
        int rank = op.Rank(0), axis = op.Axis("axis", -2);
        Value Along(int where, Value vector) => g.Reshape(vector, [.. Enumerable.Range(0, rank).Select(i => i == where ? -1L : 1)]);
        Value at = Along(axis, g.Positions(g.DimOf(update, axis)));
        if (op.TryIn(2) is Value starts) at = g.Add(Along(0, g.Cast(starts, ElementType.Int64)), at);
        if (op.Node.Text("mode", "linear") == "circular") at = g.Op("Mod", [at, g.DimOf(cache, axis)]);
        Value index = g.Op("Expand", [at, g.ShapeOf(update)]);
        Value kept = g.Op("ScatterElements", [dy, index, g.Filled(0, update)], ("axis", axis));
        return [kept, GraphBuilder.Like(g.Op("GatherElements", [dy, index], ("axis", axis)), update)];
    }
}
