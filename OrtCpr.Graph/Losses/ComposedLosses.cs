using System.Collections.Immutable;
using OrtCpr.Graph.Ir;
using static System.FormattableString;

namespace OrtCpr.Graph.Losses;

/// <summary>A weighted sum of losses, on one output or several.</summary>
/// <remarks>Losses of one output that name the same labels share them. Losses of different outputs need labels of their own;
/// labels of a name that was given to each of them are shared where type and shape agree. Logs have the value of each term.</remarks>
/// <param name="Terms">Each loss with its factor; at least one.</param>
public sealed record WeightedSumLoss(params ImmutableArray<(Loss Loss, double Weight)> Terms) : Loss
{
    /// <inheritdoc/>
    public override IReadOnlyList<string> Labels => Terms.IsDefault ? [] : [.. Terms.SelectMany(t => t.Loss.Labels).Distinct()];

    internal override IEnumerable<(Loss Loss, double Factor)> Parts =>
        Terms.SelectMany(t => t.Loss.Parts.Select(p => (p.Loss, p.Factor * t.Weight)));

    /// <summary>Its parts are attached, one by one.</summary>
    internal override LossValue Attach(LossContext context) => throw new InvalidOperationException("A sum is attached part by part.");

    internal override IEnumerable<string> Problems() => Terms.IsDefaultOrEmpty ? [$"{nameof(Terms)} is empty; expected at least one loss"]
        : Terms.SelectMany((t, i) =>
            t.Loss.Problems().Concat(double.IsFinite(t.Weight) ? [] : [Invariant($"Weight is {t.Weight}; expected a finite number")])
            .Select(p => $"{nameof(Terms)}[{i}]: {p}"));
}

/// <summary>A loss of the user's own, written with the operator builder.</summary>
/// <param name="Build">Takes outputs and labels from the context and gives the scalar loss. Operators must have gradient rules.</param>
public sealed record CustomLoss(Func<LossContext, Value> Build) : Loss
{
    /// <summary>Writes the number that the loss divides by, a scalar: evaluated losses and accumulated gradients of several batches
    /// are weighted by it. Null (default) for the number of examples.</summary>
    public Func<LossContext, Value>? Divisor { get; init; }

    internal override LossValue Attach(LossContext context)
    {
        int first = context.G.Emitted.Count;
        Value value = Scalar(context, Build(context), first, "");
        if (Divisor is null) return new(context.G.Term(value), LossDivisor.Examples);
        first = context.G.Emitted.Count;
        return new(context.G.Term(value), LossDivisor.Labels, context.G.Cast(Scalar(context, Divisor(context), first, " divides by"),
            value.Type));
    }

    private static Value Scalar(LossContext context, Value value, int first, string part)
    {
        if (context.Foreign(first, value) is { Length: > 0 } foreign)
        {
            throw new OptionException(
                $"The custom loss uses {string.Join(", ", foreign.Select(v => $"'{v.Name}'"))}, which the graph does not have. "
                + "Take outputs and labels from the context, and write operators with its builder G.");
        }
        if (!value.Type.IsFloating() && part.Length == 0)
            throw new OptionException($"The custom loss '{value.Name}' is {value.Type}; expected a floating scalar.");
        if (value.Shape is not { Rank: 0 })
        {
            throw new OptionException(
                $"The custom loss{part} '{value.Name}'{(part.Length == 0 ? " has" : ", of")} shape "
                + $"{value.Shape?.ToString() ?? "of unknown rank"}; expected a scalar. "
                + "Reduce it by ReduceMean or ReduceSum with keepDims off.");
        }
        return value;
    }
}
