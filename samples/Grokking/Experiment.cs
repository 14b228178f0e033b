using OrtCpr.Graph.Optimizers;

namespace Grokking;

// All runs that a command line asks for, one after the other, with their common files.
internal sealed class Experiment(Options options, Interruption interruption)
{
    private readonly Progress _progress = Progress.ToConsole();

    // What --compare runs, in the order of its table.
    public static IReadOnlyList<Recipe> Compared { get; } =
    [
        new() { Optimizer = OptimizerKind.AdamW, WeightDecay = 0.1 },
        new() { Optimizer = OptimizerKind.AdamW, WeightDecay = 0.3 },
        new() { Optimizer = OptimizerKind.AdamW, WeightDecay = 1.0 },
        new() { Optimizer = OptimizerKind.Adam, RescaleAlpha = Recipe.DefaultFactor },
        new() { RegFunction = Regularizer.L2 },
        new() { RegFunction = Regularizer.Std },
    ];

    // The exit code.
    public int Run()
    {
        (Recipe Recipe, long Seed)[] runs = [.. (options.Compare ? Compared : [options.Recipe]).SelectMany(recipe => options.Seeds.Select(seed => (recipe, seed)))];
        RunFiles[] files = [.. runs.Select(r => RunFiles.Of(options.Out, r.Recipe, r.Seed, runs.Length > 1))];
        var journal = new Journal(options.Out);
        if (options.Resume)
        {
            if (!files.Any(f => File.Exists(f.Checkpoint)))
                throw new GrokkingException($"There is nothing to resume: '{files[0].Checkpoint}' does not exist. Give the options and the folder of the run, or start without --resume.");
            journal.Continue();
        }
        foreach (RunFiles f in files)
        {
            Directory.CreateDirectory(f.Folder);
            // A new run must never be resumed from an old run's state.
            if (!options.Resume) File.Delete(f.Checkpoint);
        }
        if (!options.Resume) journal.Start();

        var summaries = new List<RunSummary>();
        for (int i = 0; i < runs.Length; i++)
        {
            using var runner = new Runner(options, runs[i].Recipe, runs[i].Seed, files[i], journal, _progress, interruption);
            RunSummary? summary = runner.Run();
            Draw(journal, [.. runs.Take(i + 1)]);
            if (summary is null)
            {
                _progress.Say($"Stopped and saved in '{files[i].Folder}'. The same command with --resume goes on.");
                return interruption.ExitCode;
            }
            _progress.Say(summary.ToString());
            summaries.Add(summary);
        }
        if (options.Compare || summaries.Select(s => s.Seed).Distinct().Count() > 1) _progress.Say($"\n{ComparisonTable.Of(summaries)}");
        return 0;
    }

    private static void Draw(Journal journal, (Recipe Recipe, long Seed)[] runs)
    {
        if (journal.Epochs.Rows.Count > 0) new Figure(journal, runs).Save(journal.Figure);
    }
}
