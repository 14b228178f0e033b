using System.Globalization;
using OrtCpr;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;
using OrtCpr.Logging;
using OrtCpr.Metrics;
using OrtCpr.Schedules;

namespace Gpt2;

// All runs of the table, one after the other, and what they come to.
internal static class Experiment
{
    private sealed record Recipe(string Name, UpdateRule Rule, long Steps);

    public static int Run(Settings settings, CancellationToken cancellation)
    {
        string data = settings.DataDir ?? Path.Combine(settings.Out, "generated");
        if (settings.DataDir is null)
        {
            Console.Error.WriteLine($"GENERATED TEXT in '{data}': sentences of a small grammar. The results say nothing about English; "
                + "--data_dir names token files.");
            if (!File.Exists(Path.Combine(data, "val.bin"))) GeneratedText.Write(data);
        }
        using DataSource training = DataSource.FromTokenFile(Path.Combine(data, "train.bin"), settings.SequenceLength),
            validation = DataSource.FromTokenFile(Path.Combine(data, "val.bin"), settings.SequenceLength);
        var table = new ResultTable(Path.Combine(settings.Out, "results.csv"), settings.Resume);
        foreach (Recipe recipe in Recipes(settings))
        {
            for (int seed = 1; seed <= settings.Seeds; seed++)
            {
                string name = $"{recipe.Name}-seed{seed}";
                if (table.Has(recipe.Name, seed)) continue;
                Console.Error.WriteLine(name);
                if (Train(settings, recipe, seed, Path.Combine(settings.Out, name), training, validation, cancellation)
                    is not double perplexity)
                {
                    Console.Error.WriteLine("stopped; --resume goes on");
                    return 130;
                }
                table.Add(recipe.Name, seed, recipe.Steps, perplexity);
            }
        }
        table.Write(Console.Out);
        return 0;
    }

    private static List<Recipe> Recipes(Settings settings)
    {
        ScaleByAdam adam = new() { Beta1 = 0.9, Beta2 = 0.99, Epsilon = 1e-9 };
        var recipes = new List<Recipe>();
        if (settings.Optimizers != "adamcpr")
        {
            recipes.AddRange(settings.WeightDecay.Select(d =>
                new Recipe(string.Create(CultureInfo.InvariantCulture, $"adamw-{d}"), UpdateRule.AdamW(settings.Lr, d, adam),
                settings.Steps)));
        }
        if (settings.Optimizers != "adamw")
        {
            foreach (long steps in new[] { settings.Steps, settings.Steps * 2 / 3 })
            {
                // Samples every sixtieth of the run, and no bound later than at a fifth of it: most of the run is under the constraint.
                ConstrainNorm constraint = new() { Bound = Bound.AtInflection(Math.Max(1, steps / 60), maxWait: Math.Max(5, steps / 5)) };
                recipes.Add(new Recipe(steps == settings.Steps ? ResultTable.Cpr : ResultTable.ShortCpr,
                    UpdateRule.AdamCpr(settings.Lr, adam, constraint), steps));
            }
        }
        return recipes;
    }

    // Validation perplexity at the end; null when it was cancelled.
    private static double? Train(Settings settings, Recipe recipe, int seed, string folder, DataSource training, DataSource validation,
        CancellationToken cancellation)
    {
        using TrainingDriver driver = TrainingDriver.Create(settings.Model, new TrainingOptions
        {
            Seed = seed,
            Optimizer = new OptimizerOptions { Groups = [recipe.Rule], MaxGradientNorm = 1, TotalSteps = recipe.Steps },
            Parameters = new ParameterOptions { RegularizeEmbeddings = true },
        }, new DriverOptions { Threads = settings.Threads, Device = settings.Device });
        driver.SetSchedule(Schedule.Cosine(recipe.Steps, settings.WarmupSteps * recipe.Steps / settings.Steps, 0.1));
        DataLoader Loader(DataSource source, bool shuffle) =>
            new(source, driver.Plan.BatchInputs,
            new DataLoaderOptions { BatchSize = settings.BatchSize, Shuffle = shuffle, Seed = seed, DropLast = shuffle });
        DataLoader batches = Loader(training, true), held = Loader(validation, false);
        try
        {
            new Trainer(driver).Fit(batches, new FitOptions
            {
                Epochs = long.MaxValue / batches.BatchCount,
                MaxSteps = recipe.Steps,
                Validation = held,
                Metrics = [Metric.Perplexity()],
                EvaluateEverySteps = Math.Max(1, recipe.Steps / 4),
                Checkpoint = new CheckpointOptions(folder) { EverySteps = Math.Max(1, recipe.Steps / 4), Resume = settings.Resume },
                Callbacks = [ProgressBar.ToStandardError(), MetricsLog.ToCsv(Path.Combine(folder, "metrics.csv"), 5),
                    MetricsLog.ConstraintsToCsv(Path.Combine(folder, "constraints.csv"), 5)],
            }, cancellation);
        }
        catch (OperationCanceledException)
        {
            return null;
        }
        driver.ExportModel(Path.Combine(folder, "model.onnx"));
        return new Trainer(driver).Evaluate(held, [Metric.Perplexity()], cancellation)["perplexity"];
    }
}
