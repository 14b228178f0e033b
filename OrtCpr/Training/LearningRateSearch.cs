using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Files;

namespace OrtCpr;

/// <summary>A trial of learning rates: short training with a rate that grows from step to step (Smith, Cyclical Learning Rates for
/// Training Neural Networks, section 3.3).</summary>
public sealed record LearningRateSearch
{
    /// <summary>The first rate, above 0. Default 1e-7.</summary>
    public double From { get; init; } = 1e-7;

    /// <summary>The last rate, above <see cref="From"/>. Default 1.</summary>
    public double To { get; init; } = 1;

    /// <summary>Steps at most, at least 10. Default 100.</summary>
    public int Steps { get; init; } = 100;

    /// <summary>Share that a step keeps of the mean of the losses before, from 0 to below 1. Default 0.9.</summary>
    public double Smoothing { get; init; } = 0.9;

    /// <summary>The search ends where the mean of the losses is so many times the least so far, above 1. Default 4.</summary>
    public double StopAt { get; init; } = 4;

    /// <summary>Trains the driver with growing rates, and puts it back as it was: parameters, state, rates and schedules.</summary>
    /// <param name="driver">Where groups have rates of their own, all grow in the same proportion, and the largest is told.</param>
    /// <param name="source">The batches, of as many epochs as the steps take.</param>
    /// <param name="cancellation">Ends it between two steps; the driver is put back then, too.</param>
    /// <returns>The losses, and the rate that they suggest.</returns>
    /// <exception cref="OptionException">An option is out of range.</exception>
    /// <exception cref="FileAccessException">The temporary file with the state can't be written.</exception>
    /// <exception cref="DriverException">A batch does not fit, or there is none.</exception>
    public LearningRateCurve Run(TrainingDriver driver, BatchSource source, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(driver);
        ArgumentNullException.ThrowIfNull(source);
        Validate();
        string state = Path.Combine(Path.GetTempPath(), $"ortcpr-{Guid.NewGuid():N}.safetensors");
        TrainingCheckpoint.Save(driver, state);
        try
        {
            return Search(driver, source, cancellation);
        }
        finally
        {
            TrainingCheckpoint.Load(driver, state);
            FileGuard.Write(state, () => File.Delete(state));
        }
    }

    private LearningRateCurve Search(TrainingDriver driver, BatchSource source, CancellationToken cancellation)
    {
        OptimizerDriver optimizer = driver.Optimizer;
        double[] shares = [.. Enumerable.Range(0, optimizer.Plan.Optimizer.Groups.Length).Select(g => optimizer.GetLearningRate(g))];
        double largest = shares.Max();
        shares = [.. shares.Select(s => largest > 0 ? s / largest : 1)];
        optimizer.SetSchedule(null);
        var points = new List<LearningRatePoint>();
        double mean = 0, least = double.PositiveInfinity;
        foreach (Batch batch in Batches(source))
        {
            using (batch)
            {
                cancellation.ThrowIfCancellationRequested();
                double rate = From * Math.Pow(To / From, (double)points.Count / (Steps - 1));
                for (int g = 0; g < shares.Length; g++) optimizer.SetLearningRate(rate * shares[g], g);
                double loss = driver.Step(batch);
                if (!double.IsFinite(loss)) break;
                mean = (Smoothing * mean) + ((1 - Smoothing) * loss);
                // The mean begins at 0, which its first values must not be taken for.
                double smooth = mean / (1 - Math.Pow(Smoothing, points.Count + 1));
                points.Add(new(rate, loss, smooth));
                if (smooth > StopAt * least && points.Count > 1 && least > 0) break;
                least = Math.Min(least, smooth);
                if (points.Count == Steps) break;
            }
        }
        return points.Count > 0 ? new LearningRateCurve(points)
            : throw new DriverException("The search for a learning rate had no batch with a finite loss. Check the data and the loss.");
    }

    private static IEnumerable<Batch> Batches(BatchSource source)
    {
        for (long epoch = 0; ; epoch++)
        {
            bool any = false;
            foreach (Batch batch in source.Batches(epoch))
            {
                any = true;
                yield return batch;
            }
            if (!any) yield break;
        }
    }

    private void Validate()
    {
        var problems = new List<string>();
        void Check(bool fits, FormattableString problem)
        {
            if (!fits) problems.Add(FormattableString.Invariant(problem));
        }
        Check(From > 0 && double.IsFinite(From), $"{nameof(From)} is {From}; expected a number above 0");
        Check(To > From && double.IsFinite(To), $"{nameof(To)} is {To}; expected a number above {nameof(From)}, {From}");
        Check(Steps >= 10, $"{nameof(Steps)} is {Steps}; expected at least 10");
        Check(Smoothing is >= 0 and < 1, $"{nameof(Smoothing)} is {Smoothing}; expected 0 to below 1");
        Check(StopAt > 1, $"{nameof(StopAt)} is {StopAt}; expected a number above 1");
        OptionException.ThrowIfAny("The search for a learning rate has options out of range", problems);
    }
}

/// <summary>One step of a <see cref="LearningRateSearch"/>.</summary>
/// <param name="Rate">The learning rate of the step.</param>
/// <param name="Loss">Loss of its batch, before the step.</param>
/// <param name="Smoothed">Mean of the losses so far, later ones counting more.</param>
public sealed record LearningRatePoint(double Rate, double Loss, double Smoothed);

/// <summary>What a <see cref="LearningRateSearch"/> has found.</summary>
/// <param name="Points">Its steps, by growing rate.</param>
public sealed record LearningRateCurve(IReadOnlyList<LearningRatePoint> Points)
{
    /// <summary>Steps that say nothing: the first means are of few losses.</summary>
    private const int First = 5;

    /// <summary>A tenth of the rate at which the mean of the losses is least: below it the loss falls, and near it it is about to
    /// rise. Null where it does not fall.</summary>
    public double? Suggestion
    {
        get
        {
            if (Points.Count <= First + 1) return null;
            int least = Enumerable.Range(First, Points.Count - First).MinBy(i => Points[i].Smoothed);
            return Points[least].Smoothed < Points[First].Smoothed ? Points[least].Rate / 10 : null;
        }
    }
}
