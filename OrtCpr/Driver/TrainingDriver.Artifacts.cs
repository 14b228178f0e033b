using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.OrtTraining;
using OrtCpr.OrtTraining;

namespace OrtCpr;

public sealed partial class TrainingDriver
{
    /// <summary>A driver for training artifacts of ONNX Runtime training: <c>training_model.onnx</c>,
    /// <c>eval_model.onnx</c> (where it is there), <c>optimizer_model.onnx</c> and <c>checkpoint</c>, rewritten for
    /// stock ONNX Runtime.</summary>
    /// <param name="folder">Where the files are.</param>
    /// <param name="options">Threads, kernels, device.</param>
    /// <remarks>Training goes on from the checkpoint's step and moments, at the optimizer's initial rate. Running
    /// statistics change with each TrainStep.</remarks>
    /// <exception cref="Graph.OrtCprException">A file is missing or damaged, the files do not belong together, or an
    /// operator has no counterpart.</exception>
    public static TrainingDriver FromArtifacts(string folder, DriverOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(folder);
        string evaluation = Path.Combine(folder, "eval_model.onnx");
        return FromArtifactFiles(Path.Combine(folder, "training_model.onnx"), File.Exists(evaluation) ? evaluation
            : null, Path.Combine(folder, "optimizer_model.onnx"), Path.Combine(folder, "checkpoint"), options);
    }

    /// <summary>A driver for training artifacts under names of one's own.</summary>
    /// <param name="trainingModel">Training model.</param>
    /// <param name="evaluationModel">Evaluation model; null for none.</param>
    /// <param name="optimizerModel">Optimizer model.</param>
    /// <param name="checkpoint">Checkpoint file, or a checkpoint directory of 1.15.</param>
    /// <param name="options">Threads, kernels, device.</param>
    /// <exception cref="Graph.OrtCprException">A file is missing or damaged, the files do not belong together, or an
    /// operator has no counterpart.</exception>
    public static TrainingDriver FromArtifactFiles(string trainingModel, string? evaluationModel, string optimizerModel, string checkpoint,
        DriverOptions? options = null)
    {
        var state = OrtCheckpoint.Load(checkpoint);
        return FromArtifacts(OrtArtifacts.Read(trainingModel, evaluationModel, optimizerModel, state), state, options);
    }

    /// <summary>Copies of outputs of the last TrainStep.</summary>
    internal IEnumerable<OrtValue> LastOutputs(IReadOnlyList<string> names)
    {
        foreach (string name in names)
        {
            TensorData data = GetOutput(name);
            OrtValue copy = Device.AllocateOnHost(data.Type, data.Dimensions);
            data.Bytes.Span.CopyTo(copy.GetTensorMutableRawData());
            yield return copy;
        }
    }

    /// <summary>The outputs are the caller's.</summary>
    internal IDisposableReadOnlyCollection<OrtValue> Evaluate(Batch batch, string[] names)
    {
        batch.Check(Plan.BatchInputs.Where(i => batch.Tensors.ContainsKey(i.Name)).ToArray());
        _evaluation ??= NewSessions(Plan.Evaluation, "evaluation", null, trains: false);
        return RunFree(_evaluation, batch, names, "evaluation");
    }

    internal static TrainingDriver FromArtifacts(OrtArtifacts artifacts, OrtCheckpoint checkpoint, DriverOptions? options)
    {
        var driver = new TrainingDriver(artifacts.Plan, options);
        try
        {
            ArtifactState.Restore(driver.Optimizer, checkpoint);
            return driver;
        }
        catch
        {
            driver.Dispose();
            throw;
        }
    }
}
