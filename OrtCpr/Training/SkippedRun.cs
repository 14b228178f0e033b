using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Building;

namespace OrtCpr;

/// <summary>Steps of a sitting as long as none has counted: keeps the batch that was at fault, and says what is wrong with
/// it when it is clear that no step will count. Owns the batch that it keeps.</summary>
internal sealed class SkippedRun(TrainingDriver driver) : IDisposable
{
    /// <summary>Steps after which a run that has none that counted is given up, and after which the end of an epoch is
    /// reason enough: one bad batch may be the first by chance.</summary>
    private const long Most = 100, MostAtEpochEnd = 10;

    private Batch? _kept;
    private bool _hasCounted;
    private long _skipped, _scaleFell;

    /// <summary>Whether a batch is kept here, so that its giver must not dispose it.</summary>
    public bool Keeps(Batch batch) => _kept == batch;

    /// <summary>After a batch of a step: the first whose loss is not finite is kept.</summary>
    public void AfterBatch(Batch batch, double loss)
    {
        if (!_hasCounted && _kept is null && !double.IsFinite(loss)) _kept = batch;
    }

    /// <summary>After a step.</summary>
    /// <param name="applied">Whether it counted.</param>
    /// <param name="last">Its last batch; null where that is gone.</param>
    /// <param name="loss">Its loss.</param>
    /// <remarks>While the loss scale falls on its way to one that fits, steps are skipped by design: those with a finite loss are not held
    /// against the run. A scale that has come down to 1 has no excuse.</remarks>
    /// <exception cref="NotFiniteException">So many were skipped that the run has no chance.</exception>
    public void AfterStep(bool applied, Batch? last, double loss)
    {
        if (_hasCounted) return;
        if (applied)
        {
            _hasCounted = true;
            if (_kept != last) _kept?.Dispose();
            _kept = null;
            return;
        }
        _kept ??= last;
        if (double.IsFinite(loss) && driver.Optimizer.LossScale > 1)
        {
            _scaleFell++;
            return;
        }
        if (++_skipped >= Most) throw Failure();
    }

    /// <summary>At the end of an epoch.</summary>
    /// <exception cref="NotFiniteException">All of its steps and of those before were skipped.</exception>
    public void AfterEpoch()
    {
        if (!_hasCounted && _skipped >= MostAtEpochEnd) throw Failure();
    }

    /// <summary>At the end of a run that began with this sitting.</summary>
    /// <exception cref="NotFiniteException">All of its steps were skipped.</exception>
    public void AtEnd()
    {
        if (!_hasCounted && _skipped + _scaleFell > 0) throw Failure();
    }

    public void Dispose()
    {
        _kept?.Dispose();
        _kept = null;
    }

    private NotFiniteException Failure()
    {
        FinitenessReport report = Find();
        string parameters = report.Parameters.Count == 0 ? ""
            : $" Gradients that are not finite: {string.Join(", ", report.Parameters.Take(10))}"
                + $"{(report.Parameters.Count > 10 ? $" and {report.Parameters.Count - 10} more" : "")}.";
        string cause = report.First is null && _scaleFell > 0
            ? $"The loss scale fell to {driver.Optimizer.LossScale} and the gradients of float16 still overflow: train for more steps, or "
                + "begin with a smaller LossScaling.InitialScale."
            : report.First is null
            ? "Each batch is finite when it is computed alone: the gradients overflow when they are added up."
            : $"First of all {report.Text}.";
        return new NotFiniteException(
            $"No step counted: all {_skipped + _scaleFell} were skipped, since the loss or a gradient was not finite. "
            + $"{cause}{parameters} Look for values out of its range in the data (Log, Sqrt or Div at 0 or below, an overflow of "
            + "Exp), scale the inputs, or change this part of the model and export it again.", report.First, report.Parameters);
    }

    private FinitenessReport Find()
    {
        string[] known = [.. driver.Plan.Trained.Select(p => p.Name).Where(p => !driver.GetGradient(p).IsFinite())];
        // A graph that exchanges sums is run by all ranks or none.
        if (_kept is null || (driver.Optimizer.Ranks.AreMany && driver.Plan.SumsOverRanks)) return new FinitenessReport(null, "", known);
        try
        {
            FinitenessReport report = driver.FindNotFinite(_kept);
            return report.Parameters.Count > 0 ? report : report with { Parameters = known };
        }
        // What cannot be found out must not hide that the run has failed.
        catch (Exception error) when (error is OnnxRuntimeException or OrtCprException)
        {
            return new FinitenessReport(null, "", known);
        }
    }
}
