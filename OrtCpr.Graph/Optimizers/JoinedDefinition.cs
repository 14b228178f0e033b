using System.Diagnostics.CodeAnalysis;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Graph.Optimizers;

/// <summary>
/// An update operator over many parameters that lie one after the other in flat buffers: the slots of the update of one parameter, with
/// vectors for settings and indices, and where each parameter begins. It exists as a kernel only; its body is the graph with one node a
/// parameter, from which <see cref="JoinUpdates"/> makes it.
/// </summary>
internal sealed class JoinedDefinition : OperatorDefinition
{
    [SetsRequiredMembers]
    public JoinedDefinition(UpdateDefinition single)
    {
        Single = single;
        Name = $"{single.Name}_joined";
        Inputs = [.. single.Inputs, new("starts", SlotType.Int64), new("lengths", SlotType.Int64)];
        Outputs = [.. single.Outputs.Select(o => o.Role == SlotRole.ConstraintState ? o with { ShapeOf = o.Name } : o)];
    }

    /// <summary>The update of one parameter.</summary>
    public UpdateDefinition Single { get; }
}
