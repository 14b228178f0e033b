using System.Text.Json;
using System.Text.Json.Nodes;
using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Files;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr;

/// <summary>A training job as a folder: the graphs, the model and the state. It is loaded again without the original
/// model and without building.</summary>
/// <remarks>Files: <c>training_model.onnx</c>, <c>accumulation_model.onnx</c>, <c>eval_model.onnx</c>,
/// <c>optimizer_model.onnx</c>, <c>model.onnx</c> (the model with the weights of now, ready for inference),
/// <c>training.json</c> and <c>checkpoint.safetensors</c>. Thread-safe.</remarks>
public static class ArtifactsFolder
{
    private const string Training = "training_model.onnx", Accumulation = "accumulation_model.onnx", Evaluation =
        "eval_model.onnx", OptimizerFile = "optimizer_model.onnx",
        Model = "model.onnx", Description = "training.json", Checkpoint = "checkpoint.safetensors", Staging = ".new";

    private static readonly (PlanGraph Graph, string Name)[] Files =
        [(PlanGraph.Training, Training), (PlanGraph.Accumulation, Accumulation), (PlanGraph.Evaluation, Evaluation),
            (PlanGraph.Optimizer, OptimizerFile)];

    /// <summary>Writes everything; the folder is created. A job that is there already is whole until the new one is,
    /// also after a crash.</summary>
    /// <remarks>The files are written to the folder <c>.new</c> in it, the checkpoint last, and then moved. A crash
    /// while they are moved is made good by the next <see cref="Load(string, DriverOptions?)"/> or Save: what is whole
    /// in <c>.new</c> is the job.</remarks>
    /// <param name="driver">The driver to save.</param>
    /// <param name="folder">The folder to write to.</param>
    /// <param name="progress">The caller's position; null for none.</param>
    /// <exception cref="FileAccessException">A file can't be written; names it.</exception>
    public static void Save(TrainingDriver driver, string folder, TrainingProgress? progress = null)
    {
        ArgumentNullException.ThrowIfNull(driver);
        ArgumentNullException.ThrowIfNull(folder);
        TrainingPlan plan = driver.Plan;
        string staging = Path.Combine(folder, Staging);
        if (!driver.Optimizer.Ranks.IsFirst)
        {
            TrainingCheckpoint.Save(driver, Path.Combine(staging, Checkpoint), progress);
            return;
        }
        Guarded(folder, () =>
        {
            Commit(folder);
            // What a crash has left half written.
            if (Directory.Exists(staging)) Directory.Delete(staging, recursive: true);
            Directory.CreateDirectory(staging);
        });
        foreach ((PlanGraph graph, string name) in Files)
        {
            ModelFile.Save(GraphWriter.Write(plan.ModelOf(graph)!), Path.Combine(staging, name));
        }
        driver.ExportModel(Path.Combine(staging, Model));
        AtomicFile.Write(Path.Combine(staging, Description),
            stream => JsonSerializer.Serialize(stream, PlanDescription.Of(plan), GraphJson.Indented.PlanDescription));
        TrainingCheckpoint.Save(driver, Path.Combine(staging, Checkpoint), progress);
        Guarded(folder, () => Commit(folder));
    }

    /// <summary>Moves what is whole in the staging folder to its place. The checkpoint, which says that it is whole,
    /// goes last.</summary>
    private static void Commit(string folder)
    {
        string staging = Path.Combine(folder, Staging);
        if (!File.Exists(Path.Combine(staging, Checkpoint))) return;
        foreach (string file in Directory.GetFiles(staging).OrderBy(f => Path.GetFileName(f) == Checkpoint))
            File.Move(file, Path.Combine(folder, Path.GetFileName(file)), overwrite: true);
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
    /// <param name="options">Threads, kernels, device; the job may go on on another one. Null for the defaults.</param>
    /// <param name="progress">The position that was saved with it.</param>
    /// <exception cref="OrtCprException">A file is missing or damaged; names it.</exception>
    public static TrainingDriver Load(string folder, DriverOptions? options, out TrainingProgress progress)
    {
        ArgumentNullException.ThrowIfNull(folder);
        Guarded(folder, () => Commit(folder));
        Dictionary<PlanGraph, OnnxModel> models = Files.ToDictionary(f => f.Graph, f => Read(Path.Combine(folder, f.Name)));
        PlanDescription description = ReadDescription(Path.Combine(folder, Description), models);
        TrainingPlan plan;
        using (SafetensorsFile state = SafetensorsFile.Read(Path.Combine(folder, Checkpoint)))
        {
            // Copies: the plan keeps its initial values, and the file is closed.
            plan = description.ToPlan(models, ModelFile.Load(Path.Combine(folder, Model)), name =>
                state.Tensors.TryGetValue(name, out TensorData? data)
                ? TensorData.Create(data.Type, data.Dimensions, data.Bytes.ToArray())
                : throw new CheckpointException(
                    $"'{Path.Combine(folder, Checkpoint)}' has no tensor '{name}', which '{Description}' beside it names. "
                    + "The files do not belong together; save the job again."));
        }
        var driver = new TrainingDriver(plan, options);
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
    /// <param name="folder">The folder.</param>
    /// <param name="options">Threads, kernels, device; the job may go on on another one. Null for the defaults.</param>
    /// <exception cref="OrtCprException">A file is missing or damaged; names it.</exception>
    public static TrainingDriver Load(string folder, DriverOptions? options) => Load(folder, options, out _);

    /// <summary>Loads a folder that <see cref="Save"/> wrote, for the CPU.</summary>
    /// <param name="folder">The folder.</param>
    /// <exception cref="OrtCprException">A file is missing or damaged; names it.</exception>
    public static TrainingDriver Load(string folder) => Load(folder, null);

    private static OnnxModel Read(string path) => GraphReader.Read(ModelFile.Load(path));

    private static PlanDescription ReadDescription(string path, Dictionary<PlanGraph, OnnxModel> models)
    {
        try
        {
            JsonNode? json = BoundWrittenBefore.Parse(File.ReadAllBytes(path));
            int? version = json.Deserialize(GraphJson.Default.PlanDescription)?.FormatVersion;
            return version switch
            {
                PlanDescription.Version => json.Deserialize(GraphJson.Default.PlanDescription)!,
                PlanDescriptionOfVersion1.Version =>
                    json.Deserialize(GraphJson.Default.PlanDescriptionOfVersion1)!.ToCurrent(
                        Names(models[PlanGraph.Optimizer].Graph.Outputs), Names(models[PlanGraph.Evaluation].Graph.Inputs)),
                _ => throw new CheckpointException(
                    $"'{path}' has format version {version}; this version of OrtCpr reads {PlanDescription.Version} "
                    + $"and {PlanDescriptionOfVersion1.Version}. Use the version that wrote it, or a newer one."),
            };
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

    private static HashSet<string> Names(IEnumerable<Value> values) => [.. values.Select(v => v.Name)];
}
