namespace OrtCpr.Graph.Operators;

/// <summary>Element type of a slot.</summary>
internal enum SlotType
{
    /// <summary>The type of the call's first input: float32 or float64.</summary>
    OfFirstInput,

    /// <summary>64-bit integers.</summary>
    Int64,

    /// <summary>Booleans.</summary>
    Bool,
}

/// <summary>What an operand is to its operator. A pass that joins calls of one update operator reads from this how each
/// operand is joined.</summary>
internal enum SlotRole
{
    /// <summary>An operand without a part in training state: all operands of training graphs.</summary>
    Data,

    /// <summary>The parameter that an update operator steps.</summary>
    Parameter,

    /// <summary>Its gradient.</summary>
    Gradient,

    /// <summary>State of the parameter's shape, such as a moment.</summary>
    State,

    /// <summary>A vector over all parameters or all groups, of which a call reads one element.</summary>
    Shared,

    /// <summary>λ, κ or the detector: a row a constrained matrix, of which a call reads and writes one.</summary>
    ConstraintState,

    /// <summary>An integer scalar that selects a row of a shared vector.</summary>
    Index,

    /// <summary>A scalar that belongs to the call.</summary>
    Setting,
}

/// <summary>One input or output of an operator.</summary>
/// <param name="Name">How the body and the kernels refer to it.</param>
/// <param name="Type">Element type.</param>
/// <param name="Role">What it is to the operator.</param>
/// <param name="ShapeOf">Outputs: the input whose shape it has; null where the call states the shape or inference finds it.</param>
internal sealed record OperatorSlot(string Name, SlotType Type = SlotType.OfFirstInput, SlotRole Role = SlotRole.Data,
    string? ShapeOf = null)
{
    /// <summary>An operand of the first input's type; text stands for its name.</summary>
    public static implicit operator OperatorSlot(string name) => new(name);

    /// <summary>The element type in a call whose first input has the type <paramref name="first"/>.</summary>
    public ElementType ElementType(ElementType first) => Type switch
    {
        SlotType.Int64 => Graph.ElementType.Int64,
        SlotType.Bool => Graph.ElementType.Bool,
        _ => first,
    };
}

/// <summary>Kind of an attribute, by ONNX's number.</summary>
internal enum AttributeKind
{
    /// <summary>FLOAT.</summary>
    Float = 1,

    /// <summary>STRING.</summary>
    Text = 3,

    /// <summary>INTS.</summary>
    Ints = 7,
}

/// <summary>One attribute of an operator, which every call must give.</summary>
/// <param name="Name">Its name in the node.</param>
/// <param name="Kind">Its kind.</param>
internal sealed record OperatorAttribute(string Name, AttributeKind Kind);
