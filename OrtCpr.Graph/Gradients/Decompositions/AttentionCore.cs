using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>softmax(q·kᵀ·scale, capped and masked)·v for operands [batch, heads, positions, width]. Masks are given
/// first, then Result writes the operators.</summary>
internal sealed class AttentionCore
{
    private readonly GraphBuilder _g;
    private readonly Term _v;
    private readonly List<Value> _added = [];
    private readonly List<(Value Keep, double? Filter)> _kept = [];
    private readonly Value?[] _stages = new Value?[4];

    public AttentionCore(GraphBuilder g, Term q, Term k, Term v)
    {
        _g = g;
        Q = q;
        Keys = Repeated(k);
        _v = Repeated(v);
        KeyPositions = g.Unsqueeze(g.Positions(g.DimOf(Keys, 2)), 0, 1, 2);
        QueryPositions = g.Unsqueeze(g.Positions(g.DimOf(q, 2)), 0, 1, 3);
    }

    public Term Q { get; }

    public Term Keys { get; }

    /// <summary>0, 1 … as [1,1,1,keys] and [1,1,queries,1]; moved by the past when there is one.</summary>
    public Term KeyPositions { get; }

    public Term QueryPositions { get; private set; }

    /// <summary>Null for 1/√width.</summary>
    public float? Scale { get; init; }

    /// <summary>0 for none: c·tanh(x / c).</summary>
    public float SoftCap { get; init; }

    /// <summary>The scores: as they come from the product, capped, masked, and normalised. The kernels cap first, so
    /// that a mask stays minus infinity.</summary>
    public IReadOnlyList<Value?> Stages => _stages;

    /// <summary>What the kernels put for minus infinity, so that a row without any key stays finite.</summary>
    public static double Lowest(ElementType type) => type == ElementType.Double ? double.MinValue : float.MinValue;

    /// <summary>A boolean mask keeps, a floating one is added. Broadcast from the right.</summary>
    public void Mask(Value mask)
    {
        if (mask.Type == ElementType.Bool) Keep(mask);
        else _added.Add(mask);
    }

    public void Keep(Value keep) => _kept.Add((keep, null));

    /// <summary>As Keep, but what is not kept gets a number added.</summary>
    public void Filter(Value keep, double filter) => _kept.Add((keep, filter));

    /// <summary>A query sees the past, and the keys up to its own position.</summary>
    public void Causal(Value? past)
    {
        if (past is not null) QueryPositions = QueryPositions + past;
        Keep(KeyPositions <= QueryPositions);
    }

    public Term Result()
    {
        Term scores = Scaled(_g.MatMul(Q, Keys, false, true));
        _stages[0] = scores;
        _stages[1] = scores = Capped(scores);
        scores = _added.Aggregate(scores, (sum, mask) => sum + mask);
        foreach ((Value keep, double? filter) in _kept)
        {
            Term other = _g.Scalar(filter ?? Lowest(scores.Type), scores.Type);
            scores = filter is null ? _g.Where(keep, scores, other) : scores + _g.Where(keep, 0, other);
        }
        _stages[2] = scores;
        _stages[3] = _g.Softmax(scores, -1);
        return _g.MatMul(_stages[3]!, _v);
    }

    private Term Capped(Term scores) => SoftCap > 0 ? _g.Tanh(scores / SoftCap) * SoftCap : scores;

    private Term Scaled(Term scores)
    {
        if (Scale is float scale) return scores * scale;
        return Q.Shape?[3].Known is long width ? scores / Math.Sqrt(width)
            : scores / _g.Sqrt(_g.Cast(_g.Squeeze(_g.DimOf(Q, 3), 0), scores.Type));
    }

    /// <summary>Keys and values of fewer heads than the queries serve several of them in a row.</summary>
    private Term Repeated(Term x)
    {
        if (Q.Shape is Shape q && x.Shape is Shape s && q[1].SurelyEquals(s[1])) return x;
        Term heads = _g.DimOf(Q, 1), each = heads / _g.DimOf(x, 1);
        Term wide = _g.Op("Expand", [_g.Unsqueeze(x, 2), _g.Concat(0, _g.Ints(1, 1), each, _g.Ints(1, 1))]);
        return _g.Reshape(wide, _g.Concat(0, _g.DimOf(x, 0), heads, _g.DimOf(x, 2), _g.DimOf(x, 3)));
    }
}
