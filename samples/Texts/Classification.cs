using System.Globalization;
using OrtCpr;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Graph.Heads;
using OrtCpr.Graph.Losses;
using OrtCpr.Logging;
using OrtCpr.Metrics;
using Samples;

namespace Texts;

// A new head on the frozen encoder, by two optimizers; then everything with a small rate.
internal static class Classification
{
    private const string Logits = "logits";

    public static int Run(Settings settings, CancellationToken cancellation)
    {
        MiniLm encoder = MiniLm.Open(settings);
        using Topics topics = new(settings, encoder);
        string headed = settings.PathOf("head.onnx"), trained = settings.PathOf("model.onnx");
        long first = settings.Seeds[0];
        var figures = new Dictionary<string, List<EvaluationReport>>();
        Embeddings? before = null;
        foreach (long seed in settings.Seeds)
        {
            foreach (string optimizer in new[] { "AdamW", "AdamCPR" })
            {
                string untrained = settings.PathOf("untrained.onnx");
                ModelHead.Replace(encoder.Model, untrained, null, new DenseHead
                {
                    Classes = topics.Names.Length,
                    ClassNames = topics.Names,
                    Seed = seed,
                    Output = Logits,
                    // The tokens stay an output, for the picture.
                    Keep = true,
                });
                Stage head = new(optimizer, settings.HeadLr, settings.HeadEpochs, seed, HeadAlone: true);
                bool goesOn = seed == first && optimizer == "AdamCPR";
                EvaluationReport report = Train(settings, topics, untrained, head, goesOn ? headed : null, cancellation, driver =>
                {
                    if (!goesOn) return;
                    before = Embeddings.Of(driver, topics, driver.Plan.ModelOutputs[0]);
                    Show("a new head, untrained", Evaluate(topics, driver), topics);
                });
                if (!figures.TryGetValue(optimizer, out List<EvaluationReport>? reports)) figures[optimizer] = reports = [];
                reports.Add(report);
                if (goesOn) Show($"the head alone, {settings.HeadEpochs} epochs of AdamCPR", report, topics);
                File.Delete(untrained);
            }
        }
        Compare(settings, figures);

        Embeddings? after = null;
        Stage all = new("AdamCPR", settings.AllLr, settings.AllEpochs, first, HeadAlone: false);
        EvaluationReport last = Train(settings, topics, headed, all, trained, cancellation, null,
            driver => after = Embeddings.Of(driver, topics, driver.Plan.ModelOutputs[0]));
        Show($"everything, {settings.AllEpochs} epochs of AdamCPR more", last, topics);
        Map.Save(settings.PathOf("classification.png"), topics.Names, ("encoder as it came", before!),
            ("after training everything", after!));
        Console.WriteLine($"model: {trained}");
        return 0;
    }

    private static EvaluationReport Train(Settings settings, Topics topics, string model, Stage stage, string? target,
        CancellationToken cancellation, Action<TrainingDriver>? before = null, Action<TrainingDriver>? after = null)
    {
        long steps = stage.Epochs * ((topics.Training.Count + settings.BatchSize - 1) / settings.BatchSize);
        using TrainingDriver driver = TrainingDriver.Create(model, new TrainingOptions
        {
            Loss = new CrossEntropyLoss { Output = Logits },
            Parameters = new() { TrainOnly = stage.HeadAlone ? ModelHead.Parameters(model) : [] },
            Optimizer = new() { Groups = [Settings.Rule(stage.Optimizer, stage.LearningRate, steps)] },
        }, new DriverOptions { Threads = settings.Threads });
        before?.Invoke(driver);
        Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{(stage.HeadAlone ? "head" : "everything")}, {stage.Optimizer} at {stage.LearningRate}, seed {stage.Seed}"));
        new Trainer(driver).Fit(
            new DataLoader(topics.Training, driver.Plan.BatchInputs,
                new DataLoaderOptions { BatchSize = settings.BatchSize, Seed = stage.Seed }),
            new FitOptions { Epochs = stage.Epochs, Callbacks = [ProgressBar.ToStandardError()] }, cancellation);
        if (target is not null) driver.ExportModel(target);
        after?.Invoke(driver);
        return Evaluate(topics, driver);
    }

    // F1 is what counts the confusions.
    private static EvaluationReport Evaluate(Topics topics, TrainingDriver driver) =>
        new Trainer(driver).Evaluate(topics.TestBatches(driver), [Metric.Accuracy(), Metric.F1()]);

    // A row for each true topic, a column for each found one.
    private static void Show(string what, EvaluationReport report, Topics topics)
    {
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"\n{what}: accuracy {report["accuracy"]:P1}, loss {report.Loss:F3}, F1 {report["f1"]:F3}"));
        int width = Math.Max(6, topics.Names.Max(n => n.Length));
        Console.WriteLine($"{"is \\ found".PadRight(Math.Max(10, width))} {string.Join(' ', topics.Names.Select(n => n.PadLeft(width)))}");
        for (int truth = 0; truth < topics.Names.Length; truth++)
        {
            Console.WriteLine($"{topics.Names[truth].PadRight(Math.Max(10, width))} "
                + string.Join(' ', topics.Names.Select((_, found) => $"{report.Confusion![truth, found]}".PadLeft(width))));
        }
    }

    private static void Compare(Settings settings, Dictionary<string, List<EvaluationReport>> figures)
    {
        Console.WriteLine($"\nthe head by two optimizers, mean ± deviation over seeds {string.Join(", ", settings.Seeds)}");
        Console.WriteLine("| optimizer | test accuracy, % | test loss |\n|---|---:|---:|");
        foreach ((string optimizer, List<EvaluationReport> reports) in figures)
        {
            Console.WriteLine($"| {optimizer} | {Spread.Of([.. reports.Select(r => 100 * r["accuracy"])]).ToString("F1")} | "
                + $"{Spread.Of([.. reports.Select(r => r.Loss)]).ToString("F3")} |");
        }
    }

    private sealed record Stage(string Optimizer, double LearningRate, int Epochs, long Seed, bool HeadAlone);
}
