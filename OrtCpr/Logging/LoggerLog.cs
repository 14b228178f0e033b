using System.Globalization;
using Microsoft.Extensions.Logging;

namespace OrtCpr.Logging;

/// <summary>Figures of steps and evaluations as messages of an <see cref="ILogger"/>, level information.</summary>
/// <param name="logger">Stays the caller's.</param>
/// <param name="every">Steps between two messages; 0 for evaluations alone.</param>
internal sealed partial class LoggerLog(ILogger logger, int every) : MetricsLog(every)
{
    /// <inheritdoc/>
    protected override void Begin(Trainer trainer, FitOptions options, long step)
    {
        ArgumentNullException.ThrowIfNull(options);
        Began(logger, step, options.TotalSteps);
    }

    /// <inheritdoc/>
    protected override void Write(LogEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        if (!logger.IsEnabled(LogLevel.Information)) return;
        string figures = string.Join(", ", entry.Values.Select(v => string.Create(CultureInfo.InvariantCulture, $"{v.Name} {v.Value:G6}")));
        Reached(logger, entry.Step, entry.Epoch, figures);
    }

    /// <inheritdoc/>
    public override void OnWarning(Trainer trainer, string message) => Warned(logger, message);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Warning}")]
    private static partial void Warned(ILogger logger, string warning);

    [LoggerMessage(Level = LogLevel.Information, Message = "training from step {Step}, {Total} in all")]
    private static partial void Began(ILogger logger, long step, long? total);

    [LoggerMessage(Level = LogLevel.Information, Message = "step {Step} epoch {Epoch}: {Figures}")]
    private static partial void Reached(ILogger logger, long step, long epoch, string figures);
}
