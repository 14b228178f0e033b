using OrtCpr.Graph.Building;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph;

/// <summary>A model in evaluation form with all of its weights as constants, of which nothing is trained.</summary>
/// <param name="Model">The graph; its batch is free where that is proved.</param>
/// <param name="Inputs">What a batch consists of.</param>
/// <param name="FixedBatch">Why the batch stays at the size that the model was exported with; null where it is free.</param>
internal sealed record InferenceGraph(OnnxModel Model, IReadOnlyList<BatchInput> Inputs, string? FixedBatch)
{
    /// <param name="file">The model.</param>
    /// <param name="batchAxes">The user's word on where inputs have the batch; null to keep a fixed batch.</param>
    /// <exception cref="OrtCprException">The file or the model is at fault.</exception>
    public static InferenceGraph Of(ModelFile file, IReadOnlyDictionary<string, int>? batchAxes)
    {
        IReadOnlyDictionary<string, TensorData> drawn = WeightInitialization.IsNeeded(file)
            ? WeightInitialization.Draw(file, new TrainingOptions().Seed) : new Dictionary<string, TensorData>();
        return OpenedModel.Build(file, drawn, null, batchAxes, opened =>
        {
            OnnxModel model = opened.Model;
            TrainingMode.ToEvaluation(model);
            RemoveDeadNodes.Run(model.Graph);
            GraphChecker.Check(model, "inference");
            return new InferenceGraph(model, [.. model.Graph.Inputs.Select(i => TrainingGraphBuilder.Describe(i, false))],
                opened.FixedBatch);
        });
    }
}
