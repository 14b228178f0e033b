using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using OrtCpr;
using OrtCpr.Data;
using OrtCpr.Logging;
using OrtCpr.Metrics;
using Samples;

namespace Cifar100;

// Trains, evaluates and writes what came out.
internal static class Experiment
{
    private const int Evaluations = 10;

    // Means and deviations of the channels, as the authors' script has them.
    private static readonly Transform Normalization = Transform.Normalize([0.4914f, 0.4822f, 0.4465f], [0.2023f, 0.1994f, 0.2010f]);

    public static int Run(Settings settings, CancellationToken cancellation)
    {
        string data = settings.DataDir;
        if (settings.Synthetic)
        {
            data = Path.Combine(settings.OutputDir, "synthetic");
            Console.Error.WriteLine($"SYNTHETIC DATA: coloured gratings in CIFAR-100's format, in '{data}'. The results say nothing about "
                + "CIFAR-100.");
            if (!File.Exists(Path.Combine(data, "test.bin"))) SyntheticImages.Write(data);
        }
        else if (!File.Exists(Path.Combine(data, "train.bin")))
        {
            throw new SampleException($"'{data}' has no train.bin. Unpack the binary version of CIFAR-100 (cifar-100-binary.tar.gz of the "
                + "data set's page) there, name its folder by --data_dir, or try --synthetic.");
        }
        if (settings.MaxTrainSteps < Settings.FullSteps)
        {
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"a reduced run: {settings.MaxTrainSteps} of {Settings.FullSteps} steps, {settings.BatchSize} images each; lr_warmup_steps "
                + $"{settings.LrWarmupSteps}, reg_step_size {settings.RegStepSize}, kappa_init_param {settings.KappaInitParam} (--full for "
                + $"the paper's)"));
        }
        string folder = Path.Combine(settings.OutputDir, settings.Name);
        using DataSource training = DataSource.FromCifar(data, training: true), test = DataSource.FromCifar(data, training: false);
        using TrainingDriver driver =
            TrainingDriver.Create(Path.Combine(AppContext.BaseDirectory, "resnet18_cifar100.onnx"), settings.ToTraining(),
            new DriverOptions { Threads = settings.Threads, Device = settings.Device });
        driver.SetSchedule(settings.LearningRate);
        if (settings.Decay is not null) driver.Optimizer.SetSchedule(settings.Decay, scalar: "weight_decay");
        DataLoader Loader(DataSource source, bool train) => new(source, driver.Plan.BatchInputs, new DataLoaderOptions
        {
            BatchSize = settings.BatchSize,
            Shuffle = train,
            Seed = settings.Seed,
            Transforms = ImmutableDictionary<string, ImmutableArray<Transform>>.Empty
                .Add("image", train ? [Transform.RandomCrop(4), Transform.RandomHorizontalFlip(), Transform.Scale(), Normalization]
                    : [Transform.Scale(), Normalization]),
        });
        DataLoader batches = Loader(training, true), held = Loader(test, false);
        long epochs = (settings.MaxTrainSteps + batches.BatchCount - 1) / batches.BatchCount;
        FitResult result;
        try
        {
            result = new Trainer(driver).Fit(batches, new FitOptions
            {
                Epochs = epochs,
                MaxSteps = settings.MaxTrainSteps,
                Validation = held,
                Metrics = [Metric.Accuracy(), Metric.Accuracy(5)],
                EvaluateEverySteps = settings.EvalInterval > 0 ? settings.EvalInterval : Math.Max(1, settings.MaxTrainSteps / Evaluations),
                Checkpoint = new CheckpointOptions(folder) { Best = "accuracy", Resume = settings.Resume },
                Callbacks = [ProgressBar.ToStandardError(), MetricsLog.ToCsv(Path.Combine(folder, "metrics.csv"), settings.LogInterval),
                    MetricsLog.ConstraintsToCsv(Path.Combine(folder, "constraints.csv"), settings.LogInterval)],
            }, cancellation);
        }
        catch (OperationCanceledException)
        {
            Console.Error.WriteLine($"stopped after {driver.Optimizer.Steps} steps; --resume goes on");
            return 130;
        }
        driver.ExportModel(Path.Combine(folder, "model.onnx"));
        EvaluationReport last = new Trainer(driver).Evaluate(held, [Metric.Accuracy(), Metric.Accuracy(5)], cancellation);
        File.WriteAllText(Path.Combine(folder, "result.json"), JsonSerializer.Serialize(new Dictionary<string, object>
        {
            ["name"] = settings.Name,
            ["synthetic"] = settings.Synthetic,
            ["steps"] = settings.MaxTrainSteps,
            ["test_loss"] = last.Loss,
            ["test_accuracy"] = last["accuracy"],
            ["test_top5"] = last["top5"],
            ["seconds"] = result.Elapsed.TotalSeconds,
        }));
        if (driver.Optimizer.Plan.Constrained.Count > 0) Console.WriteLine(result.ConstraintSummary);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{settings.Name}: test accuracy {last["accuracy"]:P2}, top 5 {last["top5"]:P2}, loss {last.Loss:F4}, {settings.MaxTrainSteps} "
            + $"steps in {result.Elapsed.TotalSeconds:F0} s{(settings.Synthetic ? ", SYNTHETIC data" : "")}"));
        return 0;
    }
}
