using System.Runtime.CompilerServices;
using OrtCpr.Graph;
using OrtCpr.Metrics;

namespace OrtCpr;

/// <summary>Fits, evaluates and predicts over batches from any source, on top of the verbs of <see cref="TrainingDriver"/>.</summary>
/// <remarks>Batches are disposed as soon as they have been used. Does not own the driver. Not thread-safe; several trainers may run at once.</remarks>
public sealed class Trainer
{
    /// <summary>A trainer on a driver.</summary>
    /// <param name="driver">Stays the caller's.</param>
    public Trainer(TrainingDriver driver)
    {
        ArgumentNullException.ThrowIfNull(driver);
        Driver = driver;
    }

    /// <summary>What it steps.</summary>
    public TrainingDriver Driver { get; }

    /// <summary>Trains over batches that are gone through once an epoch.</summary>
    /// <param name="batches">Enumerated anew each epoch.</param>
    /// <param name="options">Epochs, accumulation, validation, callbacks; null for one epoch.</param>
    /// <param name="cancellation">Ends the run between two optimizer steps.</param>
    /// <exception cref="OperationCanceledException">It was cancelled; the driver is whole, after its last finished step.</exception>
    /// <exception cref="OrtCprException">An option is out of range, or a batch does not fit.</exception>
    public FitResult Fit(IEnumerable<Batch> batches, FitOptions? options = null, CancellationToken cancellation = default) => Fit((_, skip) => Behind(batches, skip), options, cancellation);

    /// <summary>Trains over the batches of each epoch.</summary>
    /// <param name="epochs">The batches of an epoch, counted from 0.</param>
    /// <param name="options">Epochs, accumulation, validation, callbacks; null for one epoch.</param>
    /// <param name="cancellation">Ends the run between two optimizer steps.</param>
    /// <exception cref="OperationCanceledException">It was cancelled; the driver is whole, after its last finished step.</exception>
    /// <exception cref="OrtCprException">An option is out of range, or a batch does not fit.</exception>
    public FitResult Fit(Func<long, IEnumerable<Batch>> epochs, FitOptions? options = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(epochs);
        return Fit((epoch, skip) => Behind(epochs(epoch), skip), options, cancellation);
    }

    /// <summary>Trains over the batches of each epoch, from any of them on.</summary>
    /// <param name="epochs">The batches of an epoch, counted from 0, without the first few: those that a resumed run has trained on.</param>
    /// <param name="options">Epochs, accumulation, validation, callbacks; null for one epoch.</param>
    /// <param name="cancellation">Ends the run between two optimizer steps.</param>
    /// <exception cref="OperationCanceledException">It was cancelled; the driver is whole, after its last finished step, and saved where
    /// <see cref="FitOptions.Checkpoint"/> says so.</exception>
    /// <exception cref="OrtCprException">An option is out of range, or a batch does not fit.</exception>
    public FitResult Fit(Func<long, long, IEnumerable<Batch>> epochs, FitOptions? options = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(epochs);
        using var run = new FitRun(this, options ?? new FitOptions(), cancellation);
        try
        {
            while (run.BeginEpoch())
            {
                bool isWhole = true;
                foreach (Batch batch in epochs(run.Epoch, run.Batch))
                {
                    if (isWhole = run.Take(batch)) continue;
                    break;
                }
                run.EndEpoch(isWhole);
            }
            return run.End();
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            run.Cancelled();
            throw;
        }
    }

    /// <summary>Trains over the batches of each epoch, which come asynchronously.</summary>
    /// <param name="epochs">The batches of an epoch, counted from 0.</param>
    /// <param name="options">Epochs, accumulation, validation, callbacks; null for one epoch.</param>
    /// <param name="cancellation">Ends the run between two optimizer steps.</param>
    /// <exception cref="OperationCanceledException">It was cancelled; the driver is whole, after its last finished step.</exception>
    /// <exception cref="OrtCprException">An option is out of range, or a batch does not fit.</exception>
    public Task<FitResult> FitAsync(Func<long, IAsyncEnumerable<Batch>> epochs, FitOptions? options = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(epochs);
        return FitAsync((epoch, skip) => Behind(epochs(epoch), skip, cancellation), options, cancellation);
    }

    /// <summary>Trains over the batches of each epoch, which come asynchronously, from any of them on.</summary>
    /// <param name="epochs">The batches of an epoch, counted from 0, without the first few: those that a resumed run has trained on.</param>
    /// <param name="options">Epochs, accumulation, validation, callbacks; null for one epoch.</param>
    /// <param name="cancellation">Ends the run between two optimizer steps.</param>
    /// <exception cref="OperationCanceledException">It was cancelled; the driver is whole, after its last finished step, and saved where
    /// <see cref="FitOptions.Checkpoint"/> says so.</exception>
    /// <exception cref="OrtCprException">An option is out of range, or a batch does not fit.</exception>
    public async Task<FitResult> FitAsync(Func<long, long, IAsyncEnumerable<Batch>> epochs, FitOptions? options = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(epochs);
        using var run = new FitRun(this, options ?? new FitOptions(), cancellation);
        try
        {
            while (run.BeginEpoch())
            {
                bool isWhole = true;
                await foreach (Batch batch in epochs(run.Epoch, run.Batch).WithCancellation(cancellation).ConfigureAwait(false))
                {
                    if (isWhole = run.Take(batch)) continue;
                    break;
                }
                run.EndEpoch(isWhole);
            }
            return run.End();
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            run.Cancelled();
            throw;
        }
    }

    /// <summary>Mean loss over batches, each weighted by its first dimension.</summary>
    /// <param name="batches">The model's inputs and the labels.</param>
    /// <param name="cancellation">Ends it between two batches.</param>
    /// <returns>NaN when there is no batch.</returns>
    /// <exception cref="DriverException">A batch does not fit.</exception>
    public double Evaluate(IEnumerable<Batch> batches, CancellationToken cancellation = default) => Evaluate(batches, [], cancellation).Loss;

    /// <summary>Mean loss and metrics over batches, each weighted by its first dimension.</summary>
    /// <param name="batches">The model's inputs and the labels.</param>
    /// <param name="metrics">Further figures.</param>
    /// <param name="cancellation">Ends it between two batches.</param>
    /// <exception cref="DriverException">A batch does not fit the model, or outputs and labels do not fit a metric.</exception>
    public EvaluationReport Evaluate(IEnumerable<Batch> batches, IReadOnlyList<Metric> metrics, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(batches);
        var pass = new EvaluationPass(Driver, metrics);
        foreach (Batch batch in batches)
        {
            using (batch)
            {
                cancellation.ThrowIfCancellationRequested();
                pass.Take(batch);
            }
        }
        return pass.Report();
    }

    /// <summary>Mean loss over batches that come asynchronously, each weighted by its first dimension.</summary>
    /// <param name="batches">The model's inputs and the labels.</param>
    /// <param name="cancellation">Ends it between two batches.</param>
    /// <returns>NaN when there is no batch.</returns>
    /// <exception cref="DriverException">A batch does not fit.</exception>
    public async Task<double> EvaluateAsync(IAsyncEnumerable<Batch> batches, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(batches);
        var pass = new EvaluationPass(Driver, []);
        await foreach (Batch batch in batches.WithCancellation(cancellation).ConfigureAwait(false))
        {
            using (batch) pass.Take(batch);
        }
        return pass.Report().Loss;
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
    public async IAsyncEnumerable<TensorData> PredictAsync(IAsyncEnumerable<Batch> batches, string? output = null, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(batches);
        await foreach (Batch batch in batches.WithCancellation(cancellation).ConfigureAwait(false)) yield return Predict(batch, output);
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

    // What a source that knows no positions gives behind the first few; those are made and thrown away.
    private static IEnumerable<Batch> Behind(IEnumerable<Batch> batches, long skip)
    {
        foreach (Batch batch in batches)
        {
            if (skip-- <= 0) yield return batch;
            else batch.Dispose();
        }
    }

    private static async IAsyncEnumerable<Batch> Behind(IAsyncEnumerable<Batch> batches, long skip, [EnumeratorCancellation] CancellationToken cancellation)
    {
        await foreach (Batch batch in batches.WithCancellation(cancellation).ConfigureAwait(false))
        {
            if (skip-- <= 0) yield return batch;
            else batch.Dispose();
        }
    }
}
