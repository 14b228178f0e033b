using System.Diagnostics;
using System.Globalization;

namespace OrtCpr.Logging;

/// <summary>A line that tells how far a fit is: steps, rate, time left, loss, learning rate, active constraints, the
/// last evaluation.</summary>
/// <remarks>In a terminal one line is written over again, ten times a second at most; elsewhere a line appears every
/// <c>interval</c>. A line with an evaluation stays where the one before is an <c>interval</c> ago.</remarks>
/// <param name="output">Where to; the standard error stream as a rule, which leaves the standard output to results.</param>
/// <param name="isTerminal">Whether lines can be written over.</param>
/// <param name="interval">Time between two lines that stay; null for ten seconds.</param>
public sealed class ProgressBar(TextWriter output, bool isTerminal, TimeSpan? interval = null) : TrainerCallback
{
    /// <inheritdoc/>
    public override bool IsForFirstRank => true;

    private static readonly TimeSpan Blink = TimeSpan.FromMilliseconds(100), Quiet = TimeSpan.FromSeconds(10);
    private readonly TimeSpan _interval = isTerminal ? Blink : interval ?? Quiet;
    private TimeSpan? _kept;
    private readonly Stopwatch _clock = new();
    private TimeSpan _shown;
    private long _first, _last;
    private long? _total;
    private int _length;
    private WeightedMean _loss;
    private StepReport? _latest;
    private string _evaluation = "";

    /// <summary>A bar on the standard error stream.</summary>
    public static ProgressBar ToStandardError() => new(Console.Error, !Console.IsErrorRedirected);

    /// <inheritdoc/>
    public override void OnFitBegin(Trainer trainer, FitOptions options, long step)
    {
        ArgumentNullException.ThrowIfNull(options);
        (_first, _last, _total, _shown, _kept, _loss, _evaluation, _latest) =
            (step, step, options.TotalSteps, TimeSpan.Zero, null, default, "", null);
        _clock.Restart();
    }

    /// <inheritdoc/>
    public override void OnStepEnd(Trainer trainer, StepReport report, FitControl control)
    {
        ArgumentNullException.ThrowIfNull(report);
        if (report.Applied) _loss.Add(report.Loss, 1);
        (_last, _latest) = (report.Step, report);
        if (_clock.Elapsed - _shown >= _interval) Show(trainer);
    }

    /// <inheritdoc/>
    public override void OnEvaluated(Trainer trainer, EvaluationReport report, FitControl control)
    {
        ArgumentNullException.ThrowIfNull(report);
        IEnumerable<(string Name, double Value)> figures = report.Metrics.Select(m => (m.Key, m.Value)).Prepend(("loss", report.Loss));
        IEnumerable<string> texts = figures.Select(m => string.Create(CultureInfo.InvariantCulture, $"{m.Name} {m.Value:G5}"));
        _evaluation = $"  validation {string.Join(" ", texts)}";
        // Frequent evaluations are seen on the line that is written over, and now and then on one that stays.
        if (_kept is not TimeSpan kept || _clock.Elapsed - (isTerminal ? kept : _shown) >= (interval ?? Quiet))
        {
            Show(trainer, stays: true);
            _kept = _clock.Elapsed;
        }
        else if (isTerminal)
        {
            Show(trainer);
        }
    }

    /// <inheritdoc/>
    public override void OnFitEnd(Trainer trainer)
    {
        if (_latest is not null && (_loss.Weight > 0 || _evaluation.Length > 0)) Show(trainer, stays: true);
        else if (isTerminal && _length > 0) output.WriteLine();
    }

    /// <inheritdoc/>
    public override void OnWarning(Trainer trainer, string message)
    {
        if (isTerminal && _length > 0) output.WriteLine();
        _length = 0;
        output.WriteLine($"warning: {message}");
        output.Flush();
    }

    private void Show(Trainer trainer, bool stays = false)
    {
        if (_latest is null) return;
        string of = _total is long n ? $"/{n}" : "";
        double rate = (_last - _first) / Math.Max(1e-9, _clock.Elapsed.TotalSeconds);
        int bounds = trainer.Driver.Optimizer.Plan.Constrained.Count;
        string active = bounds == 0 ? "" : $"  {trainer.Driver.Optimizer.GetConstraints().Count(c => c.Lambda > 0)}/{bounds} bounds active";
        string line = string.Create(CultureInfo.InvariantCulture,
            $"epoch {_latest.Epoch + 1}  step {_last}{of}  {Rate(rate)}{Left(rate)}  loss "
            + $"{(_loss.Weight > 0 ? _loss.Value : _latest.Loss):G5}{Terms(_latest)}  lr {_latest.LearningRate:G3}{active}{_evaluation}");
        (_shown, _loss, _evaluation) = (_clock.Elapsed, default, stays ? "" : _evaluation);
        if (isTerminal)
        {
            int width = Width();
            if (line.Length > width) line = line[..width];
            output.Write($"\r{line.PadRight(Math.Min(_length, width))}{(stays ? Environment.NewLine : "")}");
            _length = stays ? 0 : line.Length;
        }
        else
        {
            output.WriteLine(line);
        }
        output.Flush();
    }

    /// <summary>The terms of a sum of losses in the last step.</summary>
    private static string Terms(StepReport report) => report.LossTerms.Count == 0 ? ""
        : $" ({string.Join(", ", report.LossTerms.Select(t => string.Create(CultureInfo.InvariantCulture, $"{t.Key} {t.Value:G4}")))})";

    private static string Rate(double rate) =>
        string.Create(CultureInfo.InvariantCulture, $"{(rate >= 10 ? $"{rate:F0}" : $"{rate:G3}")} steps/s");

    private string Left(double rate)
    {
        if (_total is not long total || rate <= 0 || total <= _last) return "";
        double seconds = (total - _last) / rate;
        return seconds > TimeSpan.MaxValue.TotalSeconds / 2 ? "" : TimeSpan.FromSeconds(seconds) is var left && left.TotalHours >= 1
            ? $"  {(int)left.TotalHours}:{left.Minutes:D2}:{left.Seconds:D2} left" : $"  {left.Minutes}:{left.Seconds:D2} left";
    }

    private static int Width()
    {
        try
        {
            return Console.WindowWidth > 1 ? Console.WindowWidth - 1 : 120;
        }
        catch (IOException)
        {
            return 120;
        }
    }
}
