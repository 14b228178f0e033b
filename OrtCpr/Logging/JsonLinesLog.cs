using System.Text.Json;
using System.Text.Json.Nodes;
using OrtCpr.Graph;

namespace OrtCpr.Logging;

/// <summary>A file with one JSON object a line: <c>step</c>, <c>epoch</c>, <c>seconds</c> and the figures by name; null
/// for NaN and infinities.</summary>
/// <param name="path">The file; written over, but when a run is resumed.</param>
/// <param name="every">Steps between two entries; 0 for evaluations alone.</param>
internal sealed class JsonLinesLog(string path, int every) : MetricsLog(every)
{
    private LogFile? _file;

    /// <inheritdoc/>
    /// <exception cref="FileAccessException">The file can't be made.</exception>
    protected override void Begin(Trainer trainer, FitOptions options, long step) =>
        _file = LogFile.Open(path, null, step, StepOf, message => options.Warned?.Invoke(message));

    /// <inheritdoc/>
    protected override void Write(LogEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        var line = new JsonObject { ["step"] = entry.Step, ["epoch"] = entry.Epoch, ["seconds"] = Math.Round(entry.Seconds, 3) };
        foreach ((string name, double value) in entry.Values) line[name] = double.IsFinite(value) ? value : null;
        _file!.Append(line.ToJsonString());
    }

    /// <inheritdoc/>
    protected override void End() => _file?.Dispose();

    private static long? StepOf(string line)
    {
        try
        {
            return JsonNode.Parse(line)?["step"]?.GetValue<long>();
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }
}
