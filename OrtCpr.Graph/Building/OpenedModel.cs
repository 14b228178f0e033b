using System.Runtime.ExceptionServices;
using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph.Building;

/// <summary>A model file as a graph that a loss can be attached to: regularised, with shapes and, where it can be, a free
/// batch; being shown to ONNX Runtime.</summary>
/// <param name="Model">The graph.</param>
/// <param name="Known">What is known of its shapes.</param>
/// <param name="FixedBatch">Why the batch stays fixed, for the user; null where it does not.</param>
/// <param name="Trial">What ONNX Runtime says of the file.</param>
internal sealed record OpenedModel(OnnxModel Model, ShapeInference Known, string? FixedBatch, RuntimeTrial Trial)
{
    /// <summary>Makes something of a model file. What ONNX Runtime says of the file comes before what we say of it, and
    /// where that mends it everything is made anew.</summary>
    /// <param name="file">The model; mended where ONNX Runtime refuses it and a way is known.</param>
    /// <param name="drawn">Weights that the file only describes.</param>
    /// <param name="rules">Functions of the model that have a rule here stay calls.</param>
    /// <param name="batchAxes">The user's word on where inputs have the batch; null to keep a fixed batch.</param>
    /// <param name="make">What is made of it.</param>
    /// <exception cref="OrtCprException">The file or the model is at fault, or what <paramref name="make"/> throws.</exception>
    public static T Build<T>(ModelFile file, IReadOnlyDictionary<string, TensorData> drawn, GradientRules? rules,
        IReadOnlyDictionary<string, int>? batchAxes, Func<OpenedModel, T> make)
    {
        while (true)
        {
            OpenedModel opened = Of(file, drawn, rules, batchAxes);
            OrtCprException? failed = null;
            T? made = default;
            try
            {
                made = make(opened);
            }
            catch (OrtCprException error)
            {
                failed = error;
            }
            IReadOnlyList<string> mended = opened.Trial.Finish();
            if (mended.Count == 0)
            {
                if (failed is not null) ExceptionDispatchInfo.Throw(failed);
                return made!;
            }
            file.Mended(mended);
        }
    }

    private static OpenedModel Of(ModelFile file, IReadOnlyDictionary<string, TensorData> drawn, GradientRules? rules,
        IReadOnlyDictionary<string, int>? batchAxes)
    {
        OnnxModel model = RegulariseModel.Run(file, drawn, rules);
        ShapeInference known = InlineBranches.InferAndRun(model);
        var trial = RuntimeTrial.Start(file, model.Graph);
        FreeBatch.Result? freed = batchAxes is null ? null : FreeBatch.Run(model, batchAxes);
        return freed?.Model is OnnxModel free ? new(free, InferShapes.Again(free), null, trial)
            : new(model, known, freed?.Warning, trial);
    }

    /// <summary>Names of the tensors of the file's main graph, before any pass.</summary>
    public static HashSet<string> NamesIn(ModelFile file, IReadOnlyDictionary<string, TensorData> drawn) =>
        [.. GraphReader.Read(file, drawn).Graph.Nodes.SelectMany(n => n.Outputs).OfType<Value>().Select(v => v.Name)];
}
