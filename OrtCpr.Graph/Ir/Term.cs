using System.Diagnostics;

namespace OrtCpr.Graph.Ir;

/// <summary>A value together with the builder that writes nodes for it, so that formulas read as formulas: <c>dy * (1 -
/// y * y)</c>.</summary>
/// <remarks>Every operator emits one node at once, through <see cref="Builder"/>, in the order in which C# evaluates
/// the expression. The other side of an operator is a term of the same builder, a <see cref="Ir.Value"/>, or a number,
/// which becomes a shared constant of this term's type. A term stands wherever a <see cref="Ir.Value"/> is
/// expected.</remarks>
public readonly partial struct Term
{
    internal Term(GraphBuilder builder, Value value)
    {
        Builder = builder;
        Value = value;
    }

    /// <summary>Where the operators write their nodes.</summary>
    public GraphBuilder Builder { get; }

    /// <summary>The tensor of the graph that it stands for.</summary>
    public Value Value { get; }

    /// <summary>Element type; <see cref="ElementType.Undefined"/> where inference does not know it.</summary>
    public ElementType Type
    {
        get => Value.Type;
        internal set => Value.Type = value;
    }

    /// <summary>Its shape; null when not even the rank is known.</summary>
    public Shape? Shape
    {
        get => Value.Shape;
        internal set => Value.Shape = value;
    }

    internal string Name => Value.Name;

    internal Node? Producer => Value.Producer;

    internal TensorData? Data => Value.Data;

    internal bool IsInitializer => Value.IsInitializer;

    internal long[]? ConstantIntegers => Value.ConstantIntegers;

    /// <summary>States that it has the shape and type of another value, which the caller knows better than inference does.</summary>
    /// <param name="other">Whose type and shape it gets.</param>
    /// <returns>This term.</returns>
    public Term Like(Value other) => Typed(other.Type, other.Shape);

    /// <summary>States its type and shape, which the caller knows better than inference does.</summary>
    /// <param name="type">Its element type.</param>
    /// <param name="shape">Its shape; null for an unknown rank.</param>
    /// <returns>This term.</returns>
    public Term Typed(ElementType type, Shape? shape)
    {
        GraphBuilder.Typed(Value, type, shape);
        return this;
    }

    /// <summary>The value of a term.</summary>
    public static implicit operator Value(Term term) => term.Value;

    /// <inheritdoc/>
    public override string ToString() => Value.ToString();

    /// <summary>Nodes of one graph are written by one builder; two of them in a formula mix a body with the graph
    /// around it.</summary>
    private static GraphBuilder Common(Term a, Term b)
    {
        Debug.Assert(ReferenceEquals(a.Builder, b.Builder), $"'{a.Value?.Name}' and '{b.Value?.Name}' belong to different builders.");
        return a.Builder;
    }
}
