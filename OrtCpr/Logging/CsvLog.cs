using System.Globalization;
using OrtCpr.Graph;

namespace OrtCpr.Logging;

/// <summary>A CSV file with the columns <c>step, epoch, seconds, loss, learning_rate, active_constraints,
/// validation_loss, validation_…</c>, with <c>loss.…</c> behind <c>loss</c> for each term of a sum of losses, and
/// <c>NAME_loss, NAME_…</c> of each source of <see cref="FitOptions.AlsoEvaluate"/>; empty where an entry has no such
/// figure.</summary>
/// <param name="path">The file; written over, but when a run is resumed: then it goes on, or is set aside where its
/// columns are other ones.</param>
/// <param name="every">Steps between two entries; 0 for entries of evaluations alone, without the columns of steps.</param>
internal sealed class CsvLog(string path, int every) : MetricsLog(every)
{
    private string[] _columns = [];
    private LogFile? _file;

    /// <inheritdoc/>
    /// <exception cref="FileAccessException">The file can't be made.</exception>
    protected override void Begin(Trainer trainer, FitOptions options, long step)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(trainer);
        string[] terms = trainer.Driver.Plan.LossTerms is { Count: > 1 } several ? [.. several.Select(t => TermColumn(t.Name))] : [],
            ofSteps = HasSteps ? ["loss", .. terms, "learning_rate", "active_constraints"] : [],
            figures = ["loss", .. terms, .. options.Metrics.Select(m => m.Name)];
        _columns = [.. ofSteps, .. options.AlsoEvaluate.Select(s => s.Name).Prepend("validation")
            .SelectMany(source => figures.Select(figure => $"{source}_{figure}"))];
        _file = LogFile.Open(path, string.Join(',', _columns.Prepend("seconds").Prepend("epoch").Prepend("step")), step, StepOf, message =>
            options.Warned?.Invoke(message));
    }

    /// <inheritdoc/>
    protected override void Write(LogEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        var values = entry.Values.ToDictionary(v => v.Name, v => v.Value, StringComparer.Ordinal);
        string cells =
            string.Join(',',
                _columns.Select(c => values.TryGetValue(c, out double value) ? value.ToString("R", CultureInfo.InvariantCulture) : ""));
        _file!.Append(string.Create(CultureInfo.InvariantCulture, $"{entry.Step},{entry.Epoch},{entry.Seconds:F3},{cells}"));
    }

    /// <inheritdoc/>
    protected override void End() => _file?.Dispose();

    /// <summary>A process that was killed may leave half a line, whose number of cells is another.</summary>
    private long? StepOf(string line) =>
        line.Split(',') is var cells && cells.Length == _columns.Length + 3
        && long.TryParse(cells[0], NumberStyles.None, CultureInfo.InvariantCulture, out long step) ? step : null;
}
