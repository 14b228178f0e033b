namespace OrtCpr.Graph.Ir;

/// <summary>A tensor in a graph: a graph input, an initializer or the output of a node. Identity counts, not the name.</summary>
public sealed class Value
{
    internal Value(string name, ElementType type = ElementType.Undefined, Shape? shape = null)
    {
        Name = name;
        Type = type;
        Shape = shape;
    }

    /// <summary>Its name in the file; unique in the model.</summary>
    public string Name { get; internal set; }

    /// <summary>Element type; <see cref="ElementType.Undefined"/> while not inferred, and for what is no tensor.</summary>
    public ElementType Type { get; internal set; }

    /// <summary>Shape; null when not even the rank is known.</summary>
    public Shape? Shape { get; internal set; }

    /// <summary>The node that makes it; null for graph inputs and initializers.</summary>
    public Node? Producer { get; internal set; }

    /// <summary>The value itself when it is an initializer; else null.</summary>
    public TensorData? Data { get; internal set; }

    /// <summary>True for an initializer.</summary>
    public bool IsInitializer => Data is not null;

    /// <summary>Where the file holds it, when it is an initializer or a Constant of the file: what was read from there
    /// can be trained and written back. Null for what a pass made.</summary>
    internal TensorPlace? Place { get; set; }

    /// <summary>The message it was read from (doc string, metadata, denotations, unknown fields), or null.</summary>
    internal object? Origin { get; set; }

    /// <summary>The elements of a small integer initializer; null for anything else.</summary>
    public long[]? ConstantIntegers =>
        Data is not null && Data.Type is ElementType.Int64 or ElementType.Int32 ? Data!.ToInt64s() : null;

    /// <inheritdoc/>
    public override string ToString() => $"{Name} {Type}{Shape?.ToString() ?? "[…]"}";
}
