using System.Diagnostics;
using System.Globalization;
using OrtCpr;
using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;

namespace Grokking;

// One training run, from its first or last saved step to its end.
internal sealed class Runner : IDisposable
{
    private const string SecondsKey = "seconds";
    private readonly Options _options;
    private readonly Recipe _recipe;
    private readonly long _seed;
    private readonly RunFiles _files;
    private readonly Journal _journal;
    private readonly Progress _progress;
    private readonly Interruption _interruption;
    private readonly StartingPoint _start;
    private readonly TrainingBatches _batches;
    private readonly Evaluator _training, _validation;
    private readonly TrainingDriver _driver;
    private double _seconds;

    public Runner(Options options, Recipe recipe, long seed, RunFiles files, Journal journal, Progress progress, Interruption interruption)
    {
        (_options, _recipe, _seed, _files, _journal, _progress, _interruption) = (options, recipe, seed, files, journal, progress, interruption);
        _start = options.FromReference ? StartingPoint.Reference(Path.Combine(AppContext.BaseDirectory, "reference", "split.safetensors"), seed)
            : StartingPoint.Drawn(options.P, options.TrainFraction, seed);
        var task = new ModularAddition(options.P, _start.TrainingPairs);
        _batches = new TrainingBatches(task.Training, options.BatchSize);
        _training = new Evaluator(task.Training);
        _validation = new Evaluator(task.Validation);
        try
        {
            TrainingPlan graphs = TrainingGraphBuilder.Build(Path.Combine(AppContext.BaseDirectory, "grokking.onnx"), recipe.ToTrainingOptions(seed, _start.Weights));
            _driver = new TrainingDriver(graphs, new DriverOptions { Threads = options.Threads, Device = options.Device });
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    // Null when the run was interrupted; it is saved then.
    public RunSummary? Run()
    {
        (int epoch, int batch) = (0, 0);
        if (_options.Resume && File.Exists(_files.Checkpoint)) (epoch, batch) = Load();
        _journal.CutBehind(_recipe.Name, _seed, epoch);
        Milestones milestones = Milestones.Of(_journal.Epochs.Of(_recipe.Name, _seed));
        foreach (string warning in _driver.Plan.Warnings) _progress.Say($"warning: {warning}");
        _progress.Begin(epoch);
        while (epoch < _options.Epochs && !milestones.Stands)
        {
            if (!TrainTo(epoch + 1, ref batch))
            {
                Save(epoch, batch);
                return null;
            }
            epoch++;
            batch = 0;
            if (_options.EvaluatesAt(epoch)) milestones = Evaluate(epoch);
            if (epoch % _options.SaveEvery == 0 && !milestones.Stands) Save(epoch, batch);
        }
        Save(epoch, 0);
        _driver.ExportModel(_files.Model);
        if (_driver.Optimizer.Plan.Constrained.Count > 0) _progress.Say(_driver.Optimizer.ConstraintSummary);
        if (_driver.Optimizer.SkippedSteps > 0) _progress.Say($"{_driver.Optimizer.SkippedSteps} steps were skipped: a gradient was not finite.");
        return new RunSummary(_recipe.Name, _seed, milestones, StepsPerSecond);
    }

    public void Dispose()
    {
        _batches.Dispose();
        _training.Dispose();
        _validation.Dispose();
        _driver?.Dispose();
    }

    private double StepsPerSecond => _seconds > 0 ? _driver.Optimizer.Steps / _seconds : 0;

    // The rest of an epoch; false when the user asked to stop.
    private bool TrainTo(int epoch, ref int batch)
    {
        int[] order = _start.Order(epoch);
        long begin = Stopwatch.GetTimestamp();
        while (batch < _batches.Count && !_interruption.IsRequested)
        {
            _driver.TrainStep(_batches.Fill(order, batch));
            _driver.OptimizerStep();
            _driver.LazyResetGrad();
            batch++;
        }
        _seconds += Stopwatch.GetElapsedTime(begin).TotalSeconds;
        return batch == _batches.Count;
    }

    private Milestones Evaluate(int epoch)
    {
        (double trainLoss, double trainAccuracy) = _training.Measure(_driver);
        (double validationLoss, double validationAccuracy) = _validation.Measure(_driver);
        // Through its own text, so that a resumed run sees the same numbers.
        var row = EpochRow.Parse(new EpochRow(_recipe.Name, _seed, epoch, trainLoss, trainAccuracy, validationLoss, validationAccuracy, _seconds).ToLine().Split(','));
        ConstraintRow[] constraints = [.. _driver.Optimizer.GetConstraints().Select(c =>
            new ConstraintRow(_recipe.Name, _seed, epoch, c.Name, c.Lambda, c.Kappa, _recipe.RegFunction.Measure(_driver.GetParameter(c.Name).AsSpan<float>())))];
        _journal.Epochs.Add([row]);
        _journal.Constraints.Add(constraints);
        Milestones milestones = Milestones.Of(_journal.Epochs.Of(_recipe.Name, _seed));
        string bounds = constraints.Length == 0 ? "" : $"  {constraints.Count(c => c.Lambda > 0)}/{constraints.Length} bounds active";
        _progress.Report(row, _options.Epochs, StepsPerSecond, bounds, milestones.Stands || epoch == _options.Epochs);
        return milestones;
    }

    private void Save(int epoch, int batch)
    {
        Dictionary<string, string> extra = Settings.ToDictionary(s => s.Option, s => s.Value, StringComparer.Ordinal);
        extra[SecondsKey] = _seconds.ToString("R", CultureInfo.InvariantCulture);
        TrainingCheckpoint.Save(_driver, _files.Checkpoint, new TrainingProgress { Epoch = epoch, Batch = batch, Extra = extra });
    }

    private (int Epoch, int Batch) Load()
    {
        TrainingProgress progress = TrainingCheckpoint.Load(_driver, _files.Checkpoint);
        string[] differences = [.. Settings.Where(s => progress.Extra.GetValueOrDefault(s.Option) != s.Value)
            .Select(s => $"--{s.Option} is {s.Value} here, {progress.Extra.GetValueOrDefault(s.Option) ?? "not given"} in the checkpoint")];
        if (differences.Length > 0) throw new GrokkingException($"'{_files.Checkpoint}' is of another run: {string.Join("; ", differences)}. Give the same options with --resume, or another folder by --out.");
        _seconds = Cell.Number(progress.Extra[SecondsKey]);
        return ((int)progress.Epoch, (int)progress.Batch);
    }

    private IEnumerable<(string Option, string Value)> Settings =>
    [
        .. _recipe.Settings,
        (_options.FromReference ? "reference_seed" : "seed", _seed.ToString(CultureInfo.InvariantCulture)),
        ("p", _options.P.ToString(CultureInfo.InvariantCulture)),
        ("train_fraction", _options.TrainFraction.ToString("R", CultureInfo.InvariantCulture)),
        ("batch_size", _options.BatchSize.ToString(CultureInfo.InvariantCulture)),
    ];
}
