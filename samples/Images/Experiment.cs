using System.Diagnostics;
using System.Globalization;
using OrtCpr;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Graph.Heads;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Passes;
using OrtCpr.Logging;
using OrtCpr.Metrics;
using OrtCpr.Schedules;
using OrtCpr.Vision;
using Samples;

namespace Images;

// The three stages: a new head, the head alone, everything.
internal static class Experiment
{
    private const string Optimizer = "AdamCPR";

    // ML.NET's ResNet18 takes bytes of blue, green and red, less the means that its own package subtracts.
    private static readonly ImageOptions Featurizer = ImageOptions.Raw with
    {
        Channels = ImageChannels.Bgr,
        Mean = [103.06f, 115.90f, 123.15f],
    };

    public static int Run(Settings settings, CancellationToken cancellation)
    {
        long start = Stopwatch.GetTimestamp();
        void Say(FormattableString text) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{Stopwatch.GetElapsedTime(start).TotalSeconds,5:F0} s  {text.ToString(CultureInfo.InvariantCulture)}"));
        Directory.CreateDirectory(settings.Output);
        string PathOf(string name) => Path.Combine(settings.Output, name);
        string folder = settings.Data ?? PathOf("pictures");
        if (settings.Data is null)
        {
            Shapes.Draw(Path.Combine(folder, "train"), settings.Each, settings.Side, seed: 1);
            Shapes.Draw(Path.Combine(folder, "test"), settings.TestEach, settings.Side, seed: 3);
        }
        string model = settings.Model ?? Path.Combine(AppContext.BaseDirectory, "ResNet18.onnx");
        ImageOptions preset = settings.Model is null ? Featurizer : ImageOptions.ImageNet;
        // The names of the classes make the head, and the model with the head says what a picture must be like.
        (Pictures training, Pictures test) = Pictures.Open(folder, preset with { Scan = ImageScan.None });
        string[] classes = [.. training.ClassNames];
        string untrained = PathOf("untrained.onnx");
        ModelHead.Replace(model, untrained, at: null, new DenseHead { Classes = classes.Length, ClassNames = [.. classes] });
        using TrainingDriver whole = Whole(untrained, settings, training.Source.Count);
        (training, test) = Pictures.Open(folder, ImageOptions.For(whole.Plan.BatchInputs, preset));
        Say($"{training.Source.Count} training and {test.Source.Count} test pictures of {string.Join(", ", classes)}");

        using var phase = new HeadPhase(settings, untrained, training, test);
        Say($"features of all pictures computed; the new head, untrained: accuracy {phase.AccuracyBefore():P1}");
        long steps = phase.Steps;
        UpdateRule cpr = UpdateRule.AdamCpr(settings.HeadLr,
            constraint: new ConstrainNorm { Bound = BoundOf(steps) });
        foreach ((string name, UpdateRule rule) in new[] { ("AdamW", UpdateRule.AdamW(settings.HeadLr, settings.WeightDecay)),
            (Optimizer, cpr) })
        {
            double[] accuracies = [.. Enumerable.Range(1, settings.Seeds).Select(seed =>
            {
                (TrainingDriver driver, double accuracy) = phase.Train(rule, seed);
                driver.Dispose();
                return 100 * accuracy;
            })];
            Say($"head alone, {name}, {steps} steps, {settings.Seeds} seeds: accuracy {Spread.Of(accuracies).ToString("F1")} %");
        }

        (TrainingDriver head, double before) = phase.Train(cpr, seed: 1);
        using (head)
        {
            foreach (ParameterSpec p in head.Plan.Trained) whole.UpdateParameter(p.Name, head.GetParameter(p.Name));
        }
        Say($"the head of {Optimizer} and seed 1, put into the model: accuracy {before:P1}");
        var loader = new DataLoader(training.Source, whole.Plan.BatchInputs,
            new DataLoaderOptions { BatchSize = settings.BatchSize, Workers = 0 });
        if (settings.Epochs > 0)
        {
            new Trainer(whole).Fit(loader, new FitOptions { Epochs = settings.Epochs, Callbacks = [ProgressBar.ToStandardError()] },
                cancellation);
        }
        var held = new DataLoader(test.Source, whole.Plan.BatchInputs,
            new DataLoaderOptions { BatchSize = settings.BatchSize, Shuffle = false, Workers = 0 });
        int[] found = [.. new Trainer(whole).Predict(held.Batches()).SelectMany(t => t.ToArray<float>().Chunk(classes.Length))
            .Select(scores => Array.IndexOf(scores, scores.Max()))];
        ConfusionMatrix confusion = Confusion(test.Labels, found, classes);
        Say($"all parameters, {settings.Epochs} epochs: accuracy {confusion.Accuracy:P1}");
        Console.WriteLine(Table(confusion));
        Console.WriteLine(confusion);
        Sheet.Save(PathOf("test.png"), test, classes, found);
        whole.ExportModel(PathOf("model.onnx"), freeBatch: true);
        Say($"written: {PathOf("model.onnx")}, {PathOf("test.png")}");
        return 0;
    }

    // With the bounds of a short run, and batch normalisation by what the model has seen before: the pictures are too few for their own.
    private static TrainingDriver Whole(string model, Settings settings, long examples)
    {
        long steps = Math.Max(1, settings.Epochs * ((examples + settings.BatchSize - 1) / settings.BatchSize));
        TrainingDriver driver = TrainingDriver.Create(model, new TrainingOptions
        {
            Loss = new CrossEntropyLoss(),
            BatchNormalization = BatchNormalizationMode.Inference,
            Optimizer = new OptimizerOptions
            {
                Groups = [UpdateRule.AdamCpr(settings.Lr, constraint: new ConstrainNorm { Bound = BoundOf(steps) })],
            },
        }, new DriverOptions { Threads = settings.Threads });
        driver.SetSchedule(Schedule.Cosine(steps, finalFactor: 0.1));
        return driver;
    }

    // After a fifth of the steps, as a trainer sets the bounds of a run that is too short to find an inflection point.
    private static Bound BoundOf(long steps) => Bound.AfterSteps(Math.Max(1, steps / 5));

    private static ConfusionMatrix Confusion(long[] truth, int[] found, string[] classes)
    {
        long[,] counts = new long[classes.Length, classes.Length];
        for (int i = 0; i < truth.Length; i++) counts[truth[i], found[i]]++;
        return new ConfusionMatrix(counts, classes);
    }

    // A row for each true class, a column for each found one.
    private static string Table(ConfusionMatrix confusion)
    {
        int width = confusion.ClassNames.Max(c => c.Length) + 2;
        int[] classes = [.. Enumerable.Range(0, confusion.Classes)];
        string Line(string name, IEnumerable<string> cells) => name.PadRight(width) + string.Concat(cells.Select(c => c.PadLeft(width)));
        return string.Join('\n', classes.Select(truth => Line(confusion.ClassNames[truth],
                classes.Select(found => confusion[truth, found].ToString(CultureInfo.InvariantCulture))))
            .Prepend(Line("", confusion.ClassNames))) + "\n";
    }
}
