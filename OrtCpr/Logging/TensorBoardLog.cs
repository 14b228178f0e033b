using System.Diagnostics.CodeAnalysis;
using OrtCpr.Graph;

namespace OrtCpr.Logging;

/// <summary>Figures of steps and evaluations for TensorBoard: <c>train/loss</c>, <c>train/learning_rate</c>,
/// <c>validation/…</c>, <c>NAME/…</c> of <see cref="FitOptions.AlsoEvaluate"/>, and for each constrained matrix
/// <c>cpr_lambda/…</c>, <c>cpr_kappa/…</c>, <c>cpr_measure/…</c>.</summary>
/// <param name="folder">The run's folder; each sitting adds a file.</param>
/// <param name="every">Steps between two entries; 0 for evaluations alone.</param>
/// <param name="constraints">Whether λ, κ and R of each matrix are written too; measuring R reads the matrix. Default true.</param>
[SuppressMessage("Design", "CA1001", Justification = "OnFitEnd closes the file, and every fit calls it.")]
internal sealed class TensorBoardLog(string folder, int every, bool constraints) : MetricsLog(every)
{
    private string[] _sources = [];
    private TensorBoardWriter? _writer;

    /// <inheritdoc/>
    /// <exception cref="FileAccessException">The file can't be made.</exception>
    protected override void Begin(Trainer trainer, FitOptions options, long step)
    {
        ArgumentNullException.ThrowIfNull(options);
        _sources = [.. options.AlsoEvaluate.Select(s => s.Name).Prepend("validation")];
        _writer = new TensorBoardWriter(folder);
    }

    /// <inheritdoc/>
    protected override void Write(LogEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        foreach ((string name, double value) in entry.Values)
        {
            string? source = _sources.FirstOrDefault(s => name.StartsWith($"{s}_", StringComparison.Ordinal));
            _writer!.AddScalar(source is null ? $"train/{name}" : $"{source}/{name[(source.Length + 1)..]}", entry.Step, value);
        }

        _writer!.Flush();
    }

    /// <inheritdoc/>
    protected override void End() => _writer?.Dispose();

    private protected override void WriteConstraints(Trainer trainer, long step)
    {
        if (!constraints) return;
        foreach (ConstraintInfo row in trainer.Driver.Optimizer.MeasureConstraints())
        {
            _writer!.AddScalar($"cpr_lambda/{row.Name}", step, row.Lambda);
            if (row.IsSet) _writer.AddScalar($"cpr_kappa/{row.Name}", step, row.Kappa);
            _writer.AddScalar($"cpr_measure/{row.Name}", step, row.Measure);
        }
        _writer!.Flush();
    }
}
