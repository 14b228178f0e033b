using System.Collections.Immutable;
using System.Globalization;
using OrtCpr.Graph;
using OrtCpr.Graph.Parameters;

namespace OrtCpr;

/// <summary>Keeps parameters frozen in the first epochs of a fit, such as the body of a model whose head is new.</summary>
/// <remarks>While they are frozen their gradients are not computed, so that these epochs are about as fast as the forward pass. The bound
/// of a frozen matrix is set by its own steps, which begin when it is unfrozen. A checkpoint keeps what is frozen.</remarks>
public sealed class FreezeUntilEpoch : TrainerCallback
{
    private readonly long _epoch;
    private readonly ImmutableArray<NamePattern> _parameters;

    /// <summary>Freezes parameters until an epoch begins.</summary>
    /// <param name="epoch">The first epoch in which they are trained, counted from 0, at least 1.</param>
    /// <param name="parameters">Names: exact, with * and ?, or <c>regex:…</c>; at least one.</param>
    /// <exception cref="OptionException">The epoch is below 1, or there is no pattern.</exception>
    public FreezeUntilEpoch(long epoch, params IReadOnlyList<NamePattern> parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        var problems = new List<string>();
        if (epoch < 1) problems.Add(string.Create(CultureInfo.InvariantCulture, $"the epoch is {epoch}; expected at least 1"));
        if (parameters.Count == 0) problems.Add("no parameter is named; expected at least one pattern");
        OptionException.ThrowIfAny($"{nameof(FreezeUntilEpoch)} has arguments out of range", problems);
        _epoch = epoch;
        _parameters = [.. parameters];
    }

    /// <inheritdoc/>
    public override void OnFitBegin(Trainer trainer, FitOptions options, long step)
    {
        ArgumentNullException.ThrowIfNull(trainer);
        // A run that goes on has what its checkpoint says.
        if (step == 0) trainer.Driver.Optimizer.Freeze([.. _parameters]);
    }

    /// <inheritdoc/>
    public override void OnEpochEnd(Trainer trainer, EpochReport report, FitControl control)
    {
        ArgumentNullException.ThrowIfNull(trainer);
        ArgumentNullException.ThrowIfNull(report);
        if (report.IsWhole && report.Epoch + 1 == _epoch) trainer.Driver.Optimizer.Unfreeze([.. _parameters]);
    }
}
