using System.Runtime.CompilerServices;
using OrtCpr.Graph;
using OrtCpr.Metrics;

namespace OrtCpr;

/// <summary>Fits, evaluates and predicts over batches from any source, on top of the verbs of <see cref="TrainingDriver"/>.</summary>
/// <remarks>Batches are disposed as soon as they have been used. Does not own the driver. Not thread-safe; several
/// trainers may run at once.</remarks>
public sealed class Trainer
{
    /// <summary>A trainer on a driver.</summary>
    /// <param name="driver">Stays the caller's.</param>
    public Trainer(TrainingDriver driver)
    {
        ArgumentNullException.ThrowIfNull(driver);
        Driver = driver;
    }

    /// <summary>The driver whose parameters are trained and evaluated.</summary>
    public TrainingDriver Driver { get; }

    /// <summary>Trains over the batches of a source: a <see cref="Data.DataLoader"/>, or any batches by
    /// <c>BatchSource.From</c>.</summary>
    /// <param name="source">The batches of each epoch. Where it knows their number, the length of the run is known too:
    /// callbacks tell the time left, and a bound that the run is too short to find by its inflection point is set after
    /// a fifth of it.</param>
    /// <param name="options">Epochs, accumulation, validation, callbacks; null for one epoch.</param>
    /// <param name="cancellation">Ends the run between two optimizer steps.</param>
    /// <exception cref="OperationCanceledException">It was cancelled; the driver is whole, after its last finished step, and saved where
    /// <see cref="FitOptions.Checkpoint"/> says so.</exception>
    /// <exception cref="NotFiniteException">Every step was skipped, since the loss or a gradient was not finite: at the
    /// end, at the end of an epoch after ten steps, or after a hundred.</exception>
    /// <exception cref="OrtCprException">An option is out of range, or a batch does not fit.</exception>
    public FitResult Fit(BatchSource source, FitOptions? options = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        // Every wait of an enumeration that is no asynchronous one is over before it begins, so all happens on this thread.
        return Run(source, options, isAsync: false, cancellation).GetAwaiter().GetResult();
    }

    /// <summary>Trains over the batches of a source without holding the caller's thread: steps and callbacks run on
    /// threads of the pool, one after the other.</summary>
    /// <param name="source">The batches of each epoch.</param>
    /// <param name="options">Epochs, accumulation, validation, callbacks; null for one epoch.</param>
    /// <param name="cancellation">Ends the run between two optimizer steps.</param>
    /// <exception cref="OperationCanceledException">It was cancelled; the driver is whole, after its last finished step, and saved where
    /// <see cref="FitOptions.Checkpoint"/> says so.</exception>
    /// <exception cref="NotFiniteException">Every step was skipped, since the loss or a gradient was not finite: at the
    /// end, at the end of an epoch after ten steps, or after a hundred.</exception>
    /// <exception cref="OrtCprException">An option is out of range, or a batch does not fit.</exception>
    public Task<FitResult> FitAsync(BatchSource source, FitOptions? options = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        // Cancellation is a matter of the run, which saves first.
        return Task.Run(() => Run(source, options, isAsync: true, cancellation), CancellationToken.None);
    }

    /// <summary>Mean loss and metrics over the first epoch of a source, as one batch of them all would have it: each batch
    /// weighted by what its loss divides by.</summary>
    /// <param name="source">The model's inputs and the labels.</param>
    /// <param name="metrics">Figures beside the loss; null for none.</param>
    /// <param name="cancellation">Ends it between two batches.</param>
    /// <returns>The report, whose loss is NaN when there is no batch.</returns>
    /// <exception cref="DriverException">A batch does not fit the model, or outputs and labels do not fit a metric.</exception>
    public EvaluationReport Evaluate(BatchSource source, IReadOnlyList<Metric>? metrics = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        return Evaluate(source.Batches().ToAsyncEnumerable(), metrics ?? [], cancellation).GetAwaiter().GetResult();
    }

    /// <summary>Mean loss and metrics over the first epoch of a source, without holding the caller's thread.</summary>
    /// <param name="source">The model's inputs and the labels.</param>
    /// <param name="metrics">Figures beside the loss; null for none.</param>
    /// <param name="cancellation">Ends it between two batches.</param>
    /// <returns>The report, whose loss is NaN when there is no batch.</returns>
    /// <exception cref="DriverException">A batch does not fit the model, or outputs and labels do not fit a metric.</exception>
    public Task<EvaluationReport> EvaluateAsync(BatchSource source, IReadOnlyList<Metric>? metrics = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        return Task.Run(() => Evaluate(source.BatchesAsync(cancellation: cancellation), metrics ?? [], cancellation), cancellation);
    }

    /// <summary>One output for each batch, in evaluation form; labels are not needed.</summary>
    /// <param name="batches">The model's inputs.</param>
    /// <param name="output">The output; null for the model's first.</param>
    /// <exception cref="DriverException">A batch does not fit, or there is no such output.</exception>
    public IEnumerable<TensorData> Predict(IEnumerable<Batch> batches, string? output = null)
    {
        ArgumentNullException.ThrowIfNull(batches);
        foreach (Batch batch in batches) yield return Predict(batch, output);
    }

    /// <summary>One output for each batch that comes, in evaluation form; labels are not needed.</summary>
    /// <param name="batches">The model's inputs.</param>
    /// <param name="output">The output; null for the model's first.</param>
    /// <param name="cancellation">Ends it between two batches.</param>
    /// <exception cref="DriverException">A batch does not fit, or there is no such output.</exception>
    public async IAsyncEnumerable<TensorData> PredictAsync(IAsyncEnumerable<Batch> batches, string? output = null,
        [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(batches);
        await foreach (Batch batch in batches.WithCancellation(cancellation).ConfigureAwait(false)) yield return Predict(batch, output);
    }

    private async Task<FitResult> Run(BatchSource source, FitOptions? options, bool isAsync, CancellationToken cancellation)
    {
        source = source.Share(Driver.Optimizer.Ranks.Rank, Driver.Optimizer.Ranks.Size, Driver.Plan.SumsOverRanks);
        using var run = new FitRun(this, (options ?? new FitOptions()).For(source), source, cancellation);
        try
        {
            run.Begin();
            while (run.BeginEpoch())
            {
                bool isWhole = true;
                await foreach (Batch batch in run.Batches(isAsync).WithCancellation(cancellation).ConfigureAwait(false))
                {
                    isWhole = run.Take(batch);
                    if (!isWhole) break;
                }
                run.EndEpoch(isWhole);
            }
            return run.End();
        }
        catch (OperationCanceledException) when (run.IsCancelled || cancellation.IsCancellationRequested)
        {
            run.Cancelled();
            throw;
        }
    }

    private async Task<EvaluationReport> Evaluate(IAsyncEnumerable<Batch> batches, IReadOnlyList<Metric> metrics,
        CancellationToken cancellation)
    {
        var pass = new EvaluationPass(Driver, metrics);
        await foreach (Batch batch in batches.WithCancellation(cancellation).ConfigureAwait(false))
        {
            using (batch)
            {
                cancellation.ThrowIfCancellationRequested();
                pass.Take(batch);
            }
        }
        return pass.Report();
    }

    private TensorData Predict(Batch batch, string? output)
    {
        using (batch)
        {
            string name = output ?? Driver.Plan.ModelOutputs[0];
            using Prediction prediction = Driver.Predict(batch, name);
            return Devices.Device.ReadOnHost(prediction[name]);
        }
    }
}
