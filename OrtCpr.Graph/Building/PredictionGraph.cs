using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph;

/// <summary>The evaluation graph without loss and labels.</summary>
internal static class PredictionGraph
{
    public static OnnxModel Of(TrainingPlan plan)
    {
        OnnxModel model = GraphCopier.Copy(plan.Evaluation).Model;
        OnnxGraph graph = model.Graph;
        foreach (Value output in graph.Outputs.Where(o => !plan.ModelOutputs.Contains(o.Name)).ToList()) graph.Outputs.Remove(output);
        RemoveDeadNodes.Run(graph);
        var labels = plan.BatchInputs.Where(i => i.IsLabel).Select(i => i.Name).ToHashSet(StringComparer.Ordinal);
        foreach (Value input in graph.Inputs.Where(i => labels.Contains(i.Name)).ToList()) graph.Inputs.Remove(input);
        GraphChecker.Check(model, "prediction");
        return model;
    }
}
