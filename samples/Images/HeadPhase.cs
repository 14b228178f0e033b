using OrtCpr;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Graph.Heads;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Metrics;

namespace Images;

// The head alone. Nothing in front of it changes, so what it reads is computed once, and an epoch takes milliseconds.
internal sealed class HeadPhase : IDisposable
{
    private readonly Settings _settings;
    private readonly string _head;
    private readonly int _classes;
    private readonly DataSource _training, _test;

    // Takes the model apart and computes the features of all pictures.
    public HeadPhase(Settings settings, string model, Pictures training, Pictures test)
    {
        _settings = settings;
        _classes = training.ClassNames.Length;
        string body = Path.Combine(settings.Output, "body.onnx");
        _head = Path.Combine(settings.Output, "head.onnx");
        ModelHead.Split(model, body, _head);
        using ModelPredictor predicting = ModelPredictor.Create(body, new DriverOptions { Threads = settings.Threads });
        _training = Features(predicting, training, "training");
        _test = Features(predicting, test, "test");
    }

    // Of the head as it was drawn.
    public double AccuracyBefore()
    {
        using TrainingDriver driver = Driver(_head, new OptimizerOptions());
        return Accuracy(driver);
    }

    // A head of a seed's own, trained; the caller disposes it.
    public (TrainingDriver Driver, double Accuracy) Train(UpdateRule rule, int seed)
    {
        string drawn = Path.Combine(_settings.Output, $"head-{seed}.onnx");
        ModelHead.Replace(_head, drawn, at: null, new DenseHead { Classes = _classes, Seed = seed });
        TrainingDriver driver = Driver(drawn, new OptimizerOptions { Groups = [rule] });
        var loader = new DataLoader(_training, driver.Plan.BatchInputs,
            new DataLoaderOptions { BatchSize = _settings.BatchSize, Seed = seed, Prefetch = 0 });
        new Trainer(driver).Fit(loader, new FitOptions { Epochs = _settings.HeadEpochs });
        return (driver, Accuracy(driver));
    }

    public long Steps => _settings.HeadEpochs * ((_training.Count + _settings.BatchSize - 1) / _settings.BatchSize);

    private static TrainingDriver Driver(string model, OptimizerOptions optimizer) =>
        TrainingDriver.Create(model, new TrainingOptions { Loss = new CrossEntropyLoss(), Optimizer = optimizer },
            new DriverOptions { Threads = 1 });

    private double Accuracy(TrainingDriver driver)
    {
        var held = new DataLoader(_test, driver.Plan.BatchInputs, new DataLoaderOptions { BatchSize = 100, Shuffle = false, Prefetch = 0 });
        return new Trainer(driver).Evaluate(held, [Metric.Accuracy()])["accuracy"];
    }

    public void Dispose()
    {
        _training.Dispose();
        _test.Dispose();
    }

    private FeatureSource Features(ModelPredictor body, Pictures pictures, string name)
    {
        string path = Path.Combine(_settings.Output, $"{name}.features");
        // One that a killed run has left is in the way.
        File.Delete(path);
        return FeatureSource.Compute(body, pictures.Source, new DataLoaderOptions { BatchSize = _settings.BatchSize, Workers = 0 }, path);
    }
}
