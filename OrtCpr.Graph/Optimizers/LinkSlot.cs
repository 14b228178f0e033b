using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Graph.Optimizers;

/// <summary>One operand that a link adds to its update operator: the slot, and what an optimizer graph passes for it.</summary>
internal sealed record LinkSlot
{
    private LinkSlot(OperatorSlot slot) => Slot = slot;

    /// <summary>The slot of the update operator.</summary>
    public OperatorSlot Slot { get; }

    /// <summary>Its name.</summary>
    public string Name => Slot.Name;

    /// <summary>The value of a setting; null for every other role.</summary>
    public TensorData? Constant { get; private init; }

    /// <summary>What the graph passes for a parameter; null for state, which the graph keeps, and for settings.</summary>
    public Func<OptimizerGraphContext, ParameterSpec, Value>? Pass { get; private init; }

    /// <summary>Constraint state: the name of the tensor that holds a row a parameter.</summary>
    public string? Rows { get; private init; }

    /// <summary>Constraint state: a parameter's row before its first step.</summary>
    public IReadOnlyList<double> InitialRow { get; private init; } = [];

    /// <summary>A tensor of the parameter's shape and type that starts at zero, such as a moment.</summary>
    public static LinkSlot State(string name) => new(new OperatorSlot(name, Role: SlotRole.State, ShapeOf: "parameter"));

    /// <summary>A row a parameter of one tensor that all parameters with this link share.</summary>
    public static LinkSlot Row(string name, string rows, params IReadOnlyList<double> initial) =>
        new(new OperatorSlot(name, Role: SlotRole.ConstraintState)) { Rows = rows, InitialRow = initial };

    /// <summary>A scalar of the parameters' type, rounded once from double.</summary>
    public static LinkSlot Setting(string name, double value, ElementType type) =>
        new(new OperatorSlot(name, Role: SlotRole.Setting)) { Constant = GraphBuilder.ScalarData(value, type) };

    /// <summary>An integer scalar.</summary>
    public static LinkSlot Setting(string name, long value) =>
        new(new OperatorSlot(name, SlotType.Int64, SlotRole.Setting)) { Constant = TensorData.Scalar(value) };

    /// <summary>A scalar that the graph computes once for all parameters with this link.</summary>
    public static LinkSlot Computed(string name, Func<OptimizerGraphContext, ParameterSpec, Value> pass) =>
        new(new OperatorSlot(name, Role: SlotRole.Setting)) { Pass = pass };

    /// <summary>A vector over all groups.</summary>
    public static LinkSlot Shared(string name, Func<OptimizerGraphContext, ParameterSpec, Value> pass) =>
        new(new OperatorSlot(name, Role: SlotRole.Shared)) { Pass = pass };

    /// <summary>The row of the parameter in a tensor of rows.</summary>
    public static LinkSlot RowIndex(string name, string rows) =>
        new(new OperatorSlot(name, SlotType.Int64, SlotRole.Index)) { Pass = (c, p) => c.Builder.Int(c.RowOf(rows, p)) };
}
