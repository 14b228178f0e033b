using System.Text.Json;
using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Files;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr;

/// <summary>A training job as a folder: the graphs, the model and the state. It is loaded again without the original model and without
/// building.</summary>
/// <remarks>Files: <c>training_model.onnx</c>, <c>accumulation_model.onnx</c>, <c>eval_model.onnx</c>, <c>optimizer_model.onnx</c>,
/// <c>model.onnx</c> (the model with the weights of now, ready for inference), <c>training.json</c> and <c>checkpoint.safetensors</c>.
/// Thread-safe.</remarks>
public static class ArtifactsFolder
{
    private const string Training = "training_model.onnx", Accumulation = "accumulation_model.onnx", Evaluation = "eval_model.onnx",
        OptimizerFile = "optimizer_model.onnx",
        Model = "model.onnx", Description = "training.json", Checkpoint = "checkpoint.safetensors", Staging = ".new";

    private const int Version = 1;

    /// <summary>Writes everything; the folder is created. A job that is there already is whole until the new one is, also after a
    /// crash.</summary>
    /// <remarks>The files are written to the folder <c>.new</c> in it, the checkpoint last, and then moved. A crash while they are moved is
    /// made good by the next <see cref="Load(string, DriverOptions?)"/> or Save: what is whole in <c>.new</c> is the job.</remarks>
    /// <param name="driver">The driver to save.</param>
    /// <param name="folder">The folder to write to.</param>
    /// <param name="progress">The caller's position; null for none.</param>
    /// <exception cref="FileAccessException">A file can't be written; names it.</exception>
    public static void Save(TrainingDriver driver, string folder, TrainingProgress? progress = null)
    {
        ArgumentNullException.ThrowIfNull(driver);
        ArgumentNullException.ThrowIfNull(folder);
        TrainingGraphs graphs = driver.Graphs;
        string staging = Path.Combine(folder, Staging);
        Guarded(folder, () =>
        {
            Commit(folder);
            // What a crash has left half written.
            if (Directory.Exists(staging)) Directory.Delete(staging, recursive: true);
            Directory.CreateDirectory(staging);
        });
        ModelFile.Save(GraphWriter.Write(graphs.Training), Path.Combine(staging, Training));
        ModelFile.Save(GraphWriter.Write(graphs.Accumulation), Path.Combine(staging, Accumulation));
        ModelFile.Save(GraphWriter.Write(graphs.Evaluation), Path.Combine(staging, Evaluation));
        ModelFile.Save(GraphWriter.Write(graphs.Optimizer.Model), Path.Combine(staging, OptimizerFile));
        driver.ExportModel(Path.Combine(staging, Model));
        AtomicFile.Write(Path.Combine(staging, Description),
            stream => JsonSerializer.Serialize(stream, TrainingDescription.Of(graphs, Version), GraphJson.Indented.TrainingDescription));
        TrainingCheckpoint.Save(driver, Path.Combine(staging, Checkpoint), progress);
        Guarded(folder, () => Commit(folder));
    }

    // Moves what is whole in the staging folder to its place. The checkpoint, which says that it is whole, goes last.
    private static void Commit(string folder)
    {
        string staging = Path.Combine(folder, Staging);
        if (!File.Exists(Path.Combine(staging, Checkpoint))) return;
        foreach (string file in Directory.GetFiles(staging).OrderBy(f => Path.GetFileName(f) == Checkpoint))
        {
            File.Move(file, Path.Combine(folder, Path.GetFileName(file)), overwrite: true);
        }
        Directory.Delete(staging, recursive: true);
    }

    private static void Guarded(string folder, Action action)
    {
        try
        {
            action();
        }
        catch (Exception error) when (FileAccessException.IsFileError(error))
        {
            throw FileAccessException.CannotWrite(folder, error);
        }
    }

    /// <summary>Loads a folder that <see cref="Save"/> wrote.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="options">Threads, kernels, device; the job may go on on another one.</param>
    /// <param name="progress">The position that was saved with it.</param>
    /// <exception cref="OrtCprException">A file is missing or damaged; names it.</exception>
    public static TrainingDriver Load(string folder, DriverOptions? options, out TrainingProgress progress)
    {
        ArgumentNullException.ThrowIfNull(folder);
        Guarded(folder, () => Commit(folder));
        TrainingDescription description = ReadDescription(Path.Combine(folder, Description));
        using SafetensorsFile state = SafetensorsFile.Read(Path.Combine(folder, Checkpoint));
        TrainingGraphs graphs = description.ToGraphs(
            Read(Path.Combine(folder, Training)), Read(Path.Combine(folder, Accumulation)), Read(Path.Combine(folder, Evaluation)),
            Read(Path.Combine(folder, OptimizerFile)), ModelFile.Load(Path.Combine(folder, Model)),
            name => state.Tensors.TryGetValue(name, out TensorData? data) ? data
                : throw new CheckpointException($"'{Path.Combine(folder, Checkpoint)}' has no tensor '{name}', which '{Description}' "
                    + $"beside it names. The files do not belong together; save the job again."));
        var driver = new TrainingDriver(graphs, options);
        try
        {
            progress = TrainingCheckpoint.Load(driver, Path.Combine(folder, Checkpoint));
            return driver;
        }
        catch
        {
            driver.Dispose();
            throw;
        }
    }

    /// <summary>Loads a folder that <see cref="Save"/> wrote.</summary>
    /// <exception cref="OrtCprException">A file is missing or damaged; names it.</exception>
    public static TrainingDriver Load(string folder, DriverOptions? options = null) => Load(folder, options, out _);

    private static OnnxModel Read(string path) => GraphReader.Read(ModelFile.Load(path));

    private static TrainingDescription ReadDescription(string path)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            TrainingDescription? description = JsonSerializer.Deserialize(stream, GraphJson.Indented.TrainingDescription);
            return description is { FormatVersion: Version } read ? read
                : throw new CheckpointException($"'{path}' has format version {description?.FormatVersion}; this version of OrtCpr reads "
                    + $"{Version}. Use the version that wrote it, or a newer one.");
        }
        catch (Exception error) when (error is JsonException or NotSupportedException)
        {
            throw new CheckpointException($"'{path}' is damaged: {error.Message}", error);
        }
        catch (Exception error) when (FileAccessException.IsFileError(error))
        {
            throw FileAccessException.CannotRead(path, error);
        }
    }
}
