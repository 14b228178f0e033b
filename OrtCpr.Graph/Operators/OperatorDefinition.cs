using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Operators;

/// <summary>Writes the body of an operator: from its operands to the values of its outputs, in their order.</summary>
internal delegate Value[] OperatorBody(GraphBuilder g, Operands x);

/// <summary>
/// An operator of domain <c>ortcpr</c> as one value: name, slots, attributes, shapes, body and gradient. Graphs call it, a function
/// of standard operators is its body on any ONNX Runtime, and kernels register against it and read operands by slot name.
/// </summary>
internal class OperatorDefinition
{
    private GradientRule? _rule;

    /// <summary>The domain of all operators of ours.</summary>
    public const string Domain = "ortcpr";

    /// <summary>The operator's type in a graph.</summary>
    public required string Name { get; init; }

    /// <summary>Inputs in the order of a node; all are required.</summary>
    public required IReadOnlyList<OperatorSlot> Inputs { get; init; }

    /// <summary>Outputs in the order of a node.</summary>
    public required IReadOnlyList<OperatorSlot> Outputs { get; init; }

    /// <summary>Attributes that every call gives.</summary>
    public IReadOnlyList<OperatorAttribute> Attributes { get; init; } = [];

    /// <summary>The operator in standard operators; null for one that exists as a kernel only.</summary>
    public OperatorBody? Body { get; init; }

    /// <summary>The gradient rule; null for that of the body, computed once more (<see cref="ByDefinition"/>).</summary>
    public GradientRule? Gradient { get; init; }

    /// <summary>The name as a graph builder takes it.</summary>
    public string QualifiedName => $"{Domain}.{Name}";

    /// <summary>Position of an input.</summary>
    /// <exception cref="ArgumentException">The operator has no such slot: a kernel or a body misnames it.</exception>
    public int InputIndex(string slot) => IndexOf(Inputs, slot, "input");

    /// <summary>Position of an output.</summary>
    /// <exception cref="ArgumentException">The operator has no such slot.</exception>
    public int OutputIndex(string slot) => IndexOf(Outputs, slot, "output");

    /// <summary>Emits a call; the results have the types and shapes that the slots state.</summary>
    public Term[] Call(GraphBuilder g, IReadOnlyList<Value> inputs, params ReadOnlySpan<(string Name, object Value)> attributes)
    {
        if (inputs.Count != Inputs.Count)
            throw new ArgumentException($"{QualifiedName} has {Inputs.Count} inputs, given {inputs.Count}.", nameof(inputs));
        Term[] results = g.Ops(QualifiedName, Outputs.Count, [.. inputs], attributes);
        for (int i = 0; i < results.Length; i++)
        {
            OperatorSlot slot = Outputs[i];
            Shape? shape = slot.ShapeOf is null ? results[i].Shape : inputs[InputIndex(slot.ShapeOf)].Shape;
            GraphBuilder.Typed(results[i], slot.ElementType(inputs[0].Type), shape);
        }
        return results;
    }

    /// <summary>The function that stands for the operator in a model.</summary>
    /// <param name="type">Element type of the first input.</param>
    /// <param name="opset">Operator set of the body.</param>
    public OnnxFunction ToFunction(ElementType type, int opset)
    {
        var body = new OnnxGraph(Name, new NameAuthority());
        foreach (OperatorSlot slot in Inputs) body.AddInput(slot.Name, slot.ElementType(type), null);
        var g = new GraphBuilder(body);
        Value[] results = Body!(g, Operands.OfFunction(this, g, body.Inputs));
        for (int i = 0; i < results.Length; i++) body.Outputs.Add(g.Named(results[i], OutputName(Outputs[i])));
        RemoveDeadNodes.Run(body);
        var function = new OnnxFunction(Domain, Name, body) { Definition = this };
        foreach (OperatorAttribute attribute in Attributes) function.Attributes.Add(attribute.Name);
        function.Opsets[""] = opset;
        return function;
    }

    /// <summary>The rule by which a call is differentiated.</summary>
    public GradientRule? Rule =>
        _rule ??= Gradient ?? (Body is null ? null : ByDefinition.Rule((g, op) => Body(g, Operands.OfCall(this, g, op.Node))));

    /// <summary>Inputs and outputs of a body share one scope of names.</summary>
    private static string OutputName(OperatorSlot slot) => $"new_{slot.Name}";

    private int IndexOf(IReadOnlyList<OperatorSlot> slots, string name, string what)
    {
        for (int i = 0; i < slots.Count; i++)
        {
            if (slots[i].Name == name) return i;
        }
        throw new ArgumentException(
            $"{QualifiedName} has no {what} '{name}'; it has {string.Join(", ", slots.Select(s => s.Name))}.", nameof(name));
    }
}
