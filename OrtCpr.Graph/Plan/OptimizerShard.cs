using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph;

/// <summary>The part of an optimizer that one of several ranks keeps and steps: state and update nodes of its own parameters.</summary>
/// <remarks>Norms over all parameters stay, since every rank has all gradients. Of a tensor with a row for each parameter, such as λ, the
/// rows of others stay as they are; who has stepped them sends them.</remarks>
internal static class OptimizerShard
{
    /// <summary>Which rank keeps the state of which parameter: the largest first, each to the rank that has least so far.</summary>
    public static IReadOnlyDictionary<string, int> Owners(TrainingPlan plan, int ranks)
    {
        long[] loads = new long[ranks];
        var owners = new Dictionary<string, int>(StringComparer.Ordinal);
        long Load(string name) => plan.OwnedBy(name).Where(s => s.Role == TensorRole.State).Sum(s => s.ElementCount);
        foreach (string name in plan.Trained.Select(p => p.Name).OrderByDescending(Load).ThenBy(n => n, StringComparer.Ordinal))
        {
            int rank = Array.IndexOf(loads, loads.Min());
            owners[name] = rank;
            // What has no state is dealt out too.
            loads[rank] += Math.Max(1, Load(name));
        }
        return owners;
    }

    /// <summary>The plan of an optimizer that keeps and steps some parameters alone; all of them have a slot for value and
    /// gradient.</summary>
    /// <exception cref="OptionException">Weights are rescaled after the step, which takes the new values of all.</exception>
    public static TrainingPlan Of(TrainingPlan plan, IReadOnlySet<string> owned)
    {
        if (plan.Optimizer.Rescaling is not null)
        {
            throw new OptionException($"{nameof(Optimizers.OptimizerOptions.Rescaling)} works on all new parameters together, so their "
                + "state cannot be sharded. Take another optimizer, or keep the whole state on every rank.");
        }
        OnnxModel model = GraphCopier.Copy(plan.OptimizerModel).Model;
        OnnxGraph graph = model.Graph;
        Dictionary<string, Value> inputs = graph.Inputs.ToDictionary(i => i.Name, StringComparer.Ordinal);
        Dictionary<string, Value> outputs = graph.Outputs.Distinct().ToDictionary(o => o.Name, StringComparer.Ordinal);
        foreach (TensorSlot slot in plan.Slots.Where(s => s.Role == TensorRole.Rows))
        {
            if (slot.UseIn(PlanGraph.Optimizer) is { Input: string input, Output: string output })
                KeepRows(graph, slot, inputs[input], outputs[output], owned);
        }
        TensorSlot[] others = [.. plan.Slots.Where(s => s.Role is TensorRole.State && !owned.Contains(s.Owner!))];
        foreach (TensorSlot slot in others.Concat(plan.Slots.Where(s => s.Role == TensorRole.Parameter && !owned.Contains(s.Owner!))))
        {
            if (slot.UseIn(PlanGraph.Optimizer)?.Output is string output) graph.Outputs.Remove(outputs[output]);
        }
        graph.Sort();
        RemoveDeadNodes.Run(graph);
        HashSet<TensorSlot> left = [.. others];
        foreach (TensorSlot slot in left)
        {
            if (slot.UseIn(PlanGraph.Optimizer)?.Input is string input) graph.Inputs.Remove(inputs[input]);
        }
        GraphChecker.Check(model, "optimizer shard");
        return new TrainingPlan([.. plan.Slots.Where(s => !left.Contains(s))])
        {
            Trained = plan.Trained,
            Optimizer = plan.Optimizer,
            Type = plan.Type,
            OptimizerModel = model,
            InitializationModel = plan.InitializationModel,
        };
    }

    /// <summary>Rows that update nodes of others would write are those that there were.</summary>
    private static void KeepRows(OnnxGraph graph, TensorSlot slot, Value input, Value output, IReadOnlySet<string> owned)
    {
        Node? writer = output.Producer;
        // Steps are counted for all parameters at once.
        if (writer is null || !writer.Is("Concat") || writer.Inputs.Count != slot.Rows.Count) return;
        var g = new GraphBuilder(graph) { Scope = slot.Key };
        for (int i = 0; i < slot.Rows.Count; i++)
        {
            if (!owned.Contains(slot.Rows[i])) writer.Inputs[i] = g.Slice(input, [i], [i + 1], [0]);
        }
    }
}
