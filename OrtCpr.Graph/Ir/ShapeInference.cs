namespace OrtCpr.Graph.Ir;

/// <summary>What is known of the values of one graph beyond their types: shapes in symbols, and the elements of small
/// integer tensors. Visits nodes in order; used on models that come in (after ONNX Runtime's own inference, whose
/// results it refines) and on every node that we emit.</summary>
internal sealed class ShapeInference
{
    private readonly Dictionary<Value, SymbolicInt?[]> _integers = [];

    /// <summary>Elements of an integer tensor of rank 0 or 1, null elements unknown; null when nothing is
    /// known.</summary>
    public SymbolicInt?[]? Integers(Value? value)
    {
        if (value is null) return null;
        if (_integers.TryGetValue(value, out SymbolicInt?[]? known)) return known;
        if (value.Data is { Type: ElementType.Int64 or ElementType.Int32 or ElementType.Bool, ElementCount: <= 256 } data
            && data.Dimensions.Count <= 1)
        {
            return _integers[value] = [.. data.ToInt64s().Select(SymbolicInt.Of)];
        }
        return null;
    }

    /// <summary>The elements as plain numbers, when all are.</summary>
    public long[]? Constants(Value? value)
    {
        SymbolicInt?[]? known = Integers(value);
        return known is not null && known.All(k => k?.Constant is not null) ? [.. known.Select(k => k!.Constant!.Value)] : null;
    }

    public void Visit(Node node)
    {
        try
        {
            VisitUnchecked(node);
        }
        catch (Exception error) when (error is IndexOutOfRangeException or ArgumentException)
        {
            throw new ModelFormatException(
                $"Node {node.Label}: its attributes do not fit its inputs "
                + $"({string.Join(", ", node.Inputs.Select(i => i?.ToString() ?? "none"))}), such as an axis beyond the rank. "
                + "Check the model with onnx.checker, or export it again.", error);
        }
    }

    private void VisitUnchecked(Node node)
    {
        ImpliedRanks.Apply(node);
        if (ShapeRules.Infer(node, this) is { } shapes)
        {
            for (int i = 0; i < Math.Min(shapes.Length, node.Outputs.Count); i++)
            {
                if (node.Outputs[i] is Value output) output.Shape = Merge(output.Shape, shapes[i]);
            }
        }
        ElementType type = ShapeRules.TypeOf(node);
        for (int i = 0; i < node.Outputs.Count; i++)
        {
            if (node.Outputs[i] is { Type: ElementType.Undefined } output) output.Type = ShapeRules.TypeOfOutput(node, i, type);
        }
        if (node.Outputs.Count > 0 && node.Outputs[0] is Value { Shape: null or { Rank: <= 1 } } first
            && IntegerRules.Evaluate(node, this) is { } values
            && values.Any(v => v is not null))
        {
            _integers[first] = values;
        }
    }

    /// <summary>A dimension of which nothing is known becomes a symbol of its own, so that what keeps it is known to be
    /// equal.</summary>
    public static void NameUnknown(Value? value)
    {
        if (value?.Shape is not Shape shape || shape.All(d => d.Size is not null)) return;
        string name = value.Name.Replace("*", "·", StringComparison.Ordinal);
        value.Shape = new Shape(shape.Select((d, i) => d.Size is null ? SymbolicInt.Symbol($"{name}[{i}]") : d));
    }

    /// <summary>Ours is preferred where it knows something, since its symbols stay equal across operators; a number
    /// wins over both.</summary>
    private static Shape? Merge(Shape? theirs, Shape? ours)
    {
        if (theirs is null || ours is null || theirs.Rank != ours.Rank) return ours ?? theirs;
        return new Shape(theirs.Zip(ours, (t, o) => t.Known is not null || o.Size is null ? t : o));
    }
}
