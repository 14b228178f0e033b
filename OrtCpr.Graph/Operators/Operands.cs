using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Operators;

/// <summary>
/// The operands of an operator while its body is written: inputs by slot name, attributes as references (in the function that all calls
/// share) or as the values of one call (where the body is written in place, to differentiate it).
/// </summary>
internal sealed class Operands
{
    private readonly OperatorDefinition _definition;
    private readonly GraphBuilder _builder;
    private readonly IReadOnlyList<Value> _inputs;
    private readonly Node? _call;

    private Operands(OperatorDefinition definition, GraphBuilder builder, IReadOnlyList<Value> inputs, Node? call)
    {
        _definition = definition;
        _builder = builder;
        _inputs = inputs;
        _call = call;
    }

    /// <summary>Operands of the function body.</summary>
    public static Operands OfFunction(OperatorDefinition definition, GraphBuilder builder, IEnumerable<Value> inputs) =>
        new(definition, builder, [.. inputs], null);

    /// <summary>Operands of one call.</summary>
    public static Operands OfCall(OperatorDefinition definition, GraphBuilder builder, Node call) =>
        new(definition, builder, [.. call.Inputs.Select(i => i!)], call);

    /// <summary>An input.</summary>
    public Term this[string slot] => _builder.Term(_inputs[_definition.InputIndex(slot)]);

    /// <summary>Whether the operator has this input; a family of operators may share one body.</summary>
    public bool Has(string slot) => _definition.Inputs.Any(s => s.Name == slot);

    /// <summary>An attribute, to be given to a node of the body.</summary>
    public object Attribute(string name) => _call is null
        ? new AttributeReference(name, (int)KindOf(name))
        : KindOf(name) == AttributeKind.Ints ? _call.Ints(name)! : _call.Float(name, 0);

    /// <summary>An attribute of integers as a vector.</summary>
    public Term Ints(string name) => _call is null
        ? _builder.Op("Constant", [], ("value_ints", Attribute(name)))
        : _builder.Ints(_call.Ints(name)!);

    /// <summary>A float attribute as a scalar of the type of <paramref name="like"/>.</summary>
    public Term Float(string name, Value like) => _call is null
        ? _builder.Op("CastLike", [_builder.Op("Constant", [], ("value_float", Attribute(name))), like])
        : _builder.Scalar(_call.Float(name, 0), like.Type);

    private AttributeKind KindOf(string name) => _definition.Attributes.Single(a => a.Name == name).Kind;
}
