using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph.Building;

/// <summary>A graph that trains, without the gradients of parameters that are frozen for a while and without what only they need.</summary>
internal static class PartialGraph
{
    /// <summary>A session of its own takes time to make and memory: fewer nodes than this part of the graph are not worth it.</summary>
    private const int LeastPart = 10;

    /// <summary>Null where next to nothing would be left out.</summary>
    /// <param name="plan">The job.</param>
    /// <param name="kind">Its training or accumulation graph.</param>
    /// <param name="frozen">Names of parameters.</param>
    public static OnnxModel? Of(TrainingPlan plan, PlanGraph kind, IReadOnlySet<string> frozen)
    {
        OnnxModel whole = kind == PlanGraph.Training ? plan.Training : plan.Accumulation;
        HashSet<string> left = [.. plan.Slots.Where(s => s.Role == TensorRole.Gradient && s.Owner is not null && frozen.Contains(s.Owner))
            .SelectMany(s => s.Uses).Where(u => u.Graph == kind && u.Output is not null).Select(u => u.Output!)];
        if (left.Count == 0) return null;
        OnnxModel model = GraphCopier.Copy(whole).Model;
        OnnxGraph graph = model.Graph;
        int nodes = graph.Nodes.Count;
        foreach (Value output in graph.Outputs.Where(o => left.Contains(o.Name)).ToList()) graph.Outputs.Remove(output);
        RemoveDeadNodes.Run(graph);
        if ((nodes - graph.Nodes.Count) * LeastPart < nodes) return null;
        GraphChecker.Check(model, "training");
        return model;
    }
}
