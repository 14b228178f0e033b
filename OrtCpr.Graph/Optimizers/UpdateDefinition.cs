using System.Diagnostics.CodeAnalysis;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Graph.Optimizers;

/// <summary>
/// The update operator of a chain of links: its slots are the common ones and those that the links contribute, in link order; its body
/// is their equations one after the other.
/// </summary>
/// <remarks>Inputs: parameter, gradient, the links' state, what every update reads, the links' other slots. Outputs: parameter, state,
/// rows of constraint state.</remarks>
internal sealed class UpdateDefinition : OperatorDefinition
{
    // What every update operator reads after its state.
    private static readonly OperatorSlot[] Common =
    [
        new("step", SlotType.Int64, SlotRole.Shared),
        new("parameter_index", SlotType.Int64, SlotRole.Index),
        new("learning_rate", Role: SlotRole.Shared),
        new("group_index", SlotType.Int64, SlotRole.Index),
        new("gradient_scale", Role: SlotRole.Setting),
        new("apply", SlotType.Bool, SlotRole.Shared),
    ];

    [SetsRequiredMembers]
    private UpdateDefinition(IReadOnlyList<UpdateLink> links, ParameterSpec parameter, LinkSlot[] slots)
    {
        Links = links;
        Slots = slots;
        OperatorSlot[] state = [.. slots.Where(s => s.Slot.Role == SlotRole.State).Select(s => s.Slot)];
        OperatorSlot own = new("parameter", Role: SlotRole.Parameter, ShapeOf: "parameter");
        Name = string.Concat(links.Select(l => l.Tag(parameter)).Concat(links.Select(l => l.Suffix)));
        Inputs =
        [
            own, new("gradient", Role: SlotRole.Gradient), .. state, .. Common,
            .. slots.Where(s => s.Slot.Role != SlotRole.State).Select(s => s.Slot),
        ];
        Outputs = [own, .. state, .. slots.Where(s => s.Slot.Role == SlotRole.ConstraintState).Select(s => s.Slot)];
        Body = Write;
    }

    /// <summary>The links that apply to the parameter, in order. Kernels match on these.</summary>
    public IReadOnlyList<UpdateLink> Links { get; }

    /// <summary>What the links contribute, in order.</summary>
    public IReadOnlyList<LinkSlot> Slots { get; }

    /// <summary>The operator that steps a parameter.</summary>
    public static UpdateDefinition Of(UpdateRule rule, ParameterSpec parameter)
    {
        UpdateLink[] links = [.. rule.Links.Where(l => l.AppliesTo(parameter))];
        return new(links, parameter, [.. links.SelectMany(l => l.Slots(parameter))]);
    }

    /// <summary>The operators of an optimizer by their names.</summary>
    public static IReadOnlyDictionary<string, UpdateDefinition> All(OptimizerOptions options, IEnumerable<ParameterSpec> parameters) =>
        parameters
        .Select(p => Of(options.Groups[p.Group], p)).DistinctBy(d => d.Name).ToDictionary(d => d.Name, StringComparer.Ordinal);

    private Value[] Write(GraphBuilder g, Operands x)
    {
        var body = new UpdateBody(g, x);
        bool stepped = false;
        foreach (UpdateLink link in Links)
        {
            if (link.Stage == UpdateStage.NewParameter && !stepped)
            {
                body.TakeStep();
                stepped = true;
            }
            g.Scope = link.Scope;
            link.Emit(body);
        }
        if (!stepped) body.TakeStep();
        g.Scope = "";
        return [.. Outputs.Select(o => Result(body, o))];
    }

    private static Value Result(UpdateBody body, OperatorSlot output) => output.Role switch
    {
        SlotRole.Parameter => body.Select(body.Parameter, body.In("parameter")),
        SlotRole.State => body.Select(body.NewState[output.Name], body.In(output.Name)),
        // A link selects within the row itself.
        _ => body.NewState[output.Name],
    };
}
