using OrtCpr;
using OrtCpr.Data;
using OrtCpr.Logging;
using OrtCpr.Metrics;
using Samples;

namespace Grokking;

/// <summary>All runs that a command line asks for, one after the other, with their common files.</summary>
internal static class Experiment
{
    private const int EvaluationBatch = 1024;

    public static int Run(Settings settings, CancellationToken cancellation) => Run(settings, null, cancellation);

    /// <summary>Makes the runs; gives the exit code.</summary>
    /// <param name="settings">What the command line asks for.</param>
    /// <param name="progress">Told of each step; null for nobody.</param>
    /// <param name="cancellation">Ends the run at hand after its step; it is saved then.</param>
    public static int Run(Settings settings, IProgress<StepReport>? progress, CancellationToken cancellation)
    {
        (Recipe Recipe, long Seed)[] runs = settings.Runs;
        string[] checkpoints = [.. runs.Select(r => new CheckpointOptions(settings.FolderOf(r.Recipe, r.Seed)).LastPath)];
        if (settings.Resume && !checkpoints.Any(File.Exists))
        {
            throw new SampleException($"There is nothing to resume: '{checkpoints[0]}' does not exist. Give the options and the folder of "
                + "the run, or start without --resume.");
        }
        var journal = new Journal(settings.Out);
        journal.Open(settings.Resume);
        // A new experiment must never be resumed from an old one's state.
        foreach (string path in settings.Resume ? [] : checkpoints.Where(File.Exists)) File.Delete(path);
        var summaries = new List<RunSummary>();
        for (int i = 0; i < runs.Length; i++)
        {
            (Recipe recipe, long seed) = runs[i];
            RunSummary? summary = Train(settings, recipe, seed, journal, progress, cancellation);
            Figure.Save(journal, runs[..(i + 1)], Path.Combine(settings.Out, "grokking.png"));
            if (summary is null)
            {
                Console.WriteLine($"Stopped and saved in '{settings.FolderOf(recipe, seed)}'. The same command with --resume goes on.");
                return 130;
            }
            Console.WriteLine(summary);
            summaries.Add(summary);
        }
        if (runs.Length > 1) Console.WriteLine($"\n{ComparisonTable.Of(summaries)}");
        return 0;
    }

    // One run, from its first or last saved step to its end; null when it was cancelled.
    private static RunSummary? Train(Settings settings, Recipe recipe, long seed, Journal journal, IProgress<StepReport>? progress,
        CancellationToken cancellation)
    {
        string folder = settings.FolderOf(recipe, seed), model = Path.Combine(folder, "model.onnx");
        // A finished run of a comparison that goes on.
        if (settings.Resume && File.Exists(model) && Milestones.Of(journal.EpochsOf(recipe.Name, seed)) is { Stands: true })
        {
            return Summary(journal, recipe, seed, settings);
        }
        StartingPoint start = settings.FromReference
            ? StartingPoint.Reference(Path.Combine(AppContext.BaseDirectory, "reference", "split.safetensors"), seed)
            : StartingPoint.Drawn(settings.P, settings.TrainFraction, seed);
        long batches = BatchesOf(settings, start.TrainingPairs.Length);
        using TrainingDriver driver = TrainingDriver.Create(Path.Combine(AppContext.BaseDirectory, "grokking.onnx"),
            recipe.ToTrainingOptions(seed, start.Weights, batches * settings.Epochs),
                new DriverOptions { Threads = settings.Threads, Device = settings.Device });
        foreach (string warning in driver.Plan.Warnings) Console.Error.WriteLine($"warning: {warning}");
        using DataSource pairs = ModularAddition.Examples(settings.P, start.TrainingPairs),
            others = ModularAddition.Examples(settings.P, ModularAddition.Rest(settings.P, start.TrainingPairs));
        DataLoaderOptions all = new() { BatchSize = EvaluationBatch, Shuffle = false, Prefetch = 0 };
        DataLoader training =
            new(pairs, driver.Plan.BatchInputs, all with { BatchSize = settings.BatchSize, Order = epoch => start.Order((int)epoch + 1) });
        DataLoader trained = new(pairs, driver.Plan.BatchInputs, all), held = new(others, driver.Plan.BatchInputs, all);
        var log = new RunLog(settings, recipe, seed, journal, trained, batches);
        try
        {
            FitResult result = new Trainer(driver).Fit(training, new FitOptions
            {
                Epochs = settings.Epochs,
                Validation = held,
                Metrics = [Metric.Accuracy()],
                EvaluateWhen = epoch => settings.EvaluatesAfter(epoch + 1),
                Checkpoint = new CheckpointOptions(folder) { EveryEpochs = settings.SaveEvery, Resume = settings.Resume },
                Progress = progress,
                Callbacks = [ProgressBar.ToStandardError(), log],
            }, cancellation);
            if (driver.Optimizer.Plan.Constrained.Count > 0) Console.WriteLine(result.ConstraintSummary);
            if (result.SkippedSteps > 0) Console.WriteLine($"{result.SkippedSteps} steps were skipped: a gradient was not finite.");
        }
        catch (OperationCanceledException)
        {
            return null;
        }
        driver.ExportModel(model);
        return Summary(journal, recipe, seed, settings);
    }

    private static long BatchesOf(Settings settings, int examples) => (examples + settings.BatchSize - 1) / settings.BatchSize;

    private static RunSummary Summary(Journal journal, Recipe recipe, long seed, Settings settings)
    {
        EpochRow last = journal.EpochsOf(recipe.Name, seed)[^1];
        long steps = last.Epoch * BatchesOf(settings, ModularAddition.TrainingCount(settings.P, settings.TrainFraction));
        return new RunSummary(recipe.Name, seed, Milestones.Of(journal.EpochsOf(recipe.Name, seed)), steps / Math.Max(1e-9, last.Seconds));
    }
}
