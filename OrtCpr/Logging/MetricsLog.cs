using OrtCpr.Graph;

namespace OrtCpr.Logging;

/// <summary>One line of a log: figures at a step.</summary>
/// <param name="Step">Steps so far.</param>
/// <param name="Epoch">Epoch, from 0.</param>
/// <param name="Seconds">Since the fit began.</param>
/// <param name="Values">Figures by name: <c>loss</c>, <c>loss.…</c> of each term of a sum of losses, <c>learning_rate</c> and
/// <c>active_constraints</c> of a step; <c>validation_loss</c>, <c>validation_loss.…</c> and <c>validation_…</c> of an evaluation.</param>
public sealed record LogEntry(long Step, long Epoch, double Seconds, IReadOnlyList<(string Name, double Value)> Values);

/// <summary>Writes the figures of steps and evaluations somewhere. A log of a resumed run goes on after the step that was saved.</summary>
/// <param name="every">Steps between two entries, at least 1; their losses are averaged.</param>
public abstract class MetricsLog(int every) : TrainerCallback
{
    private readonly int _every = every >= 1 ? every
        : throw new OptionException($"A log's {nameof(every)} is {every}; expected at least 1.");
    private WeightedMean _loss;
    private readonly Dictionary<string, WeightedMean> _terms = new(StringComparer.Ordinal);
    private StepReport? _last;

    /// <inheritdoc/>
    public sealed override void OnFitBegin(Trainer trainer, FitOptions options, long step)
    {
        ArgumentNullException.ThrowIfNull(trainer);
        ArgumentNullException.ThrowIfNull(options);
        (_loss, _last) = (default, null);
        _terms.Clear();
        Begin(trainer, options, step);
    }

    /// <inheritdoc/>
    public sealed override void OnStepEnd(Trainer trainer, StepReport report, FitControl control)
    {
        ArgumentNullException.ThrowIfNull(trainer);
        ArgumentNullException.ThrowIfNull(report);
        if (report.Applied)
        {
            _loss.Add(report.Loss, 1);
            foreach ((string name, double value) in report.LossTerms)
            {
                WeightedMean term = _terms.GetValueOrDefault(name);
                term.Add(value, 1);
                _terms[name] = term;
            }
        }
        _last = report;
        if (report.Step % _every == 0) WriteSteps(trainer, report);
    }

    /// <summary>The steps since the entry before.</summary>
    private void WriteSteps(Trainer trainer, StepReport report)
    {
        OptimizerDriver optimizer = trainer.Driver.Optimizer;
        List<(string, double)> values =
            [("loss", _loss.Value), .. _terms.Select(t => (TermColumn(t.Key), t.Value.Value)), ("learning_rate", report.LearningRate)];
        if (optimizer.Plan.Constrained.Count > 0) values.Add(("active_constraints", optimizer.GetConstraints().Count(c => c.Lambda > 0)));
        (_loss, _last) = (default, null);
        _terms.Clear();
        Write(new LogEntry(report.Step, report.Epoch, report.Elapsed.TotalSeconds, values));
        WriteConstraints(trainer, report.Step);
    }

    /// <inheritdoc/>
    public sealed override void OnEvaluated(Trainer trainer, EvaluationReport report, FitControl control)
    {
        ArgumentNullException.ThrowIfNull(report);
        Write(new LogEntry(report.Step, report.Epoch, report.Elapsed.TotalSeconds,
            [("validation_loss", report.Loss), .. report.LossTerms.Select(t => ($"validation_{TermColumn(t.Key)}", t.Value)),
                .. report.Metrics.Select(m => ($"validation_{m.Key}", m.Value))]));
    }

    /// <inheritdoc/>
    /// <remarks>Steps since the last entry get one of their own: a run shorter than the interval has one too.</remarks>
    public sealed override void OnFitEnd(Trainer trainer)
    {
        try
        {
            if (_last is StepReport last) WriteSteps(trainer, last);
        }
        finally
        {
            End();
        }
    }

    /// <summary>The name of a term's figure.</summary>
    private protected static string TermColumn(string term) => $"loss.{term}";

    /// <summary>Opens what is written to.</summary>
    /// <param name="trainer">The trainer, with the driver that it steps.</param>
    /// <param name="options">The options of the fit.</param>
    /// <param name="step">Steps made before.</param>
    protected abstract void Begin(Trainer trainer, FitOptions options, long step);

    /// <summary>Writes an entry.</summary>
    protected abstract void Write(LogEntry entry);

    /// <summary>Closes it; called also when opening has failed.</summary>
    protected virtual void End()
    {
    }

    /// <summary>For logs that show λ, κ and R as well.</summary>
    private protected virtual void WriteConstraints(Trainer trainer, long step)
    {
    }
}
