using System.Collections.Immutable;
using OrtCpr.Graph.Ir;
using static System.FormattableString;

namespace OrtCpr.Graph.Losses;

/// <summary>A weighted sum of losses, on one output or several.</summary>
/// <remarks>Losses that name the same labels share them.</remarks>
/// <param name="Terms">Each loss with its factor; at least one.</param>
public sealed record WeightedSumLoss(params ImmutableArray<(Loss Loss, double Weight)> Terms) : Loss
{
    /// <inheritdoc/>
    public override IReadOnlyList<string> Labels => Terms.IsDefault ? [] : [.. Terms.SelectMany(t => t.Loss.Labels).Distinct()];

    internal override Value Attach(LossContext context)
    {
        Value? sum = null;
        foreach ((Loss loss, double weight) in Terms)
        {
            Term value = context.G.Term(loss.Attach(context));
            if (weight != 1) value *= weight;
            sum = sum is null ? value : sum + value;
        }
        return sum!;
    }

    internal override IEnumerable<string> Problems() => Terms.IsDefaultOrEmpty ? [$"{nameof(Terms)} is empty; expected at least one loss"]
        : Terms.SelectMany((t, i) =>
            t.Loss.Problems().Concat(double.IsFinite(t.Weight) ? [] : [Invariant($"Weight is {t.Weight}; expected a finite number")])
            .Select(p => $"{nameof(Terms)}[{i}]: {p}"));
}

/// <summary>A loss of the user's own, written with the operator builder.</summary>
/// <param name="Build">Takes outputs and labels from the context and gives the scalar loss. Operators must have gradient rules.</param>
public sealed record CustomLoss(Func<LossContext, Value> Build) : Loss
{
    internal override Value Attach(LossContext context)
    {
        int first = context.G.Emitted.Count;
        Value value = Build(context);
        if (context.Foreign(first, value) is { Length: > 0 } foreign)
        {
            throw new OptionException(
                $"The custom loss uses {string.Join(", ", foreign.Select(v => $"'{v.Name}'"))}, which the graph does not have. "
                + "Take outputs and labels from the context, and write operators with its builder G.");
        }
        if (!value.Type.IsFloating())
            throw new OptionException($"The custom loss '{value.Name}' is {value.Type}; expected a floating scalar.");
        if (value.Shape is not { Rank: 0 })
        {
            throw new OptionException(
                $"The custom loss '{value.Name}' has shape {value.Shape?.ToString() ?? "of unknown rank"}; expected a scalar. "
                + "Reduce it by ReduceMean or ReduceSum with keepDims off.");
        }
        return value;
    }
}
