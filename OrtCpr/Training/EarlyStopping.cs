using System.Globalization;
using OrtCpr.Graph;

namespace OrtCpr;

/// <summary>Ends a fit when a figure of its evaluations has not become better for some time.</summary>
/// <param name="patience">Evaluations without an improvement after which the fit ends, at least 1.</param>
/// <param name="monitor"><c>loss</c> (of the evaluation) or a metric's name. Default <c>loss</c>.</param>
/// <param name="minDelta">What counts as an improvement must exceed the best by this, at least 0. Default 0.</param>
public sealed class EarlyStopping(int patience, string monitor = "loss", double minDelta = 0) : TrainerCallback
{
    private FitOptions? _fit;

    /// <summary>The best value so far; NaN before the first evaluation.</summary>
    public double Best { get; private set; } = double.NaN;

    /// <summary>Evaluations since then.</summary>
    public int Waited { get; private set; }

    /// <inheritdoc/>
    public override string? State => string.Create(CultureInfo.InvariantCulture, $"{Best:R} {Waited}");

    /// <inheritdoc/>
    public override bool IsOver => Waited >= patience;

    /// <inheritdoc/>
    /// <exception cref="CheckpointException">It is damaged.</exception>
    public override void Restore(string state)
    {
        ArgumentNullException.ThrowIfNull(state);
        if (state.Split(' ') is not [string first, string second]
            || !double.TryParse(first, NumberStyles.Float, CultureInfo.InvariantCulture, out double best)
            || !int.TryParse(second, NumberStyles.None, CultureInfo.InvariantCulture, out int waited))
        {
            throw new CheckpointException(
                $"The state of {nameof(EarlyStopping)} in the checkpoint is damaged: found '{state}', expected the best figure and "
                + $"the evaluations since then. Go on from another checkpoint, or begin anew without {nameof(CheckpointOptions.Resume)}.");
        }
        (Best, Waited) = (best, waited);
    }

    /// <inheritdoc/>
    /// <exception cref="OptionException">A parameter is out of range, or nothing of that name is evaluated.</exception>
    public override void OnFitBegin(Trainer trainer, FitOptions options, long step)
    {
        ArgumentNullException.ThrowIfNull(options);
        var problems = new List<string>();
        if (patience < 1) problems.Add($"{nameof(patience)} is {patience}; expected at least 1");
        if (!(minDelta >= 0)) problems.Add(FormattableString.Invariant($"{nameof(minDelta)} is {minDelta}; expected at least 0"));
        if (options.Validation is null) problems.Add($"there is no {nameof(FitOptions.Validation)} to wait for");
        Monitor.AddProblems(problems, nameof(monitor), monitor, options);
        OptionException.ThrowIfAny($"{nameof(EarlyStopping)} has options out of range", problems);
        _fit = options;
        if (step > 0) return;
        (Best, Waited) = (double.NaN, 0);
    }

    /// <inheritdoc/>
    public override void OnEvaluated(Trainer trainer, EvaluationReport report, FitControl control)
    {
        ArgumentNullException.ThrowIfNull(report);
        ArgumentNullException.ThrowIfNull(control);
        if (Monitor.IsBetter(report[monitor], Best, Monitor.IsHigherBetter(_fit!, monitor), minDelta))
            (Best, Waited) = (report[monitor], 0);
        else if (++Waited >= patience) control.StopRequested = true;
    }
}
