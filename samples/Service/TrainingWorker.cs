using OrtCpr;
using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Logging;

namespace Service;

// Trains in rounds on a thread of its own while there are new examples. After each round the checkpoint is saved and the new weights take
// the place of those that are served. The end of the service is the end of a step, and a checkpoint.
internal sealed partial class TrainingWorker(Settings settings, TrainingDriver driver, ModelSlot slot, ExampleStore examples,
    ServiceMetrics metrics, ILogger<TrainingWorker> logger) : BackgroundService
{
    private TrainingState _state = new(null, null, false, null);

    // As requests for /status read it.
    public TrainingState State => Volatile.Read(ref _state);

    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.Factory.StartNew(() => Train(stoppingToken), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    // The weights as the driver has them, as a session.
    public static ServedModel Export(TrainingDriver driver, string path)
    {
        using var stream = new MemoryStream();
        driver.ExportModel(stream);
        return new ServedModel(stream.ToArray(), driver.Optimizer.Steps, path);
    }

    private void Train(CancellationToken stop)
    {
        if (settings.TrainingPriority == "low") LowPriority.Take();
        try
        {
            while (true)
            {
                examples.WaitForNew(stop);
                Volatile.Write(ref _state, State with { IsTraining = true });
                Round(stop);
                Volatile.Write(ref _state, State with { IsTraining = false });
            }
        }
        catch (OperationCanceledException)
        {
            // The driver is whole after its last finished step.
            Save();
            Stopped(driver.Optimizer.Steps, settings.CheckpointPath);
        }
        catch (OrtCprException error)
        {
            // Predictions go on with the weights that they have.
            Volatile.Write(ref _state, State with { IsTraining = false, Problem = error.Message });
            Failed(error);
        }
    }

    private void Round(CancellationToken stop)
    {
        // Which examples a round draws follows from the step that it begins at.
        var random = new Random((int)(driver.Optimizer.Steps % int.MaxValue));
        BatchSource drawn = BatchSource.From(_ => Enumerable.Range(0, settings.RoundSteps)
            .Select(_ => examples.Draw(random, settings.BatchSize))).WithBatchesPerEpoch(settings.RoundSteps);
        FitResult result = new Trainer(driver).Fit(drawn, new FitOptions
        {
            Validation = BatchSource.From(_ => (Batch[])[examples.HeldOut()]),
            Metrics = [OrtCpr.Metrics.Metric.Accuracy()],
            Callbacks = [new Steps(metrics), MetricsLog.ToLogger(logger, every: settings.RoundSteps)],
        }, stop);
        Save();
        slot.Replace(Export(driver, settings.ModelPath));
        metrics.Swapped();
        EpochReport epoch = result.Epochs[^1];
        Volatile.Write(ref _state, State with { ValidationLoss = epoch.ValidationLoss, Accuracy = epoch.Validation?["accuracy"] });
        Swapped(driver.Optimizer.Steps, epoch.ValidationLoss);
    }

    private void Save() => TrainingCheckpoint.Save(driver, settings.CheckpointPath);

    [LoggerMessage(LogLevel.Information, "the weights of step {Step} are served, validation loss {Loss:F4}")]
    private partial void Swapped(long step, double? loss);

    [LoggerMessage(LogLevel.Information, "training stopped after step {Step}; it goes on from {Path}")]
    private partial void Stopped(long step, string path);

    [LoggerMessage(LogLevel.Error, "training has ended; predictions go on with the weights that are served")]
    private partial void Failed(Exception error);

    private sealed class Steps(ServiceMetrics metrics) : TrainerCallback
    {
        public override void OnStepEnd(Trainer trainer, StepReport report, FitControl control) => metrics.Stepped(report.Loss);
    }
}

// Where the training stands, beside what the metrics count.
internal sealed record TrainingState(double? ValidationLoss, double? Accuracy, bool IsTraining, string? Problem);
