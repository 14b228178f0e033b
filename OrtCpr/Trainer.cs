using System.Diagnostics;
using System.Runtime.CompilerServices;
using OrtCpr.Graph;

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
    public FitResult Fit(IEnumerable<Batch> batches, FitOptions? options = null, CancellationToken cancellation = default) => Fit(_ => batches, options, cancellation);

    /// <summary>Trains over the batches of each epoch.</summary>
    /// <param name="epochs">The batches of an epoch, counted from 0.</param>
    /// <param name="options">Epochs, accumulation, validation, callbacks; null for one epoch.</param>
    /// <param name="cancellation">Ends the run between two optimizer steps.</param>
    /// <exception cref="OperationCanceledException">It was cancelled; the driver is whole, after its last finished step.</exception>
    /// <exception cref="OrtCprException">An option is out of range, or a batch does not fit.</exception>
    public FitResult Fit(Func<long, IEnumerable<Batch>> epochs, FitOptions? options = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(epochs);
        var run = new FitRun(this, options ?? new FitOptions(), cancellation);
        while (run.BeginEpoch())
        {
            foreach (Batch batch in epochs(run.Epoch))
            {
                if (!run.Take(batch)) break;
            }
            run.EndEpoch();
        }
        return run.End();
    }

    /// <summary>Trains over the batches of each epoch, which come asynchronously.</summary>
    /// <param name="epochs">The batches of an epoch, counted from 0.</param>
    /// <param name="options">Epochs, accumulation, validation, callbacks; null for one epoch.</param>
    /// <param name="cancellation">Ends the run between two optimizer steps.</param>
    /// <exception cref="OperationCanceledException">It was cancelled; the driver is whole, after its last finished step.</exception>
    /// <exception cref="OrtCprException">An option is out of range, or a batch does not fit.</exception>
    public async Task<FitResult> FitAsync(Func<long, IAsyncEnumerable<Batch>> epochs, FitOptions? options = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(epochs);
        var run = new FitRun(this, options ?? new FitOptions(), cancellation);
        while (run.BeginEpoch())
        {
            await foreach (Batch batch in epochs(run.Epoch).WithCancellation(cancellation).ConfigureAwait(false))
            {
                if (!run.Take(batch)) break;
            }
            run.EndEpoch();
        }
        return run.End();
    }

    /// <summary>Mean loss over batches, each weighted by its first dimension.</summary>
    /// <param name="batches">The model's inputs and the labels.</param>
    /// <param name="cancellation">Ends it between two batches.</param>
    /// <returns>NaN when there is no batch.</returns>
    /// <exception cref="DriverException">A batch does not fit.</exception>
    public double Evaluate(IEnumerable<Batch> batches, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(batches);
        var mean = new WeightedMean();
        foreach (Batch batch in batches)
        {
            cancellation.ThrowIfCancellationRequested();
            Evaluate(batch, ref mean);
        }
        return mean.Value;
    }

    /// <summary>Mean loss over batches that come asynchronously, each weighted by its first dimension.</summary>
    /// <param name="batches">The model's inputs and the labels.</param>
    /// <param name="cancellation">Ends it between two batches.</param>
    /// <returns>NaN when there is no batch.</returns>
    /// <exception cref="DriverException">A batch does not fit.</exception>
    public async Task<double> EvaluateAsync(IAsyncEnumerable<Batch> batches, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(batches);
        var mean = new WeightedMean();
        await foreach (Batch batch in batches.WithCancellation(cancellation).ConfigureAwait(false)) Evaluate(batch, ref mean);
        return mean.Value;
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
            string name = output ?? Driver.Graphs.ModelOutputs[0];
            using Prediction prediction = Driver.Predict(batch, name);
            return Devices.Device.ReadOnHost(prediction[name]);
        }
    }

    private void Evaluate(Batch batch, ref WeightedMean mean)
    {
        using (batch)
        {
            using Evaluation evaluation = Driver.EvalStep(batch);
            mean.Add(evaluation.Loss, batch.Rows);
        }
    }

    // Sum of value·weight and of weights.
    private struct WeightedMean
    {
        private double _sum, _weight;

        public readonly double Value => _sum / _weight;

        public void Add(double value, double weight)
        {
            _sum += value * weight;
            _weight += weight;
        }
    }

    // One call of Fit: what has happened so far.
    private sealed class FitRun
    {
        private readonly Trainer _trainer;
        private readonly FitOptions _options;
        private readonly CancellationToken _cancellation;
        private readonly FitControl _control = new();
        private readonly long _start = Stopwatch.GetTimestamp();
        private readonly List<EpochReport> _reports = [];
        private WeightedMean _epochLoss;
        private WeightedMean _stepLoss;
        private int _pending;
        private long _steps;

        public FitRun(Trainer trainer, FitOptions options, CancellationToken cancellation)
        {
            options.Validate();
            _trainer = trainer;
            _options = options;
            _cancellation = cancellation;
        }

        public long Epoch { get; private set; } = -1;

        private bool IsOver => _control.StopRequested || _steps >= _options.MaxSteps;

        public bool BeginEpoch()
        {
            if (IsOver || Epoch + 1 >= _options.Epochs) return false;
            Epoch++;
            _epochLoss = default;
            return true;
        }

        // Trains on a batch and disposes it. False when the run is over.
        public bool Take(Batch batch)
        {
            using (batch)
            {
                _cancellation.ThrowIfCancellationRequested();
                if (_pending == 0) _trainer.Driver.LazyResetGrad();
                double loss = _trainer.Driver.TrainStep(batch), rows = batch.Rows;
                _epochLoss.Add(loss, rows);
                _stepLoss.Add(loss, 1);
                if (++_pending == _options.GradientAccumulation) Step();
            }
            return !IsOver;
        }

        public void EndEpoch()
        {
            // Batches that are too few for a whole accumulation count with their own mean.
            if (_pending > 0) Step();
            double? validation = null;
            if (_options.Validation is not null && (Epoch + 1) % _options.EvaluateEvery == 0)
            {
                validation = _trainer.Evaluate(_options.Validation(), _cancellation);
                _trainer.Driver.Optimizer.ReportMetric(validation.Value);
            }
            var report = new EpochReport(Epoch, _steps, _epochLoss.Value, validation, Elapsed);
            _reports.Add(report);
            foreach (TrainerCallback callback in _options.Callbacks) callback.OnEpochEnd(_trainer, report, _control);
        }

        public FitResult End() => new(_reports, _steps, _trainer.Driver.Optimizer.SkippedSteps, _trainer.Driver.Optimizer.ConstraintSummary, Elapsed);

        private TimeSpan Elapsed => Stopwatch.GetElapsedTime(_start);

        private void Step()
        {
            bool applied = _trainer.Driver.OptimizerStep(1.0 / _pending);
            _steps++;
            var report = new StepReport(Epoch, _steps, _stepLoss.Value, _trainer.Driver.Optimizer.GetLearningRate(), applied, Elapsed);
            _pending = 0;
            _stepLoss = default;
            _options.Progress?.Report(report);
            foreach (TrainerCallback callback in _options.Callbacks) callback.OnStepEnd(_trainer, report, _control);
        }
    }
}
