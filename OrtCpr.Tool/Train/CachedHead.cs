using OrtCpr.Checkpoints;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Graph.Heads;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tool.Train;

// The head of a model as a job of its own, in a folder inside the run's, on features that are computed once.
internal sealed class CachedHead : IDisposable
{
    private readonly string _folder;

    private CachedHead(TrainingDriver driver, DataSource training, DataSource? validation, string folder)
    {
        Driver = driver;
        Training = training;
        Validation = validation;
        _folder = folder;
    }

    public TrainingDriver Driver { get; }

    public DataSource Training { get; }

    public DataSource? Validation { get; }

    // The head's job as a folder, with its checkpoints.
    public string Folder => _folder;

    // options: of the whole model. loading: how the examples of the whole model are read.
    public static CachedHead Create(string model, TrainingOptions options, DriverOptions driverOptions, DataSource training,
        DataSource? validation, Func<IReadOnlyList<BatchInput>, DataLoaderOptions> loading, string folder, CancellationToken cancellation)
    {
        Directory.CreateDirectory(folder);
        string body = Path.Combine(folder, "body.onnx"), head = Path.Combine(folder, "head.onnx");
        string features = ModelHead.Split(model, body, head);
        FeatureSource? first = null, second = null;
        try
        {
            using (ModelPredictor predicting = ModelPredictor.Create(body, driverOptions, options))
            {
                DataLoaderOptions reading = loading(predicting.Inputs);
                first = Compute(predicting, training, reading, Path.Combine(folder, "training.features"), features, cancellation);
                if (validation is not null)
                    second = Compute(predicting, validation, reading, Path.Combine(folder, "validation.features"), features, cancellation);
            }
            File.Delete(body);
            return new(new TrainingDriver(TrainingGraphBuilder.Build(head, options), driverOptions), first, second, folder);
        }
        catch
        {
            first?.Dispose();
            second?.Dispose();
            throw;
        }
    }

    // Puts the trained head into the whole model, and the head's checkpoints beside it as the whole model's.
    public void MoveTo(TrainingDriver whole, string folder)
    {
        CheckpointOptions from = new(_folder), to = new(folder);
        if (File.Exists(from.BestPath))
        {
            TrainingProgress last = TrainingCheckpoint.Load(Driver, from.BestPath);
            Move(whole);
            TrainingCheckpoint.Save(whole, to.BestPath, last);
            TrainingCheckpoint.Load(Driver, from.LastPath);
        }
        Move(whole);
        TrainingCheckpoint.Save(whole, to.LastPath);
    }

    public void Dispose()
    {
        Driver.Dispose();
        Training.Dispose();
        Validation?.Dispose();
    }

    private void Move(TrainingDriver whole)
    {
        foreach (ParameterSpec parameter in Driver.Plan.Trained) whole.UpdateParameter(parameter.Name, Driver.GetParameter(parameter.Name));
    }

    // One that a killed run has left is in the way.
    private static FeatureSource Compute(ModelPredictor body, DataSource source, DataLoaderOptions loading, string path, string features,
        CancellationToken cancellation)
    {
        File.Delete(path);
        Console.Error.WriteLine($"{source.Count} examples through the body, once");
        return FeatureSource.Compute(body, source, loading, path, features, cancellation);
    }
}
