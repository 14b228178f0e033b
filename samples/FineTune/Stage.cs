using OrtCpr;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;
using OrtCpr.Logging;
using OrtCpr.Metrics;

namespace FineTune;

// One stage: a model file goes in, a trained one comes out.
internal static class Stage
{
    public static void Train(string model, Sectors task, string target, long steps, NamePattern[] freeze, NamePattern[]? trainOnly = null,
        double learningRate = 3e-3)
    {
        using TrainingDriver driver = TrainingDriver.Create(model, new TrainingOptions
        {
            Loss = new CrossEntropyLoss(),
            Parameters = new ParameterOptions { Freeze = [.. freeze], TrainOnly = [.. trainOnly ?? []] },
            Optimizer = new OptimizerOptions
            {
                Groups = [UpdateRule.AdamCpr(learningRate,
                constraint: new ConstrainNorm { Bound = Bound.AfterSteps(steps / 4) })]
            },
        }, new DriverOptions { Threads = 1 });
        var loader = new DataLoader(task.Training, driver.Plan.BatchInputs, new DataLoaderOptions { BatchSize = 40, Prefetch = 0 });
        // What `ortcpr plot` draws, in a folder named like the model.
        string log = Path.ChangeExtension(target, null);
        Directory.CreateDirectory(log);
        var held = new DataLoader(task.Test, driver.Plan.BatchInputs,
            new DataLoaderOptions { BatchSize = 500, Shuffle = false, Prefetch = 0 });
        new Trainer(driver).Fit(loader, new FitOptions
        {
            Epochs = steps,
            MaxSteps = steps,
            Validation = held,
            Metrics = [Metric.Accuracy()],
            EvaluateEverySteps = 20,
            Callbacks = [MetricsLog.ToCsv(Path.Combine(log, "metrics.csv"), 5),
                MetricsLog.ConstraintsToCsv(Path.Combine(log, "constraints.csv"), 5)],
        });
        driver.ExportModel(target);
        Console.WriteLine($"   {driver.Plan.Parameters.Trained.Count} parameters trained, {driver.Optimizer.ConstraintSummary}: "
            + $"{Accuracy(target, task):P1}");
    }

    // Of the exported model, on examples that nobody has seen.
    public static double Accuracy(string model, Sectors task)
    {
        using TrainingDriver driver = TrainingDriver.Create(model, options: new DriverOptions { Threads = 1 });
        var loader = new DataLoader(task.Test, driver.Plan.BatchInputs,
            new DataLoaderOptions { BatchSize = 500, Shuffle = false, Prefetch = 0 });
        return new Trainer(driver).Evaluate(loader, [Metric.Accuracy()])["accuracy"];
    }
}
