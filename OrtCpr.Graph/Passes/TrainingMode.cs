using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>What BatchNormalization does while training.</summary>
public enum BatchNormalizationMode
{
    /// <summary>As the model was exported: nodes with <c>training_mode = 1</c> use the batch's statistics, the others
    /// their stored ones.</summary>
    AsExported,
    /// <summary>All nodes use the batch's statistics and update the stored ones.</summary>
    Training,
    /// <summary>All nodes use their stored statistics.</summary>
    Inference,
}

/// <summary>Training and evaluation forms of BatchNormalization. The training form is an operator of ours: the running
/// statistics, which ONNX's own training form updates by the way, are inputs and outputs of the graph.</summary>
internal static class TrainingMode
{
    /// <summary>Whether a BatchNormalization of the file updates its statistics; before opset 14 a second output meant
    /// that.</summary>
    public static bool Trains(Onnx.Proto.NodeProto node, BatchNormalizationMode mode) => mode switch
    {
        BatchNormalizationMode.Training => true,
        BatchNormalizationMode.Inference => false,
        _ => node.Attribute.Any(a => a.Name == "training_mode" && a.I != 0)
            || (node.Output.Count(o => o.Length > 0) > 1 && node.Attribute.All(a => a.Name != "training_mode")),
    };

    /// <summary>Training form; the running statistics become inputs <c>&lt;name>.pending</c> and outputs
    /// <c>&lt;name>.pending.updated</c>.</summary>
    /// <param name="model">Changed in place.</param>
    /// <param name="mode">Which nodes use the batch's statistics.</param>
    /// <param name="unbiased">Whether running variances are kept as PyTorch keeps them.</param>
    /// <param name="weight">Statistics are those of all ranks: name of the output with what a batch counts, empty where all count alike;
    /// null for statistics of each rank.</param>
    public static IReadOnlyList<RunningStatistic> ToTraining(OnnxModel model, BatchNormalizationMode mode, bool unbiased,
        string? weight = null)
    {
        OnnxGraph graph = model.Graph;
        var statistics = new List<RunningStatistic>();
        var pieces = new Dictionary<Node, IReadOnlyList<Node>>();
        foreach (Node node in graph.Nodes.Where(n => n.Is("BatchNormalization")).ToList())
        {
            bool training = mode == BatchNormalizationMode.Training
                || (mode == BatchNormalizationMode.AsExported && node.Int("training_mode", 0) != 0);
            if (!training)
            {
                ToInference(graph, node);
                continue;
            }
            var nodes = new List<Node>();
            var g = new GraphBuilder(graph, sink: nodes) { Scope = node.Name.Length > 0 ? node.Name : node.Outputs[0]!.Name };
            ToBatchNorm(g, node, unbiased, weight, statistics);
            pieces[node] = nodes;
        }
        graph.Splice(pieces);
        OperatorTable.Attach(model);
        return statistics;
    }

    /// <summary>Evaluation form: stored statistics, dropout off; in bodies too.</summary>
    public static void ToEvaluation(OnnxModel model) => ToEvaluation(model.Graph);

    private static void ToEvaluation(OnnxGraph graph)
    {
        foreach (Node node in graph.Nodes.ToList())
        {
            if (node.Is("BatchNormalization")) ToInference(graph, node);
            if (node.Is("Dropout") && node.Inputs.Count > 2) node.Inputs.RemoveAt(2);
            foreach (OnnxGraph body in node.Subgraphs) ToEvaluation(body);
        }
    }

    /// <summary>Without training the running statistics are what the node was given.</summary>
    private static void ToInference(OnnxGraph graph, Node node)
    {
        node.Unset("training_mode");
        while (node.Outputs.Count > 1)
        {
            int last = node.Outputs.Count - 1;
            if (node.Outputs[last] is Value statistic && node.In(last % 2 == 1 ? 3 : 4) is Value stored)
            {
                var copy = new Node("", "Identity", graph.Names.Unique($"{statistic.Name}/Identity"));
                copy.Inputs.Add(stored);
                copy.Outputs.Add(statistic);
                statistic.Producer = copy;
                graph.Nodes.Insert(graph.Nodes.IndexOf(node), copy);
            }
            node.Outputs.RemoveAt(last);
        }
    }

    private static void ToBatchNorm(GraphBuilder g, Node node, bool unbiased, string? weight, List<RunningStatistic> statistics)
    {
        Value x = node.Inputs[0]!, y = node.Outputs[0]!;
        int rank = x.Shape?.Rank
            ?? throw new UnsupportedGradientException(
                $"The rank of '{x.Name}', input of node {node.Label}, is unknown. "
                + "Give the model's inputs a known rank and export it again.");
        // A vector is a batch of one channel.
        if (rank == 1) x = g.Unsqueeze(x, 1).Typed(x.Type, null);
        long[] axes = [.. Enumerable.Range(0, Math.Max(rank, 2)).Where(i => i != 1).Select(i => (long)i)];
        float epsilon = node.Float("epsilon", 1e-5f);
        if (weight is not null && x.Type != ElementType.Float)
        {
            throw new OptionException($"{nameof(TrainingOptions.SynchronizeBatchNormalization)} is for float32, and node {node.Label} is "
                + $"{x.Type}. Leave it out, or train the float32 model.");
        }
        Term? count = null;
        (Value result, Value mean, Value variance) = weight is null
            ? BatchNormalization.Of(g, x, node.Inputs[1]!, node.Inputs[2]!, epsilon, axes)
            : OverRanks(g, x, (node.Inputs[1]!, node.Inputs[2]!), epsilon, axes, weight, out count);
        if (rank == 1) result = g.Squeeze(result, 1);
        GraphBuilder.Like(result, y);
        result.Name = y.Name;
        g.Graph.ReplaceReaders(y, result);

        float momentum = node.Float("momentum", 0.9f);
        Value kept = variance;
        if (unbiased)
        {
            Term n = count ?? CountOf(g, x, mean);
            kept = variance * (n / g.Max(n - 1, 1));
        }
        Replace(g, node, 1, Update(g, node.Inputs[3]!, mean, momentum, statistics));
        Replace(g, node, 2, Update(g, node.Inputs[4]!, kept, momentum, statistics));
    }

    /// <summary>The same by the sums of all ranks: first Σx and the count, then Σ(x − mean)².</summary>
    private static (Value Y, Value Mean, Value Variance) OverRanks(GraphBuilder g, Value x, (Value Gain, Value Bias) of, float epsilon,
        long[] axes, string weight, out Term? all)
    {
        Value across = g.Ints(axes);
        Term Sum(Value of) => g.Op("ReduceSum", [of, across], ("keepdims", 0));
        Term Across(Value channels) => g.Op("Unsqueeze", [channels, across]);
        Term sums = SumOverRanks.Of(g, g.Concat(0, Sum(x), g.Reshape(CountOf(g, x, of.Gain), 1)), weight);
        Term channels = g.Slice(sums, [0], [-1], [0]), count = g.Slice(sums, [-1], [long.MaxValue], [0]);
        all = count;
        Term mean = channels / count, centred = g.Term(x) - Across(mean);
        Term variance = SumOverRanks.Of(g, Sum(centred * centred), weight) / count;
        Term inverse = g.Reciprocal(g.Sqrt(variance + epsilon));
        Term y = centred * Across(inverse * of.Gain) + Across(of.Bias);
        return (y, mean, variance);
    }

    /// <summary>Elements of a channel.</summary>
    private static Term CountOf(GraphBuilder g, Value x, Value channels) => g.Cast(g.SizeOf(x) / g.SizeOf(channels), x.Type);

    /// <summary>Somebody may read the node's own running statistics.</summary>
    private static void Replace(GraphBuilder g, Node node, int output, Value updated)
    {
        if (output >= node.Outputs.Count || node.Outputs[output] is not Value old) return;
        Value copy = g.Identity(updated).Like(updated);
        g.Graph.ReplaceReaders(old, copy);
        copy.Name = old.Name;
    }

    /// <summary>running ← momentum·running + (1 − momentum)·batch (ONNX's sense of momentum).</summary>
    private static Value Update(GraphBuilder g, Value running, Value batch, float momentum, List<RunningStatistic> statistics)
    {
        // Statistics of each pixel (opset 7 and 8) are laid in one row in front of the node.
        if (running.Producer is { OpType: "Reshape" } view && view.In(0) is { IsInitializer: true } whole) running = whole;
        if (!running.IsInitializer)
        {
            throw new UnsupportedGradientException(
                $"The running statistic '{running.Name}' of a BatchNormalization in training mode is not an initializer. "
                + "Export the model with its statistics as parameters.");
        }
        var shape = Shape.Of(running.Data!.Dimensions);
        if (statistics.Any(s => s.Name == running.Name))
        {
            throw new UnsupportedGradientException(
                $"The running statistic '{running.Name}' belongs to several BatchNormalization nodes. "
                + "Export the model with one set of statistics a node.");
        }
        Value pending = g.Graph.AddInput($"{running.Name}.pending", running.Type, shape);
        string scope = g.Scope;
        g.Scope = running.Name;
        Value updated = g.Term(pending) * momentum + g.ReshapeLike(batch, pending) * (1 - (double)momentum);
        g.Graph.Outputs.Add(g.Named(updated, $"{pending.Name}.updated").Like(pending));
        statistics.Add(new RunningStatistic(running.Name, pending.Name, updated.Name, running.Type, running.Data.Dimensions));
        g.Scope = scope;
        return updated;
    }
}
