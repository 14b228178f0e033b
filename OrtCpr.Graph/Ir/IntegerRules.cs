namespace OrtCpr.Graph.Ir;

/// <summary>Values of small integer tensors (rank 0 and 1) in terms of symbolic dimensions: what exporters compute
/// between Shape and Reshape. One row an operator; a row returns null where nothing is known, and null elements where
/// only some are.</summary>
internal static class IntegerRules
{
    private const int MaxElements = 256;

    private delegate SymbolicInt?[]? Rule(Node node, ShapeInference known);

    private static readonly Dictionary<string, Rule> Table = new(StringComparer.Ordinal)
    {
        ["Shape"] = ShapeOf,
        ["Size"] = (n, k) => n.In(0)?.Shape?.ElementCount is SymbolicInt count ? [count] : null,
        ["Identity"] = (n, k) => k.Integers(n.In(0)),
        ["Cast"] = Cast,
        ["Unsqueeze"] = (n, k) => k.Integers(n.In(0)),
        ["Squeeze"] = (n, k) => k.Integers(n.In(0)),
        ["Reshape"] = (n, k) => k.Integers(n.In(0)),
        ["Flatten"] = (n, k) => k.Integers(n.In(0)),
        ["Gather"] = Gather,
        ["Slice"] = Slice,
        ["Concat"] = Concat,
        ["Add"] = (n, k) => Pairwise(n, k, (a, b) => a + b),
        ["Sub"] = (n, k) => Pairwise(n, k, (a, b) => a - b),
        ["Mul"] = (n, k) => Pairwise(n, k, (a, b) => a * b),
        ["Div"] = (n, k) => Pairwise(n, k, (a, b) => b.Constant == 0 ? null : a / b),
        ["Max"] = (n, k) => Pairwise(n, k, (a, b) => Pick(a, b, Math.Max)),
        ["Min"] = (n, k) => Pairwise(n, k, (a, b) => Pick(a, b, Math.Min)),
        ["Neg"] = (n, k) => k.Integers(n.In(0))?.Select(x => x is null ? null : SymbolicInt.Zero - x).ToArray(),
        ["Equal"] = (n, k) => Pairwise(n, k, SurelyEqual),
        ["Less"] = (n, k) => Pairwise(n, k, (a, b) => Compared(a, b, (x, y) => x < y)),
        ["LessOrEqual"] = (n, k) => Pairwise(n, k, (a, b) => Compared(a, b, (x, y) => x <= y)),
        ["Greater"] = (n, k) => Pairwise(n, k, (a, b) => Compared(a, b, (x, y) => x > y)),
        ["GreaterOrEqual"] = (n, k) => Pairwise(n, k, (a, b) => Compared(a, b, (x, y) => x >= y)),
        ["And"] = (n, k) => Pairwise(n, k, (a, b) => a.Constant == 0 || b.Constant == 0 ? SymbolicInt.Zero : Pick(a, b, (x, y) => x & y)),
        ["Or"] = (n, k) => Pairwise(n, k, (a, b) => a.Constant == 1 || b.Constant == 1 ? SymbolicInt.One : Pick(a, b, (x, y) => x | y)),
        ["Xor"] = (n, k) => Pairwise(n, k, (a, b) => Compared(a, b, (x, y) => x != y)),
        ["Not"] = (n, k) => k.Integers(n.In(0))?.Select(x => x?.Constant is long c ? SymbolicInt.Of(1 - c) : null).ToArray(),
        ["Where"] = Where,
        ["ConstantOfShape"] = ConstantOfShape,
        ["Expand"] = (n, k) => Fill(k.Integers(n.In(0)), k.Integers(n.In(1))),
        ["ReduceProd"] = (n, k) => ReduceProd(k.Integers(n.In(0))),
        ["Range"] = Range,
    };

    /// <summary>The elements of the first output, when the operator is known and its result is small.</summary>
    public static SymbolicInt?[]? Evaluate(Node node, ShapeInference known)
    {
        if (node.Domain.Length != 0 || !Table.TryGetValue(node.OpType, out Rule? rule)) return null;
        SymbolicInt?[]? result = rule(node, known);
        return result is { Length: <= MaxElements } ? result : null;
    }

    private static SymbolicInt?[]? ShapeOf(Node node, ShapeInference known)
    {
        if (node.In(0)?.Shape is not Shape shape) return null;
        int start = Clamp(node.Int("start", 0), shape.Rank);
        int end = Clamp(node.Int("end", shape.Rank), shape.Rank);
        return [.. shape.Skip(start).Take(Math.Max(0, end - start)).Select(d => d.Size)];
    }

    private static int Clamp(long index, int rank) => (int)Math.Clamp(index < 0 ? index + rank : index, 0, rank);

    private static SymbolicInt?[]? Gather(Node node, ShapeInference known)
    {
        if (known.Integers(node.In(0)) is not { } data || known.Integers(node.In(1)) is not { } indices) return null;
        var result = new SymbolicInt?[indices.Length];
        for (int i = 0; i < indices.Length; i++)
        {
            if (indices[i]?.Constant is not long at) return null;
            if (at < 0) at += data.Length;
            if (at < 0 || at >= data.Length) return null;
            result[i] = data[at];
        }
        return result;
    }

    private static SymbolicInt?[]? Slice(Node node, ShapeInference known)
    {
        if (known.Integers(node.In(0)) is not { } data) return null;
        if (One(known, node.In(1)) is not long start || One(known, node.In(2)) is not long end) return null;
        long step = node.In(4) is null ? 1 : One(known, node.In(4)) ?? 0;
        if (step != 1) return null;
        start = Clamp(start, data.Length);
        end = Clamp(Math.Min(end, data.Length), data.Length);
        return [.. data.Skip((int)start).Take((int)Math.Max(0, end - start))];
    }

    private static long? One(ShapeInference known, Value? value) =>
        known.Integers(value) is [SymbolicInt single] ? single.Constant : null;

    private static SymbolicInt?[]? Concat(Node node, ShapeInference known)
    {
        var all = new List<SymbolicInt?>();
        foreach (Value? input in node.Inputs)
        {
            if (known.Integers(input) is { } part) all.AddRange(part);
            else if (input?.Shape is { Rank: 1 } shape && shape[0].Known is long n and <= MaxElements) all.AddRange(new SymbolicInt?[n]);
            else return null;
        }
        return [.. all];
    }

    private static SymbolicInt?[]? Pairwise(Node node, ShapeInference known, Func<SymbolicInt, SymbolicInt, SymbolicInt?> f)
    {
        if (node.Inputs.Count != 2 || known.Integers(node.In(0)) is not { } a || known.Integers(node.In(1)) is not { } b) return null;
        if (a.Length != b.Length && a.Length != 1 && b.Length != 1) return null;
        int n = a.Length == 1 ? b.Length : a.Length;
        var result = new SymbolicInt?[n];
        for (int i = 0; i < n; i++)
        {
            SymbolicInt? x = a[a.Length == 1 ? 0 : i], y = b[b.Length == 1 ? 0 : i];
            result[i] = x is null || y is null ? null : f(x, y);
        }
        return result;
    }

    /// <summary>Numbers and truth values among integers; a truth value is 0 or 1.</summary>
    private static SymbolicInt?[]? Cast(Node node, ShapeInference known)
    {
        if (known.Integers(node.In(0)) is not { } data) return null;
        return (ElementType)node.Int("to", 0) switch
        {
            ElementType.Int64 or ElementType.Int32 => data,
            ElementType.Bool => [.. data.Select(x => x is null ? null : x.Constant is long c ? SymbolicInt.Of(c == 0 ? 0 : 1)
                : x.IsPositive ? SymbolicInt.One : null)],
            _ => null,
        };
    }

    private static SymbolicInt? Compared(SymbolicInt a, SymbolicInt b, Func<long, long, bool> holds) =>
        a.Constant is long x && b.Constant is long y ? SymbolicInt.Of(holds(x, y) ? 1 : 0) : null;

    private static SymbolicInt? Pick(SymbolicInt a, SymbolicInt b, Func<long, long, long> f) =>
        a.Equals(b) ? a : a.Constant is long x && b.Constant is long y ? SymbolicInt.Of(f(x, y)) : null;

    /// <summary>A dimension is never negative, so a positive expression differs from the exporters' -1 and 0 for
    /// sure.</summary>
    private static SymbolicInt? SurelyEqual(SymbolicInt a, SymbolicInt b)
    {
        if (a.Equals(b)) return SymbolicInt.One;
        if (a.Constant is not null && b.Constant is not null) return SymbolicInt.Zero;
        return (a.IsPositive && b.Constant is <= 0) || (b.IsPositive && a.Constant is <= 0) ? SymbolicInt.Zero : null;
    }

    private static SymbolicInt?[]? Where(Node node, ShapeInference known)
    {
        if (known.Integers(node.In(0)) is not { } c || known.Integers(node.In(1)) is not { } a || known.Integers(node.In(2)) is not { } b)
            return null;
        int n = Math.Max(c.Length, Math.Max(a.Length, b.Length));
        if (new[] { c, a, b }.Any(v => v.Length != n && v.Length != 1)) return null;
        var result = new SymbolicInt?[n];
        for (int i = 0; i < n; i++)
        {
            SymbolicInt? x = a[a.Length == 1 ? 0 : i], y = b[b.Length == 1 ? 0 : i];
            result[i] = c[c.Length == 1 ? 0 : i]?.Constant switch { null => x is not null && x.Equals(y) ? x : null, 0 => y, _ => x };
        }
        return result;
    }

    private static SymbolicInt?[]? ConstantOfShape(Node node, ShapeInference known)
    {
        TensorData? fill = node.Tensor("value");
        if (fill is not { Type: ElementType.Int64 or ElementType.Int32 }) return null;
        return Fill([SymbolicInt.Of(fill.ToInt64s()[0])], known.Integers(node.In(0)));
    }

    private static SymbolicInt?[]? Fill(SymbolicInt?[]? value, SymbolicInt?[]? shape)
    {
        if (value is null || shape is null) return null;
        if (shape.Length == 0) return value;
        if (shape.Length != 1 || shape[0]?.Constant is not long n || n > MaxElements) return null;
        return value.Length == 1 ? [.. Enumerable.Repeat(value[0], (int)n)] : value.Length == n || n == 1 ? value : null;
    }

    private static SymbolicInt?[]? ReduceProd(SymbolicInt?[]? values)
    {
        if (values is null || values.Any(v => v is null)) return null;
        return [values.Aggregate(SymbolicInt.One, (p, v) => p * v!)];
    }

    private static SymbolicInt?[]? Range(Node node, ShapeInference known)
    {
        if (One(known, node.In(0)) is not long start || One(known, node.In(1)) is not long limit || One(known, node.In(2)) is not long delta
            || delta == 0)
        {
            return null;
        }
        // In more bits than the operands have: a file may hold any number.
        Int128 n = Int128.Max(0, ((Int128)limit - start + delta - Math.Sign(delta)) / delta);
        return n > MaxElements ? null : [.. Enumerable.Range(0, (int)n).Select(i => SymbolicInt.Of(start + (i * delta)))];
    }
}
