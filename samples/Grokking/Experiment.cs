using System.Globalization;
using OrtCpr;
using OrtCpr.Data;
using OrtCpr.Logging;
using OrtCpr.Metrics;
using OrtCpr.Tool.Figures;
using Samples;

namespace Grokking;

/// <summary>All runs that a command line asks for, one after the other, with their common picture and table.</summary>
internal static class Experiment
{
    private const int EvaluationBatch = 1024;

    /// <summary>Gives the exit code; a cancellation ends the run at hand after its step, and it is saved then.</summary>
    public static int Run(Settings settings, IProgress<StepReport>? progress, CancellationToken cancellation,
        ICollective? processes = null)
    {
        bool isFirst = processes is null or { Rank: 0 };
        string[] checkpoints = [.. settings.Runs.Select(run => new CheckpointOptions(run.Folder).LastPath)];
        if (settings.Resume && !checkpoints.Any(File.Exists))
        {
            throw new SampleException($"There is nothing to resume: '{checkpoints[0]}' does not exist. Give the options and the folder of "
                + "the run, or start without --resume.");
        }
        // A new experiment must never be resumed from an old one's state.
        foreach (string path in settings.Resume || !isFirst ? [] : checkpoints.Where(File.Exists)) File.Delete(path);
        processes?.Barrier();
        List<RunLog> logs = [];
        List<RunSummary> summaries = [];
        foreach (Run run in settings.Runs)
        {
            FitResult? result = Train(settings, run, progress, processes, cancellation);
            if (!isFirst) continue;
            logs.Add(run.Log);
            RunFigure.Save(logs, Path.Combine(settings.Out, "grokking.png"), new StepAxis(InEpochs: true, IsLogarithmic: true));
            if (result is null)
            {
                Console.WriteLine($"Stopped and saved in '{run.Folder}'. The same command with --resume goes on.");
                return 130;
            }
            summaries.Add(RunSummary.Of(run, result.StepsPerSecond));
            Console.WriteLine(summaries[^1]);
        }
        if (summaries.Count > 1) Console.WriteLine($"\n{RunSummary.Table(summaries)}");
        return 0;
    }

    // One run, from its first or last saved step to its end; null when it was cancelled.
    private static FitResult? Train(Settings settings, Run run, IProgress<StepReport>? progress, ICollective? processes,
        CancellationToken cancellation)
    {
        StartingPoint start = settings.FromReference
            ? StartingPoint.Reference(Path.Combine(AppContext.BaseDirectory, "reference", "split.safetensors"), run.Seed)
            : StartingPoint.Drawn(settings.P, settings.TrainFraction, run.Seed);
        int batchOfAll = settings.BatchSize * (processes?.Size ?? 1);
        long steps = (start.TrainingPairs.Length + batchOfAll - 1) / batchOfAll * (long)settings.Epochs;
        using TrainingDriver driver = TrainingDriver.Create(Path.Combine(AppContext.BaseDirectory, "grokking.onnx"),
            run.Recipe.ToTrainingOptions(run.Seed, start.Weights, steps),
            new DriverOptions { Threads = settings.Threads, Device = settings.Device, Collective = processes });
        foreach (string warning in driver.Plan.Warnings) Console.Error.WriteLine($"warning: {warning}");
        using DataSource pairs = ModularAddition.Examples(settings.P, start.TrainingPairs),
            others = ModularAddition.Examples(settings.P, ModularAddition.Rest(settings.P, start.TrainingPairs));
        DataLoaderOptions inOrder = new() { BatchSize = EvaluationBatch, Shuffle = false, Prefetch = 0 };
        DataLoader Loader(DataSource source, DataLoaderOptions options) => new(source, driver.Plan.BatchInputs, options);
        try
        {
            FitResult result = new Trainer(driver).Fit(
                Loader(pairs, inOrder with { BatchSize = settings.BatchSize, Order = epoch => start.Order((int)epoch + 1) }),
                new FitOptions
                {
                    Epochs = settings.Epochs,
                    Validation = Loader(others, inOrder),
                    AlsoEvaluate = [("training", Loader(pairs, inOrder))],
                    Metrics = [Metric.Accuracy()],
                    EvaluateWhen = epoch => settings.EvaluatesAfter(epoch + 1),
                    Checkpoint = new CheckpointOptions(run.Folder)
                    {
                        EveryEpochs = settings.SaveEvery,
                        Resume = settings.Resume,
                        Settings = RecordOptions.Texts(run.Recipe)
                            .Add(settings.FromReference ? "--reference_seed" : "--seed", run.Seed.ToString(CultureInfo.InvariantCulture))
                            .AddRange(RecordOptions.Texts(settings).Where(o => o.Key is "--p" or "--train_fraction" or "--batch_size")),
                    },
                    Progress = progress,
                    Callbacks = [ProgressBar.ToStandardError(), MetricsLog.ToCsv(Path.Combine(run.Folder, "log.csv"), every: 0),
                        MetricsLog.ConstraintsToCsv(Path.Combine(run.Folder, "constraints.csv"), every: 0), new StopWhenGrokked()],
                }, cancellation);
            driver.ExportModel(Path.Combine(run.Folder, "model.onnx"));
            if (processes is { Rank: > 0 }) return result;
            if (driver.Optimizer.Plan.Constrained.Count > 0) Console.WriteLine(result.ConstraintSummary);
            if (result.SkippedSteps > 0) Console.WriteLine($"{result.SkippedSteps} steps were skipped: a gradient was not finite.");
            return result;
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }
}

/// <summary>Ends a run once its validation accuracy has been at least 0.99 for ten epochs.</summary>
internal sealed class StopWhenGrokked : TrainerCallback
{
    private const int Epochs = 10;
    private long _since = -1, _epoch;

    public override bool IsOver => _since >= 0 && _epoch - _since + 1 >= Epochs;

    public override string State => string.Create(CultureInfo.InvariantCulture, $"{_since} {_epoch}");

    public override void Restore(string state)
    {
        long[] numbers = [.. state.Split(' ').Select(n => long.Parse(n, CultureInfo.InvariantCulture))];
        (_since, _epoch) = (numbers[0], numbers[1]);
    }

    public override void OnEvaluated(Trainer trainer, EvaluationReport report, FitControl control)
    {
        _epoch = report.Epoch;
        if (report["accuracy"] < 0.99) _since = -1;
        else if (_since < 0) _since = _epoch;
        control.StopRequested |= IsOver;
    }
}
