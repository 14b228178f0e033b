using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Graph.Optimizers;

/// <summary>A tensor of rows that links of several parameters share, such as λ: who has which row, and what the update nodes made of
/// them.</summary>
internal sealed class RowState
{
    private readonly Dictionary<string, long> _rows;

    private RowState(string name, string kind, ParameterSpec[] owners, Value input, TensorData initial)
    {
        Name = name;
        Kind = kind;
        Owners = [.. owners.Select(p => p.Name)];
        _rows = owners.Select((p, i) => (p.Name, i)).ToDictionary(p => p.Name, p => (long)p.i, StringComparer.Ordinal);
        Input = input;
        Initial = initial;
    }

    /// <summary>Its wanted name: <c>cpr.lambda</c>.</summary>
    public string Name { get; }

    /// <summary>The slot of the update operator: <c>lambda</c>.</summary>
    public string Kind { get; }

    /// <summary>The parameters, in the order of the rows.</summary>
    public IReadOnlyList<string> Owners { get; }

    /// <summary>The graph input.</summary>
    public Value Input { get; }

    /// <summary>The rows before the first step.</summary>
    public TensorData Initial { get; }

    /// <summary>The new rows, in order.</summary>
    public List<Value> Updated { get; } = [];

    /// <summary>The row of a parameter.</summary>
    public long RowOf(ParameterSpec parameter) => _rows[parameter.Name];

    /// <summary>The tensors of rows of all parameters together.</summary>
    public static IReadOnlyList<RowState> Of(
        IReadOnlyList<ParameterSpec> parameters, IReadOnlyDictionary<ParameterSpec, UpdateDefinition> definitions,
            Func<string, Value> input, ElementType type)
    {
        var found = new List<RowState>();
        IEnumerable<(ParameterSpec Parameter, LinkSlot Slot)> slots = parameters.SelectMany(p =>
            definitions[p].Slots.Where(s => s.Slot.Role == SlotRole.ConstraintState).Select(s => (p, s)));
        foreach (IGrouping<string, (ParameterSpec Parameter, LinkSlot Slot)> rows in slots.GroupBy(s => s.Slot.Rows!))
        {
            (ParameterSpec Parameter, LinkSlot Slot)[] all = [.. rows];
            int width = all[0].Slot.InitialRow.Count;
            TensorData initial = GraphBuilder.FloatVector(type, [.. all.SelectMany(r => r.Slot.InitialRow)]);
            if (width > 1) initial = GraphBuilder.Reshaped(initial, all.Length, width);
            Value value = GraphBuilder.Typed(input(rows.Key), type, Shape.Of(initial.Dimensions));
            found.Add(new RowState(rows.Key, all[0].Slot.Name, [.. all.Select(r => r.Parameter)], value, initial));
        }
        return found;
    }
}
