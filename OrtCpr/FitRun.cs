using System.Diagnostics;
using System.Globalization;
using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Logging;

namespace OrtCpr;

// One call of Fit: what has happened so far, and what a checkpoint keeps of that.
internal sealed class FitRun : IDisposable
{
    private const string StepsKey = "fit.steps", LossSumKey = "fit.loss_sum", LossWeightKey = "fit.loss_weight", SecondsKey = "fit.seconds", BestKey = "fit.best", CallbackKey = "fit.callback.";

    private readonly Trainer _trainer;
    private readonly FitOptions _options;
    private readonly CancellationToken _cancellation;
    private readonly FitControl _control = new();
    private readonly long _start = Stopwatch.GetTimestamp();
    private readonly List<EpochReport> _reports = [];
    private TimeSpan _before;
    private WeightedMean _epochLoss, _settledLoss, _pendingLoss;
    private int _pending;
    private long _steps, _taken;
    private double _best = double.NaN;
    private bool _isResumedInside;
    private long _evaluatedAt = -1;
    private EvaluationReport? _lastEvaluation;

    public FitRun(Trainer trainer, FitOptions options, CancellationToken cancellation)
    {
        options.Validate();
        _trainer = trainer;
        _options = options;
        _cancellation = cancellation;
        if (options.Checkpoint is CheckpointOptions checkpoint)
        {
            // Where nothing is resumed the start is saved: a folder that can't be written shows before anything is trained.
            if (checkpoint.Resume && File.Exists(checkpoint.LastPath)) Restore(TrainingCheckpoint.Load(trainer.Driver, checkpoint.LastPath), checkpoint.LastPath);
            else Save(checkpoint.LastPath, isEpochOver: true);
        }
        foreach (TrainerCallback callback in options.Callbacks) callback.OnFitBegin(trainer, options, _steps);
    }

    public long Epoch { get; private set; } = -1;

    // Batches of the epoch behind which the last step was made.
    public long Batch { get; private set; }

    private bool IsOver => _control.StopRequested || _steps >= _options.MaxSteps;

    private TimeSpan Elapsed => _before + Stopwatch.GetElapsedTime(_start);

    private OptimizerDriver Optimizer => _trainer.Driver.Optimizer;

    public bool BeginEpoch()
    {
        if (_isResumedInside)
        {
            _isResumedInside = false;
            return !IsOver && Epoch < _options.Epochs;
        }
        if (IsOver || Epoch + 1 >= _options.Epochs) return false;
        Epoch++;
        (Batch, _taken, _epochLoss, _settledLoss) = (0, 0, default, default);
        return true;
    }

    // Trains on a batch and disposes it. False when the run is over.
    public bool Take(Batch batch)
    {
        using (batch)
        {
            if (_pending == 0) _cancellation.ThrowIfCancellationRequested();
            if (_pending == 0) _trainer.Driver.LazyResetGrad();
            double loss = _trainer.Driver.TrainStep(batch), rows = batch.Rows;
            _taken++;
            _epochLoss.Add(loss, rows);
            _pendingLoss.Add(loss, 1);
            if (++_pending == _options.GradientAccumulation) Step();
        }
        return !IsOver;
    }

    // isWhole: whether the batches ended by themselves.
    public void EndEpoch(bool isWhole)
    {
        // Batches that are too few for a whole accumulation count with their own mean.
        if (_pending > 0) Step();
        if (_options.Validation is not null && _options.EvaluateEverySteps == 0 && (Epoch + 1) % _options.EvaluateEvery == 0) Evaluate();
        EvaluationReport? validation = _evaluatedAt == _steps ? _lastEvaluation : null;
        var report = new EpochReport(Epoch, _steps, _epochLoss.Value, validation, Elapsed);
        _reports.Add(report);
        foreach (TrainerCallback callback in _options.Callbacks) callback.OnEpochEnd(_trainer, report, _control);
        if (_options.Checkpoint is not CheckpointOptions checkpoint) return;
        bool isLast = IsOver || Epoch + 1 >= _options.Epochs;
        if (isLast || (Epoch + 1) % checkpoint.EveryEpochs == 0) Save(checkpoint.LastPath, isWhole);
    }

    public FitResult End()
    {
        _cancellation.ThrowIfCancellationRequested();
        return new(_reports, _steps, Optimizer.SkippedSteps, Optimizer.ConstraintSummary, Elapsed);
    }

    // Keeps what the finished steps came to when the run was cancelled.
    public void Cancelled()
    {
        if (_options.Checkpoint is CheckpointOptions checkpoint && Epoch >= 0 && Epoch < _options.Epochs) Save(checkpoint.LastPath, isEpochOver: false);
    }

    public void Dispose()
    {
        foreach (TrainerCallback callback in _options.Callbacks) callback.OnFitEnd(_trainer);
    }

    private void Step()
    {
        bool applied = _trainer.Driver.OptimizerStep(1.0 / _pending);
        _steps++;
        (Batch, _settledLoss) = (_taken, _epochLoss);
        var report = new StepReport(Epoch, _steps, _pendingLoss.Value, Optimizer.GetLearningRate(), applied, Elapsed);
        (_pending, _pendingLoss) = (0, default);
        _options.Progress?.Report(report);
        foreach (TrainerCallback callback in _options.Callbacks) callback.OnStepEnd(_trainer, report, _control);
        if (_options.Validation is not null && _options.EvaluateEverySteps > 0 && (_steps % _options.EvaluateEverySteps == 0 || _steps == _options.MaxSteps)) Evaluate();
        if (_options.Checkpoint is { EverySteps: > 0 } checkpoint && _steps % checkpoint.EverySteps == 0) Save(checkpoint.LastPath, isEpochOver: false);
    }

    private void Evaluate()
    {
        var pass = new EvaluationPass(_trainer.Driver, _options.Metrics);
        foreach (Batch batch in _options.Validation!())
        {
            using (batch) pass.Take(batch);
        }
        EvaluationReport report = pass.Report(Epoch, _steps, Elapsed);
        (_evaluatedAt, _lastEvaluation) = (_steps, report);
        Optimizer.ReportMetric(report.Loss);
        foreach (TrainerCallback callback in _options.Callbacks) callback.OnEvaluated(_trainer, report, _control);
        if (_options.Checkpoint is not { Best: string monitor } checkpoint || !Monitor.IsBetter(report[monitor], _best, Monitor.IsHigherBetter(_options, monitor))) return;
        _best = report[monitor];
        Save(checkpoint.BestPath, isEpochOver: false);
    }

    private void Save(string path, bool isEpochOver)
    {
        LogFile.Guard(path, () => Directory.CreateDirectory(_options.Checkpoint!.Folder));
        var extra = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            [StepsKey] = _steps.ToString(CultureInfo.InvariantCulture),
            [LossSumKey] = Text(isEpochOver ? 0 : _settledLoss.Sum),
            [LossWeightKey] = Text(isEpochOver ? 0 : _settledLoss.Weight),
            [SecondsKey] = Text(Elapsed.TotalSeconds),
            [BestKey] = Text(_best),
        };
        for (int i = 0; i < _options.Callbacks.Length; i++)
        {
            if (_options.Callbacks[i].State is string state) extra[KeyOf(i)] = state;
        }
        TrainingCheckpoint.Save(_trainer.Driver, path, new TrainingProgress { Epoch = isEpochOver ? Epoch + 1 : Epoch, Batch = isEpochOver ? 0 : Batch, Extra = extra });
    }

    private void Restore(TrainingProgress progress, string path)
    {
        if (!progress.Extra.ContainsKey(StepsKey))
            throw new CheckpointException($"Checkpoint '{path}' was not written by a fit: it lacks '{StepsKey}'. Load it by TrainingCheckpoint.Load and fit without {nameof(CheckpointOptions.Resume)}.");
        _steps = long.Parse(progress.Extra[StepsKey], CultureInfo.InvariantCulture);
        _before = TimeSpan.FromSeconds(Number(SecondsKey));
        _best = Number(BestKey);
        Epoch = progress.Epoch - 1;
        for (int i = 0; i < _options.Callbacks.Length; i++)
        {
            if (progress.Extra.TryGetValue(KeyOf(i), out string? state)) _options.Callbacks[i].Restore(state);
        }
        if (progress.Batch == 0) return;
        (Epoch, Batch, _taken, _isResumedInside) = (progress.Epoch, progress.Batch, progress.Batch, true);
        _epochLoss = _settledLoss = new WeightedMean { Sum = Number(LossSumKey), Weight = Number(LossWeightKey) };

        double Number(string key) => double.Parse(progress.Extra[key], CultureInfo.InvariantCulture);
    }

    private string KeyOf(int callback) => $"{CallbackKey}{callback}.{_options.Callbacks[callback].GetType().Name}";

    private static string Text(double value) => value.ToString("R", CultureInfo.InvariantCulture);
}
