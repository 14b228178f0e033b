using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.OrtTraining;

namespace OrtCpr.OrtTraining;

/// <summary>Lets a job of ONNX Runtime training go on with another optimizer: its moments and step count stay.</summary>
public sealed class OptimizerSwap
{
    private const string Training = "training_model.onnx", Evaluation = "eval_model.onnx", OptimizerFile =
        "optimizer_model.onnx", CheckpointFile = "checkpoint";

    private readonly string _folder;
    private readonly OrtCheckpoint _checkpoint;

    private OptimizerSwap(string folder, OrtCheckpoint checkpoint)
    {
        _folder = folder;
        _checkpoint = checkpoint;
        string? evaluation = File.Exists(Path.Combine(folder, Evaluation)) ? Path.Combine(folder, Evaluation) : null;
        OrtArtifacts artifacts =
            OrtArtifacts.Read(Path.Combine(folder, Training), evaluation, Path.Combine(folder, OptimizerFile), checkpoint);
        Trained = artifacts.Classified();
        (Adam, MaxGradientNorm) = OrtOptimizerModel.Settings(ModelFile.Load(Path.Combine(folder, OptimizerFile)));
    }

    /// <summary>The trained parameters; constrained are those that our own classification of the evaluation model's use
    /// of them says.</summary>
    public IReadOnlyList<ParameterSpec> Trained { get; }

    /// <summary>The moments' settings in the artifacts; null when they use no Adam.</summary>
    public ScaleByAdam? Adam { get; }

    /// <summary>The norm to which the artifacts clip; 0 for no clipping.</summary>
    public double MaxGradientNorm { get; }

    /// <summary>Optimizer steps made so far.</summary>
    public long Step => _checkpoint.Optimizer?.Step ?? 0;

    /// <summary>Reads a folder of artifacts.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="checkpoint">Checkpoint to go on from; that of the folder by default.</param>
    /// <exception cref="OrtCprException">A file is missing or damaged, or the files do not belong together.</exception>
    public static OptimizerSwap Open(string folder, string? checkpoint = null)
    {
        ArgumentNullException.ThrowIfNull(folder);
        return new OptimizerSwap(folder, OrtCheckpoint.Load(checkpoint ?? Path.Combine(folder, CheckpointFile)));
    }

    /// <summary>Writes a folder of the same artifacts with another optimizer model, for <see cref="TrainingSession"/> and
    /// <see cref="TrainingDriver.FromArtifacts(string, DriverOptions?)"/>. Steps in the constraint's options count from now.</summary>
    /// <param name="options">The optimizer; one group.</param>
    /// <param name="folder">Where to; created.</param>
    /// <exception cref="OrtCprException">An option is out of range, or a file can't be written.</exception>
    public void Write(OptimizerOptions options, string folder)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(folder);
        // Where Adam finds no moments it starts anew, and its steps with it.
        bool anew = options.Groups.Any(g => g.Links.Any(l => l is ScaleByAdam))
            && _checkpoint.Optimizer?.States.All(s => s.Momentums.Any(m => m.Name == "momentum1")) != true;
        long past = anew ? 0 : Step;
        var graph = TrainingPlan.ForOptimizer(Trained, options with
        { Groups = [.. options.Groups.Select(g => g with { Links = [.. g.Links.Select(l => FromNow(l, past))] })] });
        try
        {
            Directory.CreateDirectory(folder);
            foreach (string file in new[] { Training, Evaluation }.Where(f => File.Exists(Path.Combine(_folder, f))))
                File.Copy(Path.Combine(_folder, file), Path.Combine(folder, file), overwrite: true);
        }
        catch (Exception error) when (FileAccessException.IsFileError(error))
        {
            throw FileAccessException.CannotWrite(folder, error);
        }
        ModelFile.Save(OrtOptimizerModel.Write(graph), Path.Combine(folder, OptimizerFile));
        _checkpoint.Save(Path.Combine(folder, CheckpointFile));
    }

    private static UpdateLink FromNow(UpdateLink link, long past) =>
        link is ConstrainNorm c ? c with { Bound = c.Bound.CountedFrom(past) } : link;
}
