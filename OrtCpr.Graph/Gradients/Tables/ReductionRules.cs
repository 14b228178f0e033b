using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Reductions. <c>Wide</c> brings a reduced tensor back to a shape that broadcasts against the
/// input.</summary>
internal static class ReductionRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["ReduceSum"] = (g, op, dy) => [g.ExpandLike(Wide(g, op, dy), op.In(0))],
        ["ReduceMean"] = ReduceMean,
        ["ReduceSumSquare"] = (g, op, dy) => [Wide(g, op, dy) * (op.In(0) * 2)],
        ["ReduceL1"] = (g, op, dy) => [Wide(g, op, dy) * g.Sign(op.In(0))],
        ["ReduceL2"] = ReduceL2,
        ["ReduceLogSum"] = (g, op, dy) => [g.ExpandLike(Wide(g, op, dy / g.Exp(op.Out(0))), op.In(0))],
        ["ReduceLogSumExp"] = ReduceLogSumExp,
        ["ReduceProd"] = ReduceProd,
        ["ReduceMax"] = Extremum,
        ["ReduceMin"] = Extremum,
    };

    /// <summary>dx = dy·exp(x − y); 0 where nothing comes back, as for a row of −∞ that a Where replaced.</summary>
    private static Value?[] ReduceLogSumExp(GraphBuilder g, Forward op, Term dy)
    {
        Term back = Wide(g, op, dy);
        return [g.Where(g.Equal(back, 0), 0, back * g.Exp(op.In(0) - Wide(g, op, op.Out(0))))];
    }

    private static Term Wide(GraphBuilder g, Forward op, Term reduced)
    {
        Term x = op.In(0);
        if (op.Node.Int("keepdims", 1) != 0) return reduced;
        if (op.TryIn(1) is null || op.Constants(1) is { Length: 0 })
        {
            if (op.Node.Int("noop_with_empty_axes", 0) != 0) return reduced;
            if (x.Shape is not Shape s) return reduced;
            return g.Reshape(reduced, [.. Enumerable.Repeat(1L, s.Rank)]);
        }
        return g.Op("Unsqueeze", [reduced, op.In(1)]);
    }

    private static Value?[] ReduceMean(GraphBuilder g, Forward op, Term dy) =>
        [g.ExpandLike(Wide(g, op, dy / CountOf(g, op.In(0), dy)), op.In(0))];

    /// <summary>How many elements of <c>all</c> went into each of <c>reduced</c>, as a scalar of the latter's
    /// type.</summary>
    internal static Term CountOf(GraphBuilder g, Value all, Value reduced)
    {
        SymbolicInt? ratio = all.Shape?.ElementCount is SymbolicInt many && reduced.Shape?.ElementCount is SymbolicInt few
            && few.Constant != 0 ? many / few : null;
        return ratio?.Constant is long n ? g.Scalar(n, reduced.Type)
            : g.Cast(g.SizeOf(all), reduced.Type) / g.Cast(g.SizeOf(reduced), reduced.Type);
    }

    /// <summary>x / ‖x‖, and 0 where the norm is 0.</summary>
    private static Value?[] ReduceL2(GraphBuilder g, Forward op, Term dy)
    {
        Term norm = Wide(g, op, op.Out(0)), zero = g.Scalar(0, dy.Type);
        Term isZero = g.Equal(norm, zero);
        Term direction = op.In(0) / g.Where(isZero, 1, norm);
        return [Wide(g, op, dy) * direction];
    }

    /// <summary>Equal shares to all elements that are equal to the extremum (PyTorch's amax and amin).</summary>
    private static Value?[] Extremum(GraphBuilder g, Forward op, Term dy)
    {
        Term winners = g.Cast(g.Equal(op.In(0), Wide(g, op, op.Out(0))), dy.Type);
        Term count = Reduced(g, op, "ReduceSum", winners);
        return [winners * (Wide(g, op, dy) / count)];
    }

    /// <summary>The product of the others: y/x without zeros; with one zero it is that element's alone; with more it is
    /// 0 for all.</summary>
    private static Value?[] ReduceProd(GraphBuilder g, Forward op, Term dy)
    {
        Term isZero = g.Equal(op.In(0), 0), safe = g.Where(isZero, 1, op.In(0));
        Term zeros = Reduced(g, op, "ReduceSum", g.Cast(isZero, dy.Type)), product = Reduced(g, op, "ReduceProd", safe);
        return [Wide(g, op, dy) * OtherFactors(g, isZero, safe, zeros, product)];
    }

    /// <summary>From an element, its group's number of zeros and the product of what is not zero: the product of all
    /// but the element.</summary>
    internal static Term OtherFactors(GraphBuilder g, Value isZero, Term safe, Value zeros, Term product)
    {
        Term none = g.Scalar(0, safe.Type);
        Term wanted = g.Cast(isZero, safe.Type);
        return g.Where(g.Equal(zeros, wanted), product / safe, none);
    }

    /// <summary>The same reduction of another tensor, with the axes kept.</summary>
    private static Term Reduced(GraphBuilder g, Forward op, string reduction, Value value)
    {
        Value?[] inputs = [value, op.TryIn(1)];
        return g.Op(reduction, inputs, ("keepdims", 1), ("noop_with_empty_axes", op.Node.Int("noop_with_empty_axes", 0)));
    }
}
