using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph.Building;

/// <summary>A model file as a graph that a loss can be attached to: regularised, shown to ONNX Runtime, with shapes and,
/// where it can be, a free batch.</summary>
/// <param name="Model">The graph.</param>
/// <param name="Known">What is known of its shapes.</param>
/// <param name="FixedBatch">Why the batch stays fixed, for the user; null where it does not.</param>
internal sealed record OpenedModel(OnnxModel Model, ShapeInference Known, string? FixedBatch)
{
    /// <param name="file">The model; mended where ONNX Runtime refuses it and a way is known.</param>
    /// <param name="drawn">Weights that the file only describes.</param>
    /// <param name="rules">Functions of the model that have a rule here stay calls.</param>
    /// <param name="batchAxes">The user's word on where inputs have the batch; null to keep a fixed batch.</param>
    public static OpenedModel Of(ModelFile file, IReadOnlyDictionary<string, TensorData> drawn, GradientRules? rules,
        IReadOnlyDictionary<string, int>? batchAxes)
    {
        OnnxModel model = RegulariseModel.Run(file, drawn, rules);
        ShapeInference known = InlineBranches.InferAndRun(model);
        if (RuntimeTrial.Run(file, model.Graph) is { Count: > 0 } mended)
        {
            file.Mended(mended);
            return Of(file, drawn, rules, batchAxes);
        }
        FreeBatch.Result? freed = batchAxes is null ? null : FreeBatch.Run(model, batchAxes);
        return freed?.Model is OnnxModel free ? new(free, InferShapes.Again(free), null) : new(model, known, freed?.Warning);
    }

    /// <summary>Names of the tensors of the file's main graph, before any pass.</summary>
    public static HashSet<string> NamesIn(ModelFile file, IReadOnlyDictionary<string, TensorData> drawn) =>
        [.. GraphReader.Read(file, drawn).Graph.Nodes.SelectMany(n => n.Outputs).OfType<Value>().Select(v => v.Name)];
}
