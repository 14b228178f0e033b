using OrtCpr.Graph.Files;
using System.Diagnostics;
using System.Runtime.ExceptionServices;
using OrtCpr.Checkpoints;
using OrtCpr.Collectives;
using OrtCpr.Graph;
using OrtCpr.Metrics;

namespace OrtCpr;

/// <summary>One call of Fit: what has happened so far, and what a checkpoint keeps of that.</summary>
internal sealed class FitRun(Trainer trainer, FitOptions options, BatchSource source, CancellationToken cancellation) : IDisposable
{
    private readonly FitControl _control = new();
    private readonly long _start = Stopwatch.GetTimestamp();
    private readonly List<EpochReport> _reports = [];
    private readonly List<string> _warnings = [];
    private TimeSpan _before, _evaluating;
    /// <summary>Of the finished steps of the epoch, and of the batches of the step at hand.</summary>
    private WeightedMean _epochLoss, _pendingMean;
    private LossSum _pendingLoss = new(trainer.Driver.Plan.LossTerms);
    private int _pending, _begun;
    private long _steps, _taken, _skipped;
    private double _best = double.NaN;
    private bool _isResumedInside;
    private long _evaluatedAt = -1;
    private EvaluationReport? _lastEvaluation;
    private ShortRunBounds? _bounds;
    private readonly SkippedRun _skippedRun = new(trainer.Driver);
    private bool _isResumed;
    private WeightAverage? _average;
    private bool _wantsStop;

    /// <summary>The epoch at hand, from 0.</summary>
    public long Epoch { get; private set; } = -1;

    /// <summary>Units of the source that the steps of the epoch have taken.</summary>
    private long _units;

    /// <summary>Whether any rank is to stop between two steps.</summary>
    public bool IsCancelled { get; private set; }

    private bool IsOver => _control.StopRequested || _steps >= options.MaxSteps;

    private TimeSpan Elapsed => _before + Stopwatch.GetElapsedTime(_start);

    private OptimizerDriver Optimizer => trainer.Driver.Optimizer;

    private Ranks Ranks => Optimizer.Ranks;

    /// <summary>The batches of the epoch that are left, waited for or not.</summary>
    public IAsyncEnumerable<Batch> Batches(bool isAsync)
    {
        if (_units % source.UnitsPerBatch != 0) return source.BatchesFrom(Epoch, _units).ToAsyncEnumerable();
        long skip = _units / source.UnitsPerBatch;
        return isAsync ? source.BatchesAsync(Epoch, skip, cancellation) : source.Batches(Epoch, skip).ToAsyncEnumerable();
    }

    private IEnumerable<TrainerCallback> Callbacks => options.Callbacks.Where(IsCalled);

    private bool IsCalled(TrainerCallback callback) => Ranks.IsFirst || !callback.IsForFirstRank;

    /// <summary>Checks the options, goes on from a checkpoint where that is wanted, and tells the callbacks.</summary>
    public void Begin()
    {
        options.Validate();
        RankAgreement.Check(Ranks, "They must be given the same data and fit them in the same way.",
            ("batches an epoch", $"{source.BatchesPerEpoch}"), ($"{source.Unit} a batch of all ranks", $"{source.UnitsPerBatch}"),
            ("epochs", $"{options.Epochs}"), ("most steps", $"{options.MaxSteps}"),
            ("batches a step", $"{options.GradientAccumulation}"),
            ("evaluations", $"{options.Validation is not null} {options.EvaluateEvery} {options.EvaluateEverySteps}"),
            ("figures", string.Join(' ', options.Metrics.Select(m => m.Name))),
            ("checkpoints", $"{options.Checkpoint?.EverySteps} {options.Checkpoint?.EveryEpochs} {options.Checkpoint?.Best}"),
            ("mean of the weights", $"{options.WeightAverage}"));
        // Figures that nothing fits show before anything is trained.
        foreach (Metric metric in options.Metrics) MetricSource.Of(trainer.Driver.Plan, metric);
        if (options.WeightAverage is double decay) _average = new WeightAverage(Optimizer, decay);
        if (options.Checkpoint is CheckpointOptions checkpoint)
        {
            // Where nothing is resumed the start is saved: a folder that can't be written shows before anything is trained.
            bool exists = checkpoint.Resume && File.Exists(checkpoint.LastPath);
            RankAgreement.Check(Ranks, $"Its folder must be one that all ranks see; it is '{checkpoint.Folder}'.",
                ("the checkpoint", exists ? "is there" : "is not there"));
            if (exists)
                Restore(TrainingCheckpoint.Load(trainer.Driver, checkpoint.LastPath, TakeAverage), checkpoint.LastPath);
            else Save(checkpoint.LastPath, isEpochOver: true);
        }
        FitOptions told = options with { Warned = Warn };
        foreach (TrainerCallback callback in options.Callbacks)
        {
            // Counted first: a callback that fails half opened is closed as well.
            _begun++;
            if (IsCalled(callback)) callback.OnFitBegin(trainer, told, _steps);
        }
        foreach (string warning in trainer.Driver.DeviceWarnings) Warn(warning);
        _bounds = ShortRunBounds.Of(Optimizer, _steps, options.TotalSteps);
        foreach (string warning in _bounds?.Warnings ?? []) Warn(warning);
        // What a callback had ended is over when it is resumed.
        _control.StopRequested = _steps > 0 && Callbacks.Any(c => c.IsOver);
        if (options.GradientAccumulation > 1 && trainer.Driver.Plan.LossTermsDivideDifferently)
        {
            Warn("The terms of the loss divide by different things, so the accumulated batches count by their examples: their step is that "
                + "of one batch only where they are alike in what counts.");
        }
    }

    /// <summary>Goes to the next epoch; false when there is none.</summary>
    public bool BeginEpoch()
    {
        if (_isResumedInside)
        {
            _isResumedInside = false;
            return !IsOver && Epoch < options.Epochs;
        }
        if (IsOver || Epoch + 1 >= options.Epochs) return false;
        Epoch++;
        (_units, _taken, _epochLoss, _skipped) = (0, 0, default, 0);
        return true;
    }

    /// <summary>Trains on a batch and disposes it. False when the run is over.</summary>
    public bool Take(Batch batch)
    {
        try
        {
            if (_pending == 0)
            {
                ThrowIfCancelled();
                // Only while it fits: whoever steps the driver by hand has what the driver says.
                trainer.Driver.WeighBatches = true;
                trainer.Driver.LazyResetGrad();
            }
            double loss = trainer.Driver.TrainStep(batch);
            _taken++;
            if (!batch.IsPadding)
            {
                IReadOnlyList<double> figures = trainer.Driver.LossFigures;
                _pendingLoss.Add(loss, figures, batch.Rows);
                _pendingMean.Add(loss, trainer.Driver.Plan.WeightOfBatch(figures, batch.Rows));
                _skippedRun.AfterBatch(batch, loss);
            }
            if (++_pending == options.GradientAccumulation) Step(batch);
        }
        finally
        {
            if (!_skippedRun.Keeps(batch)) batch.Dispose();
        }
        return !IsOver;
    }

    /// <summary>Ends an epoch: evaluates, reports and saves.</summary>
    /// <param name="isWhole">Whether the batches ended by themselves.</param>
    public void EndEpoch(bool isWhole)
    {
        // Batches that are too few for a whole accumulation count with their own mean.
        if (_pending > 0) Step(null);
        _skippedRun.AfterEpoch();
        if (options.Validation is not null && options.EvaluateEverySteps == 0 && options.EvaluatesAfter(Epoch)) Evaluate();
        EvaluationReport? validation = _evaluatedAt == _steps ? _lastEvaluation : null;
        var report = new EpochReport
        {
            Epoch = Epoch,
            IsWhole = isWhole,
            Step = _steps,
            Loss = _epochLoss.Value,
            Validation = validation,
            Elapsed = Elapsed,
            SkippedSteps = _skipped,
        };
        _reports.Add(report);
        foreach (TrainerCallback callback in Callbacks) callback.OnEpochEnd(trainer, report, _control);
        trainer.Driver.Synchronize();
        Agree();
        RankAgreement.CheckState(Ranks, Optimizer.Store, Optimizer.Plan, trainer.Driver.IsLocal);
        if (options.Checkpoint is not CheckpointOptions checkpoint) return;
        bool isLast = IsOver || Epoch + 1 >= options.Epochs;
        if (isLast || (Epoch + 1) % checkpoint.EveryEpochs == 0) Save(checkpoint.LastPath, isWhole);
    }

    /// <summary>What the fit came to.</summary>
    public FitResult End()
    {
        ThrowIfCancelled();
        _average?.Keep();
        // What was resumed may have made steps that counted before.
        if (!_isResumed) _skippedRun.AtEnd();
        return new()
        {
            Epochs = _reports,
            Steps = _steps,
            SkippedSteps = Optimizer.SkippedSteps,
            ConstraintSummary = Optimizer.ConstraintSummary,
            Elapsed = Elapsed,
            Warnings = _warnings,
            StepsPerSecond = _steps / Math.Max(1e-9, (Elapsed - _evaluating).TotalSeconds),
        };
    }

    /// <summary>Keeps what the finished steps came to when the run was cancelled.</summary>
    public void Cancelled()
    {
        if (options.Checkpoint is CheckpointOptions checkpoint && Epoch >= 0 && Epoch < options.Epochs)
            Save(checkpoint.LastPath, isEpochOver: false);
    }

    /// <summary>Ends every callback that was begun, also when one of them fails; the first failure is thrown then.</summary>
    public void Dispose()
    {
        _skippedRun.Dispose();
        _average?.Dispose();
        ExceptionDispatchInfo? first = null;
        foreach (TrainerCallback callback in options.Callbacks.IsDefault ? [] : options.Callbacks[.._begun])
        {
            if (!IsCalled(callback)) continue;
            try
            {
                callback.OnFitEnd(trainer);
            }
#pragma warning disable CA1031 // Thrown again when all have been ended.
            catch (Exception error)
#pragma warning restore CA1031
            {
                first ??= ExceptionDispatchInfo.Capture(error);
            }
        }
        _begun = 0;
        first?.Throw();
    }

    private void Step(Batch? last)
    {
        double rate = Optimizer.GetLearningRate();
        SumLosses();
        double loss = _pendingLoss.Value;
        bool applied = trainer.Driver.OptimizerStep(Optimizer.Plan.LossIsSum ? 1 : 1.0 / _pending);
        trainer.Driver.WeighBatches = false;
        // Other devices than the CPU don't tell whether the guard has skipped the step; the loss does as a rule.
        applied &= Optimizer.Device.IsHost || double.IsFinite(loss) || !Optimizer.Plan.Optimizer.NonFiniteGuard;
        _steps++;
        _units += _taken * source.UnitsPerBatch;
        _taken = 0;
        if (applied) _average?.Update();
        if (!applied) _skipped++;
        else if (double.IsFinite(loss) || !Optimizer.Plan.Optimizer.NonFiniteGuard) _epochLoss.Add(_pendingMean);
        var report = new StepReport
        {
            Epoch = Epoch,
            Step = _steps,
            Loss = loss,
            LearningRate = rate,
            Applied = applied,
            Elapsed = Elapsed,
            LossTerms = _pendingLoss.Terms,
        };
        (_pending, _pendingLoss, _pendingMean) = (0, new(Optimizer.Plan.LossTerms), default);
        _bounds?.After(_steps);
        if (Ranks.IsFirst) options.Progress?.Report(report);
        foreach (TrainerCallback callback in Callbacks) callback.OnStepEnd(trainer, report, _control);
        Agree();
        _skippedRun.AfterStep(applied, last, loss);
        if (options.Validation is not null && options.EvaluateEverySteps > 0
            && (_steps % options.EvaluateEverySteps == 0 || _steps == options.MaxSteps))
        {
            Evaluate();
        }
        if (options.Checkpoint is { EverySteps: > 0 } checkpoint && _steps % checkpoint.EverySteps == 0)
        {
            trainer.Driver.Synchronize();
            Save(checkpoint.LastPath, isEpochOver: false);
        }
    }

    private void Evaluate()
    {
        TimeSpan began = Elapsed;
        trainer.Driver.Synchronize();
        using IDisposable? shown = _average?.Shown();
        EvaluationReport report = Evaluated(options.Validation!);
        if (options.AlsoEvaluate.Length > 0)
        {
            report = report with
            {
                Also = options.AlsoEvaluate.ToDictionary(s => s.Name, s => Evaluated(s.Source), StringComparer.Ordinal),
            };
        }
        (_evaluatedAt, _lastEvaluation) = (_steps, report);
        Optimizer.ReportMetric(report.Loss);
        foreach (TrainerCallback callback in Callbacks) callback.OnEvaluated(trainer, report, _control);
        Agree();
        _evaluating += Elapsed - began;
        if (options.Checkpoint is not { Best: string monitor } checkpoint
            || !Monitor.IsBetter(report[monitor], _best, Monitor.IsHigherBetter(options, monitor)))
        {
            return;
        }
        _best = report[monitor];
        Save(checkpoint.BestPath, isEpochOver: false, withAverage: false);
    }

    private EvaluationReport Evaluated(BatchSource source)
    {
        var pass = new EvaluationPass(trainer.Driver, options.Metrics);
        foreach (Batch batch in source.Batches())
        {
            using (batch) pass.Take(batch);
        }
        return pass.Report(Epoch, _steps, Elapsed);
    }

    /// <summary>The loss of a step is that of the batches of all ranks.</summary>
    private void SumLosses()
    {
        // Between two exchanges the loss is that of this rank's batches.
        if (!Ranks.AreMany || trainer.Driver.IsLocal) return;
        double[] parts = [_pendingMean.Sum, _pendingMean.Weight, .. _pendingLoss.Parts];
        Ranks.Sum(parts);
        (_pendingMean.Sum, _pendingMean.Weight) = (parts[0], parts[1]);
        _pendingLoss.Parts = parts[2..];
    }

    private void ThrowIfCancelled()
    {
        // With several ranks all stop at the same step, so what one of them sees meanwhile waits until they have agreed.
        if (!Ranks.AreMany) IsCancelled = cancellation.IsCancellationRequested;
        if (!IsCancelled) return;
        cancellation.ThrowIfCancellationRequested();
        throw new OperationCanceledException("Another rank was cancelled.");
    }

    /// <summary>What ends the run on one rank ends it on all.</summary>
    private void Agree()
    {
        if (!Ranks.AreMany) return;
        _wantsStop |= _control.StopRequested;
        _control.StopRequested = false;
        if (!trainer.Driver.IsSynchronous) return;
        Span<double> wishes = [_wantsStop ? 1 : 0, cancellation.IsCancellationRequested ? 1 : 0];
        Ranks.Sum(wishes);
        _control.StopRequested = wishes[0] > 0;
        IsCancelled = wishes[1] > 0;
    }

    private void Warn(string message)
    {
        _warnings.Add(message);
        foreach (TrainerCallback callback in Callbacks) callback.OnWarning(trainer, message);
    }

    private void Save(string path, bool isEpochOver, bool withAverage = true)
    {
        if (Ranks.IsFirst) FileGuard.Write(path, () => Directory.CreateDirectory(options.Checkpoint!.Folder));
        long units = isEpochOver ? 0 : _units;
        FitState state = new(_steps, isEpochOver ? default : _epochLoss, isEpochOver ? 0 : _skipped, Elapsed, _evaluating, _best)
        {
            Position = (units, source.Unit),
        };
        TrainingCheckpoint.Save(trainer.Driver, path, new TrainingProgress
        {
            Epoch = isEpochOver ? Epoch + 1 : Epoch,
            Batch = units / source.UnitsPerBatch,
            Extra = state.ToExtra(options.Callbacks, options.Checkpoint!.Settings),
        }, withAverage && _average is not null ? _average.Entries : []);
    }

    private void TakeAverage(IReadOnlyDictionary<string, TensorData> tensors) =>
        _average?.Restore(tensors, options.Checkpoint!.LastPath);

    private void Restore(TrainingProgress progress, string path)
    {
        // A job that was saved before its first step: a process killed there leaves no progress, and none is lost.
        if (!FitState.IsIn(progress.Extra) && Optimizer.Steps == 0) return;
        FitState state = FitState.Read(progress.Extra, path);
        _isResumed = true;
        FitState.CompareSettings(progress.Extra, options.Checkpoint!.Settings, path);
        (_steps, _before, _evaluating, _best) = (state.Steps, state.Elapsed, state.Evaluating, state.Best);
        Epoch = progress.Epoch - 1;
        FitState.RestoreCallbacks(progress.Extra, options.Callbacks);
        // Another number of ranks, or another batch size, goes on with the example that is next in order.
        long units = state.Position is (long taken, string unit) && unit == source.Unit ? taken : progress.Batch * source.UnitsPerBatch;
        if (units == 0) return;
        (Epoch, _units, _isResumedInside) = (progress.Epoch, units, true);
        (_epochLoss, _skipped) = (state.EpochLoss, state.Skipped);
    }
}
