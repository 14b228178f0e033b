using System.Globalization;
using OrtCpr.Graph;
using OrtCpr.Graph.Files;

namespace OrtCpr.Logging;

/// <summary>A CSV file with the columns <c>step, name, lambda, kappa, measure</c>, a row a constrained matrix every few
/// steps, or at each evaluation; κ is empty while it is not set.</summary>
/// <remarks>Measuring R reads every constrained matrix. Nothing is written when no parameter is constrained; the file of
/// an earlier run is removed then.</remarks>
/// <param name="path">The file; written over, but when a run is resumed.</param>
/// <param name="every">Steps between two rows of a matrix; 0 for a row at each evaluation.</param>
internal sealed class ConstraintLog(string path, int every) : TrainerCallback
{
    /// <inheritdoc/>
    public override bool IsForFirstRank => true;

    private const string Head = "step,name,lambda,kappa,measure";
    private readonly int _every = every >= 0 ? every
        : throw new OptionException($"A log's {nameof(every)} is {every}; expected at least 0.");
    private LogFile? _file;

    /// <inheritdoc/>
    /// <exception cref="FileAccessException">The file can't be made.</exception>
    public override void OnFitBegin(Trainer trainer, FitOptions options, long step)
    {
        ArgumentNullException.ThrowIfNull(trainer);
        ArgumentNullException.ThrowIfNull(options);
        if (trainer.Driver.Optimizer.Plan.Constrained.Count == 0)
        {
            // What an earlier run has left there is none of this one's.
            if (step == 0 && File.Exists(path)) FileGuard.Write(path, () => File.Delete(path));
            return;
        }
        _file = LogFile.Open(path, Head, step, line =>
            line.Split(',') is { Length: >= 5 } cells
            && long.TryParse(cells[0], NumberStyles.None, CultureInfo.InvariantCulture, out long at) ? at : null,
            message => options.Warned?.Invoke(message));
    }

    /// <inheritdoc/>
    public override void OnStepEnd(Trainer trainer, StepReport report, FitControl control)
    {
        ArgumentNullException.ThrowIfNull(trainer);
        ArgumentNullException.ThrowIfNull(report);
        if (_every > 0 && report.Step % _every == 0) Write(trainer, report.Step);
    }

    /// <inheritdoc/>
    public override void OnEvaluated(Trainer trainer, EvaluationReport report, FitControl control)
    {
        ArgumentNullException.ThrowIfNull(trainer);
        ArgumentNullException.ThrowIfNull(report);
        if (_every == 0) Write(trainer, report.Step);
    }

    private void Write(Trainer trainer, long step)
    {
        if (_file is null) return;
        foreach (ConstraintInfo row in trainer.Driver.Optimizer.MeasureConstraints())
        {
            string kappa = row.IsSet ? row.Kappa.ToString("R", CultureInfo.InvariantCulture) : "";
            _file.Append(string.Create(
                CultureInfo.InvariantCulture, $"{step},{Quoted(row.Name)},{row.Lambda:R},{kappa},{row.Measure:R}"));
        }
    }

    /// <inheritdoc/>
    public override void OnFitEnd(Trainer trainer) => _file?.Dispose();

    private static string Quoted(string name) =>
        name.AsSpan().ContainsAny(",\"\n") ? $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : name;
}
