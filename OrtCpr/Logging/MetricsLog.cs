using Microsoft.Extensions.Logging;
using OrtCpr.Graph;

namespace OrtCpr.Logging;

/// <summary>One line of a log: figures at a step.</summary>
public sealed record LogEntry
{
    /// <summary>Steps so far.</summary>
    public required long Step { get; init; }

    /// <summary>Epoch, from 0.</summary>
    public required long Epoch { get; init; }

    /// <summary>Seconds since the fit began.</summary>
    public required double Seconds { get; init; }

    /// <summary>Figures by name: <c>loss</c>, <c>loss.…</c> of each term of a sum of losses, <c>learning_rate</c> and
    /// <c>active_constraints</c> of a step; <c>validation_loss</c>, <c>validation_loss.…</c> and <c>validation_…</c> of an
    /// evaluation, <c>NAME_loss</c> and <c>NAME_…</c> of each source of <see cref="FitOptions.AlsoEvaluate"/>.</summary>
    public required IReadOnlyList<(string Name, double Value)> Values { get; init; }
}

/// <summary>Writes the figures of steps and evaluations somewhere. A log of a resumed run goes on after the step that was saved.</summary>
/// <param name="every">Steps between two entries; their losses are averaged. 0 for entries of evaluations alone.</param>
public abstract class MetricsLog(int every) : TrainerCallback
{
    /// <inheritdoc/>
    public override bool IsForFirstRank => true;

    /// <summary>A CSV file with the columns <c>step, epoch, seconds, loss, learning_rate, active_constraints,
    /// validation_loss, validation_…</c>; empty where an entry has no such figure.</summary>
    /// <param name="path">The file; written over, but when a run is resumed: then it goes on, or is set aside where its
    /// columns are other ones.</param>
    /// <param name="every">Steps between two entries; 0 for entries of evaluations alone. Default 10.</param>
    /// <exception cref="OptionException"><paramref name="every"/> is below 0.</exception>
    public static MetricsLog ToCsv(string path, int every = 10) => new CsvLog(path, every);

    /// <summary>A file with one JSON object a line: <c>step</c>, <c>epoch</c>, <c>seconds</c> and the figures by name;
    /// null for NaN and infinities.</summary>
    /// <param name="path">The file; written over, but when a run is resumed.</param>
    /// <param name="every">Steps between two entries; 0 for entries of evaluations alone. Default 10.</param>
    /// <exception cref="OptionException"><paramref name="every"/> is below 0.</exception>
    public static MetricsLog ToJsonLines(string path, int every = 10) => new JsonLinesLog(path, every);

    /// <summary>Figures for TensorBoard: <c>train/loss</c>, <c>train/learning_rate</c>, <c>validation/…</c>, and for each
    /// constrained matrix <c>cpr_lambda/…</c>, <c>cpr_kappa/…</c>, <c>cpr_measure/…</c>.</summary>
    /// <param name="folder">The run's folder; each sitting adds a file.</param>
    /// <param name="every">Steps between two entries; 0 for entries of evaluations alone. Default 10.</param>
    /// <param name="constraints">Whether λ, κ and R of each matrix are written too; measuring R reads the matrix.
    /// Default true.</param>
    /// <exception cref="OptionException"><paramref name="every"/> is below 0.</exception>
    public static MetricsLog ToTensorBoard(string folder, int every = 10, bool constraints = true) =>
        new TensorBoardLog(folder, every, constraints);

    /// <summary>Messages of an <see cref="ILogger"/>, level information; warnings of the fit are warnings there.</summary>
    /// <param name="logger">Stays the caller's.</param>
    /// <param name="every">Steps between two messages; 0 for evaluations alone. Default 100.</param>
    /// <exception cref="OptionException"><paramref name="every"/> is below 0.</exception>
    public static MetricsLog ToLogger(ILogger logger, int every = 100) => new LoggerLog(logger, every);

    /// <summary>λ, κ and R over time: a CSV file with the columns <c>step, name, lambda, kappa, measure</c>, a row a
    /// constrained matrix every few steps, or at each evaluation; κ is empty while it is not set.</summary>
    /// <remarks>Measuring R reads every constrained matrix. Nothing is written when no parameter is constrained.</remarks>
    /// <param name="path">The file; written over, but when a run is resumed.</param>
    /// <param name="every">Steps between two rows of a matrix; 0 for a row at each evaluation. Default 10.</param>
    /// <exception cref="OptionException"><paramref name="every"/> is below 0.</exception>
    public static TrainerCallback ConstraintsToCsv(string path, int every = 10) => new ConstraintLog(path, every);

    private readonly int _every = every >= 0 ? every
        : throw new OptionException($"A log's {nameof(every)} is {every}; expected at least 0.");
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
        if (!HasSteps) return;
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

    /// <summary>Whether there are entries of steps.</summary>
    private protected bool HasSteps => _every > 0;

    /// <summary>The steps since the entry before.</summary>
    private void WriteSteps(Trainer trainer, StepReport report)
    {
        OptimizerDriver optimizer = trainer.Driver.Optimizer;
        List<(string, double)> values =
            [("loss", _loss.Value), .. _terms.Select(t => (TermColumn(t.Key), t.Value.Value)), ("learning_rate", report.LearningRate)];
        if (optimizer.Plan.Constrained.Count > 0) values.Add(("active_constraints", optimizer.GetConstraints().Count(c => c.Lambda > 0)));
        (_loss, _last) = (default, null);
        _terms.Clear();
        Write(new LogEntry { Step = report.Step, Epoch = report.Epoch, Seconds = report.Elapsed.TotalSeconds, Values = values });
        WriteConstraints(trainer, report.Step);
    }

    /// <inheritdoc/>
    public sealed override void OnEvaluated(Trainer trainer, EvaluationReport report, FitControl control)
    {
        ArgumentNullException.ThrowIfNull(report);
        Write(new LogEntry
        {
            Step = report.Step,
            Epoch = report.Epoch,
            Seconds = report.Elapsed.TotalSeconds,
            Values = [.. Figures("validation", report), .. report.Also.SelectMany(also => Figures(also.Key, also.Value))],
        });
        if (!HasSteps) WriteConstraints(trainer, report.Step);
    }

    private static IEnumerable<(string, double)> Figures(string source, EvaluationReport report) =>
        [($"{source}_loss", report.Loss), .. report.LossTerms.Select(t => ($"{source}_{TermColumn(t.Key)}", t.Value)),
            .. report.Metrics.Select(m => ($"{source}_{m.Key}", m.Value))];

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
    /// <param name="entry">Figures of steps, or of an evaluation.</param>
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
