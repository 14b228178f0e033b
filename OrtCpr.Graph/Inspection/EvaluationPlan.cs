using System.Collections.Immutable;
using OrtCpr.Graph.Building;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph;

/// <summary>A plan with an evaluation graph alone, in which the parameters are constants: what cannot be trained can be
/// evaluated.</summary>
internal static class EvaluationPlan
{
    /// <summary>Builds from a model file.</summary>
    /// <param name="path">Model file.</param>
    /// <param name="loss">What is computed beside the model's outputs.</param>
    /// <exception cref="OrtCprException">The file, the model or the loss is at fault.</exception>
    public static TrainingPlan Build(string path, Loss loss)
    {
        ModelFile file = ModelFile.Load(path);
        IReadOnlyDictionary<string, TensorData> drawn = WeightInitialization.IsNeeded(file) ? WeightInitialization.Draw(file, 0)
            : new Dictionary<string, TensorData>();
        return OpenedModel.Build(file, drawn, null, ImmutableDictionary<string, int>.Empty, opened => Build(file, loss, drawn, opened));
    }

    private static TrainingPlan Build(ModelFile file, Loss loss, IReadOnlyDictionary<string, TensorData> drawn, OpenedModel opened)
    {
        (OnnxModel model, ShapeInference known, string? fixedBatch, _) = opened;
        Value[] inputs = [.. model.Graph.Inputs], outputs = [.. model.Graph.Outputs];
        AttachedLoss attached = AttachedLoss.To(model, known, loss, () => OpenedModel.NamesIn(file, drawn));
        TrainingMode.ToEvaluation(model);
        PrepareGraph.Run(model, InferShapes.Again(model));
        return new TrainingPlan([], () => file)
        {
            EvaluationModel = model,
            Trained = [],
            Optimizer = new OptimizerOptions(),
            Type = ElementType.Float,
            LossOutput = attached.Value.Name,
            BatchInputs = [.. inputs.Select(i => TrainingGraphBuilder.Describe(i, false)),
                .. attached.Labels.Select(l => TrainingGraphBuilder.Describe(l, true))],
            ModelOutputs = [.. outputs.Select(o => o.Name)],
            LossFigures = attached.Figures.Name,
            LossTerms = attached.Terms,
            FixedBatch = fixedBatch,
            Warnings = [.. file.Repairs, .. attached.Warnings, .. fixedBatch is null ? Array.Empty<string>() : [fixedBatch]],
        };
    }
}
