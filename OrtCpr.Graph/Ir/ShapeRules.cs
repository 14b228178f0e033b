namespace OrtCpr.Graph.Ir;

/// <summary>Output shapes and types of the operators that matter to symbols: what exporters put between Shape and
/// Reshape, what lies on the way of activations, and everything the builder emits. An operator without a row keeps what
/// ONNX Runtime inferred.</summary>
internal static class ShapeRules
{
    private delegate Shape?[]? Rule(Node node, ShapeInference known);

    private static readonly Dictionary<string, Rule> Table = BuildTable();

    public static Shape?[]? Infer(Node node, ShapeInference known) =>
        node.Domain is "" or "com.microsoft" && Table.TryGetValue(node.OpType, out Rule? rule) ? rule(node, known) : null;

    /// <summary>Element type of the outputs when the operator says so; the first input's otherwise.</summary>
    public static ElementType TypeOf(Node node)
    {
        if (node.Has(Trait.GivesBooleans)) return ElementType.Bool;
        if (node.Has(Trait.GivesIntegers)) return ElementType.Int64;
        if (node.Has(Trait.GivesNoTensor)) return ElementType.Undefined;
        if (node.Domain.Length == 0)
        {
            switch (node.OpType)
            {
                case "Cast": return (ElementType)node.Int("to", 0);
                case "CastLike" or "Where": return node.In(1)?.Type ?? ElementType.Undefined;
                case "OneHot": return node.In(2)?.Type ?? ElementType.Undefined;
                case "ConstantOfShape": return node.Tensor("value")?.Type ?? ElementType.Float;
                default: break;
            }
        }
        return node.Domain is "" or "com.microsoft" ? node.In(0)?.Type ?? ElementType.Undefined : ElementType.Undefined;
    }

    public static ElementType TypeOfOutput(Node node, int index, ElementType type) =>
        node.OpType != "SequenceMap" && node.Subgraphs.FirstOrDefault() is OnnxGraph body
        ? body.Outputs[node.Is("Loop") ? index + 1 : index].Type :
        index == 1 && node.Domain.Length == 0 && node.OpType is "MaxPool" or "TopK" ? ElementType.Int64
        : index == 1 && node.Is("Dropout") ? ElementType.Bool : type;

    private static Dictionary<string, Rule> BuildTable()
    {
        var table = new Dictionary<string, Rule>(StringComparer.Ordinal)
        {
            ["Shape"] = (n, k) =>
                n.In(0)?.Shape is Shape s && !n.Has("start") && !n.Has("end") ? [Shape.Of(s.Rank)] : IntegerRules.Evaluate(n, k) is { } v
                ? [Shape.Of(v.Length)] : null,
            ["Size"] = (n, k) => [Shape.Scalar],
            ["Det"] = (n, k) => n.In(0)?.Shape is Shape s && s.Rank >= 2 ? [new Shape(s.Take(s.Rank - 2))] : null,
            ["MatMul"] = (n, k) => [MatMul(n.In(0)?.Shape, n.In(1)?.Shape, false, false)],
            ["FusedMatMul"] = (n, k) =>
                n.Int("transBatchA", 0) != 0 || n.Int("transBatchB", 0) != 0 ? null
                : [MatMul(n.In(0)?.Shape, n.In(1)?.Shape, n.Int("transA", 0) != 0, n.Int("transB", 0) != 0)],
            ["Gemm"] = (n, k) =>
                n.In(0)?.Shape is not { Rank: 2 } || n.In(1)?.Shape is not { Rank: 2 } ? null
                : [MatMul(n.In(0)?.Shape, n.In(1)?.Shape, n.Int("transA", 0) != 0, n.Int("transB", 0) != 0)],
            ["SparseToDenseMatMul"] = (n, k) =>
                [MatMul(n.In(0)?.Shape
                    ?? new Shape(Dim.Unknown, Dim.Unknown), n.In(1)?.Shape, n.Int("transA", 0) != 0, n.Int("transB", 0) != 0)],
            ["Transpose"] = Transpose,
            ["Reshape"] = Reshape,
            ["Flatten"] = Flatten,
            ["Expand"] = (n, k) => n.In(0)?.Shape is Shape s && Target(k.Integers(n.In(1))) is Shape t ? [Shape.Broadcast(s, t)] : null,
            ["ConstantOfShape"] = (n, k) => [Target(k.Integers(n.In(0)))],
            ["Unsqueeze"] = Unsqueeze,
            ["Squeeze"] = Squeeze,
            ["Concat"] = Concat,
            ["Split"] = Split,
            ["Slice"] = Slice,
            ["Gather"] = Gather,
            ["GatherElements"] = (n, k) => [n.In(1)?.Shape],
            ["Where"] = (n, k) => [Shape.Broadcast(n.In(0)?.Shape, Shape.Broadcast(n.In(1)?.Shape, n.In(2)?.Shape))],
            ["LayerNormalization"] = LayerNormalization,
            ["Range"] = Range,
            ["Tile"] = Tile,
            ["Conv"] = (n, k) => WindowShapes.Conv(n),
            ["ConvTranspose"] = (n, k) => WindowShapes.ConvTranspose(n),
            ["MaxPool"] = (n, k) => WindowShapes.Pool(n),
            ["AveragePool"] = (n, k) => WindowShapes.Pool(n),
            ["LpPool"] = (n, k) => WindowShapes.Pool(n),
            ["GlobalAveragePool"] = (n, k) => WindowShapes.GlobalPool(n),
            ["GlobalMaxPool"] = (n, k) => WindowShapes.GlobalPool(n),
            ["GlobalLpPool"] = (n, k) => WindowShapes.GlobalPool(n),
            ["Resize"] = WindowShapes.Resize,
            ["Pad"] = (n, k) => n.Domain.Length == 0 ? WindowShapes.Pad(n, k) : null,
        };
        foreach (string op in OperatorTraits.With(Trait.Broadcast))
        {
            table.TryAdd(op, (n, k) => [n.Inputs.Select(i => i?.Shape).Aggregate(Shape.Broadcast)]);
        }
        // The second output of Dropout, its mask, is of the same shape.
        foreach (string op in OperatorTraits.With(Trait.Unary | Trait.KeepsShape))
        {
            table.TryAdd(op, (n, k) => [n.In(0)?.Shape, n.OpType == "Dropout" ? n.In(0)?.Shape : null]);
        }
        foreach (string op in OperatorTraits.With(Trait.Reduces)) table.TryAdd(op, Reduce);
        return table;
    }

    private static Shape? MatMul(Shape? a, Shape? b, bool transA, bool transB)
    {
        if (a is null || b is null || a.Rank == 0 || b.Rank == 0) return null;
        if (a.Rank == 1 && b.Rank == 1) return Shape.Scalar;
        var matrix = new List<Dim>();
        if (a.Rank > 1) matrix.Add(a[transA ? a.Rank - 1 : a.Rank - 2]);
        if (b.Rank > 1) matrix.Add(b[transB ? b.Rank - 2 : b.Rank - 1]);
        Shape batch = Shape.Broadcast(new Shape(a.Take(Math.Max(0, a.Rank - 2))), new Shape(b.Take(Math.Max(0, b.Rank - 2))))!;
        return new Shape(batch.Concat(matrix));
    }

    private static Shape? Target(SymbolicInt?[]? dims) => dims is null ? null : new Shape(dims.Select(d => (Dim)d));

    private static Shape?[]? Transpose(Node node, ShapeInference known)
    {
        if (node.In(0)?.Shape is not Shape shape) return null;
        long[]? perm = node.Ints("perm");
        return [perm is null ? new Shape(shape.Reverse()) : new Shape(perm.Select(p => shape[(int)p]))];
    }

    private static Shape?[]? Reshape(Node node, ShapeInference known)
    {
        if (known.Integers(node.In(1)) is not { } target) return null;
        Shape? from = node.In(0)?.Shape;
        bool copyZero = node.Int("allowzero", 0) == 0;
        var dims = new Dim[target.Length];
        int inferred = -1;
        SymbolicInt? rest = from?.ElementCount;
        for (int i = 0; i < dims.Length; i++)
        {
            if (target[i]?.Constant == -1)
            {
                inferred = i;
                continue;
            }
            dims[i] = copyZero && target[i]?.Constant == 0 ? (from is not null && i < from.Rank ? from[i] : Dim.Unknown) : target[i];
        }
        if (inferred >= 0)
        {
            SymbolicInt? others = SymbolicInt.One;
            foreach (Dim d in dims.Where((_, i) => i != inferred)) others = others is null || d.Size is null ? null : others * d.Size;
            if (rest is not null && others is not null && others.Constant != 0) dims[inferred] = rest / others;
        }
        return [new Shape(dims)];
    }

    private static Shape?[]? Flatten(Node node, ShapeInference known)
    {
        if (node.In(0)?.Shape is not Shape shape) return null;
        int axis = shape.Axis(node.Int("axis", 1));
        return [new Shape((Dim)new Shape(shape.Take(axis)).ElementCount, (Dim)new Shape(shape.Skip(axis)).ElementCount)];
    }

    private static Shape?[]? Unsqueeze(Node node, ShapeInference known)
    {
        if (node.In(0)?.Shape is not Shape shape || known.Constants(node.In(1)) is not { } axes) return null;
        int rank = shape.Rank + axes.Length;
        var at = axes.Select(a => a < 0 ? a + rank : a).ToHashSet();
        var rest = new Queue<Dim>(shape);
        return [new Shape(Enumerable.Range(0, rank).Select(i => at.Contains(i) ? 1 : rest.Dequeue()).ToArray())];
    }

    private static Shape?[]? Squeeze(Node node, ShapeInference known)
    {
        if (node.In(0)?.Shape is not Shape shape) return null;
        if (node.In(1) is null) return shape.All(d => d.Known is not null) ? [new Shape(shape.Where(d => d.Known != 1))] : null;
        if (known.Constants(node.In(1)) is not { } axes) return null;
        var at = axes.Select(a => shape.Axis(a)).ToHashSet();
        return [new Shape(shape.Where((_, i) => !at.Contains(i)))];
    }

    private static Shape?[]? Concat(Node node, ShapeInference known)
    {
        if (node.Inputs.Any(i => i?.Shape is null)) return null;
        Shape first = node.In(0)!.Shape!;
        int axis = first.Axis(node.Int("axis", 0));
        SymbolicInt? total = SymbolicInt.Zero;
        foreach (Value? input in node.Inputs) total = total is null || input!.Shape![axis].Size is not SymbolicInt s ? null : total + s;
        return [first.With(axis, total)];
    }

    private static Shape?[]? Split(Node node, ShapeInference known)
    {
        if (node.In(0)?.Shape is not Shape shape) return null;
        int axis = shape.Axis(node.Int("axis", 0));
        if (known.Integers(node.In(1)) is { } sizes) return [.. sizes.Select(s => shape.With(axis, s))];
        if (node.In(1) is not null) return null;
        int parts = (int)node.Int("num_outputs", node.Outputs.Count);
        if (shape[axis].Known is not long size)
        {
            SymbolicInt? even = shape[axis].Size is SymbolicInt s ? SymbolicInt.Exact(s, SymbolicInt.Of(parts)) : null;
            return [.. Enumerable.Repeat(shape.With(axis, even), parts)];
        }
        long chunk = (size + parts - 1) / parts;
        return [.. Enumerable.Range(0, parts).Select(i => shape.With(axis, Math.Max(0, Math.Min(chunk, size - (i * chunk)))))];
    }

    private static Shape?[]? Slice(Node node, ShapeInference known)
    {
        if (node.In(0)?.Shape is not Shape shape) return null;
        SymbolicInt?[]? starts = known.Integers(node.In(1)), ends = known.Integers(node.In(2));
        long[]? steps = node.In(4) is null ? null : known.Constants(node.In(4));
        if (starts is null || ends is null) return null;
        long[]? axes = node.In(3) is null ? [.. Enumerable.Range(0, starts.Length).Select(i => (long)i)] : known.Constants(node.In(3));
        if (axes is null || (node.In(4) is not null && steps is null)) return null;
        Shape result = shape;
        for (int i = 0; i < axes.Length; i++)
        {
            int axis = shape.Axis(axes[i]);
            result = result.With(axis, steps is null || steps[i] == 1 ? Span(starts[i], ends[i], shape[axis].Size)
                : Strided(starts[i]?.Constant, ends[i]?.Constant, steps[i], shape[axis].Known));
        }
        return [result];
    }

    private static SymbolicInt? Span(SymbolicInt? start, SymbolicInt? end, SymbolicInt? size)
    {
        if (start is null || end is null) return null;
        if (size?.Constant is long n && start.Constant is long s && end.Constant is long e)
            return SymbolicInt.Of(Math.Max(0, Math.Clamp(e < 0 ? e + n : e, 0, n) - Math.Clamp(s < 0 ? s + n : s, 0, n)));
        // Up to a length that the inputs give (positions[:, :sequence]). It is taken to lie inside: where it does not,
        // the slice is shorter, and what is combined with it along that axis could not be run either.
        if (end.Constant is null && end.IsPositive && (start.Constant >= 0 || start.IsPositive) && !end.Equals(size)) return end - start;
        if (size is null) return null;
        // Beyond the end of any real tensor: exporters write the largest integer for "to the end".
        if (end.Constant is > int.MaxValue - 1L) end = size;
        else if (end.Constant is < 0) end = size + end;
        if (start.Constant is < 0) start = size + start;
        return end.Equals(size) && start.IsAtMost(size) ? size - start : null;
    }

    private static SymbolicInt? Strided(long? start, long? end, long step, long? size)
    {
        if (start is not long s || end is not long e || size is not long n || step == 0) return null;
        if (n == 0) return SymbolicInt.Zero;
        if (s < 0) s += n;
        if (e < 0) e += n;
        (s, e) = step > 0 ? (Math.Clamp(s, 0, n), Math.Clamp(e, 0, n)) : (Math.Clamp(s, 0, n - 1), Math.Clamp(e, -1, n - 1));
        return SymbolicInt.Of(Math.Max(0, (e - s + step - Math.Sign(step)) / step));
    }

    private static Shape?[]? Gather(Node node, ShapeInference known)
    {
        if (node.In(0)?.Shape is not Shape data || node.In(1)?.Shape is not Shape indices) return null;
        int axis = data.Axis(node.Int("axis", 0));
        return [new Shape(data.Take(axis).Concat(indices).Concat(data.Skip(axis + 1)))];
    }

    private static Shape?[]? LayerNormalization(Node node, ShapeInference known)
    {
        if (node.In(0)?.Shape is not Shape shape) return null;
        int axis = shape.Axis(node.Int("axis", -1));
        var statistics = new Shape(shape.Select((d, i) => i < axis ? d : 1));
        return [shape, statistics, statistics];
    }

    private static Shape?[]? Range(Node node, ShapeInference known)
    {
        if (known.Integers(node.In(0)) is not [SymbolicInt start] || known.Integers(node.In(1)) is not [SymbolicInt limit]
            || known.Integers(node.In(2)) is not [SymbolicInt delta])
        {
            return null;
        }

        return delta.Constant == 1 ? [new Shape((Dim)(limit - start))] : IntegerRules.Evaluate(node, known) is { } v ? [Shape.Of(v.Length)]
            : null;
    }

    private static Shape?[]? Tile(Node node, ShapeInference known)
    {
        if (node.In(0)?.Shape is not Shape shape || known.Integers(node.In(1)) is not { } repeats || repeats.Length != shape.Rank)
            return null;
        return [new Shape(shape.Zip(repeats, (d, r) => (Dim)(d.Size is null || r is null ? null : d.Size * r)))];
    }

    private static Shape?[]? Reduce(Node node, ShapeInference known)
    {
        if (node.In(0)?.Shape is not Shape shape) return null;
        bool keep = node.Int("keepdims", 1) != 0;
        long[]? axes = node.In(1) is null ? node.Ints("axes") ?? [] : known.Constants(node.In(1));
        if (axes is null) return null;
        if (axes.Length == 0 && node.Int("noop_with_empty_axes", 0) != 0) return [shape];
        HashSet<int> at = axes.Length == 0 ? Enumerable.Range(0, shape.Rank).ToHashSet() : axes.Select(a => shape.Axis(a)).ToHashSet();
        return [new Shape(shape.Select((d, i) => at.Contains(i) ? 1 : d).Where((_, i) => keep || !at.Contains(i)).ToArray())];
    }
}
