using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Casts in front of and behind nodes of a graph: a value is cast to a type once, a constant when the graph is written, and what
/// was only widened is taken as it was before.</summary>
/// <param name="graph">The graph that the values belong to.</param>
internal sealed class PrecisionCasts(OnnxGraph graph)
{
    private readonly Dictionary<(Value, ElementType), Value> _known = [];

    /// <summary>The value in another floating type.</summary>
    /// <param name="value">A floating value.</param>
    /// <param name="type">The type wanted.</param>
    /// <param name="before">Where a Cast goes that is not there yet: nodes in front of the reader.</param>
    public Value Of(Value value, ElementType type, List<Node> before)
    {
        if (value.Type == type) return value;
        if (_known.TryGetValue((value, type), out Value? known)) return known;
        return _known[(value, type)] = value.Data is TensorData data ? Converted(value, data.ConvertTo(type))
            : Original(value, type) ?? Cast(value, NewValue(value, type), before);
    }

    /// <summary>Lets a node compute a result in another type, with a Cast behind it. The value that everything reads stays the same
    /// object and has its own type.</summary>
    public void Result(Node node, Value result, ElementType computed, List<Node> behind)
    {
        Value inner = NewValue(result, computed);
        inner.Producer = node;
        node.Outputs[Array.IndexOf([.. node.Outputs], result)] = inner;
        Cast(inner, result, behind);
    }

    /// <summary>A Cast from one value to another, which has no producer yet.</summary>
    public Value Cast(Value from, Value to, List<Node> nodes)
    {
        var cast = new Node("", "Cast", graph.Names.Unique($"{to.Name}/Cast"));
        cast.Inputs.Add(from);
        cast.Outputs.Add(to);
        cast.Set("to", (long)to.Type);
        to.Producer = cast;
        nodes.Add(cast);
        return to;
    }

    private Value NewValue(Value value, ElementType type) => new(graph.Names.Unique($"{value.Name}/{type}"), type, value.Shape);

    private Value Converted(Value value, TensorData data) => graph.AddInitializer($"{value.Name}/{data.Type}", data);

    /// <summary>What a value was widened from. A value that was rounded is not what it was before.</summary>
    private static Value? Original(Value value, ElementType type) =>
        value.Producer is { OpType: "Cast", Domain: "" } cast && cast.Inputs[0] is Value from && from.Type == type
        && value.Type.BitsPerElement() > type.BitsPerElement() ? from : null;
}
