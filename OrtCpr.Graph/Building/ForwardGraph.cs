using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph.Building;

/// <summary>The forward graph of training: a copy of the model in training mode, with the loss and the outputs asked for.</summary>
/// <param name="Model">The graph.</param>
/// <param name="Statistics">Running statistics that it updates.</param>
/// <param name="DropoutKey">The input that dropout masks are made of; null where nothing drops.</param>
internal sealed record ForwardGraph(OnnxModel Model, IReadOnlyList<RunningStatistic> Statistics, Value? DropoutKey)
{
    /// <summary>A copy of a model with its loss.</summary>
    /// <param name="model">The model.</param>
    /// <param name="loss">Its loss.</param>
    /// <param name="weight">What a batch counts, among the outputs; null where all count alike.</param>
    /// <param name="options">Modes of BatchNormalization and Dropout.</param>
    /// <param name="outputs">Outputs beside the loss.</param>
    public static ForwardGraph Of(OnnxModel model, Value loss, Value? weight, TrainingOptions options, IEnumerable<Value> outputs)
    {
        (OnnxModel training, IReadOnlyDictionary<Value, Value> map) = GraphCopier.Copy(model);
        training.Graph.Outputs.Clear();
        training.Graph.Outputs.Add(map[loss]);
        foreach (Value output in outputs) training.Graph.Outputs.Add(map[output]);
        IReadOnlyList<RunningStatistic> statistics =
            TrainingMode.ToTraining(training, options.BatchNormalization, options.UnbiasedRunningVariance,
                options.SynchronizeBatchNormalization ? weight is null ? "" : map[weight].Name : null);
        return new ForwardGraph(training, statistics, DropoutMasks.Run(training, options.Dropout));
    }
}
