using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph.Building;

/// <summary>The training graph with gradients added to buffers: buffer ← reset ? gradient : buffer + gradient.</summary>
/// <remarks>Where the loss divides by something, the gradient of a batch may count by that (<c>weigh_batches</c>): it is multiplied by w /
/// first, w being what the loss of this batch divides by and first that of the first batch (1 where that is 0). With equal batches the
/// factor is 1. The sum of all w is kept beside first, in <c>loss_weight</c> = [first, sum]: buffer · first / sum is the gradient of the
/// loss of all batches together. Wanted names follow ONNX Runtime's training artifacts: <c>p_grad.accumulation.buffer</c>,
/// <c>lazy_reset_grad</c>.</remarks>
/// <param name="Model">The graph.</param>
/// <param name="Uses">Buffer and sum of each parameter's gradient, by the parameter's name.</param>
/// <param name="Reset">The flag input.</param>
/// <param name="Weight">Buffer and result of the weights; null where all batches count alike.</param>
/// <param name="Weigh">The input that says whether gradients are weighed; null where all batches count alike.</param>
internal sealed record AccumulationGraph(
    OnnxModel Model, IReadOnlyDictionary<string, TensorUse> Uses, string Reset, TensorUse? Weight = null,
    string? Weigh = null)
{
    /// <summary>Wanted name of the flag.</summary>
    public const string ResetFlag = "lazy_reset_grad";

    /// <summary>Wanted name of a gradient's buffer.</summary>
    public static string BufferOf(string gradient) => $"{gradient}.accumulation.buffer";

    /// <summary>Copies a training graph.</summary>
    /// <param name="training">The graph.</param>
    /// <param name="gradients">The output with the gradient of each parameter.</param>
    /// <param name="seed">The initializer that stands for the gradient of the loss.</param>
    /// <param name="weight">The output [first, w] of the training graph; null where all batches count alike.</param>
    public static AccumulationGraph Of(OnnxModel training, IReadOnlyDictionary<string, string> gradients, string? seed = null,
        string? weight = null)
    {
        OnnxModel model = GraphCopier.Copy(training).Model;
        OnnxGraph graph = model.Graph;
        var builder = new GraphBuilder(graph);
        Dictionary<string, Value> outputs = graph.Outputs.Distinct().ToDictionary(o => o.Name, StringComparer.Ordinal);
        (string Name, Value Gradient, Value Buffer)[] all =
        [
            .. gradients.Select(p => (p.Key, Gradient: outputs[p.Value]))
                .Select(p => (p.Key, p.Gradient, graph.AddInput(BufferOf(p.Gradient.Name), p.Gradient.Type, p.Gradient.Shape))),
        ];
        Value reset = graph.AddInput(ResetFlag, ElementType.Bool, Shape.Of(1));
        Value? weigh = weight is null ? null : graph.AddInput("weigh_batches", ElementType.Bool, Shape.Of(1));
        TensorUse? weights = weight is null ? null : WeighGradient(graph, outputs[weight], reset, weigh!, seed!);
        var uses = new Dictionary<string, TensorUse>(StringComparer.Ordinal);
        foreach ((string parameter, Value gradient, Value buffer) in all)
        {
            builder.Scope = $"{gradient.Name}.accumulation.value";
            // The buffer may hold anything before a reset, so it is selected away, not multiplied by 0. Both operations
            // are element by element, so the sum may be written over the buffer; the flag has rank 1, which a scalar
            // gradient must not take over.
            Value flag = gradient.Shape!.Rank == 0 ? builder.Squeeze(reset, 0) : reset;
            Value old = builder.Where(flag, builder.Scalar(0, gradient.Type), buffer);
            Value sum = GraphBuilder.Like(builder.Add(old, gradient), gradient);
            graph.Outputs.Add(builder.Named(sum, builder.Scope));
            uses[parameter] = new TensorUse(PlanGraph.Accumulation, buffer.Name, sum.Name);
        }
        graph.Outputs.RemoveAll(all.Select(p => p.Gradient).ToHashSet().Contains);
        GraphChecker.Check(model, "accumulate");
        InPlaceRule.Check(model, [.. uses.Values.Append(weights).OfType<TensorUse>().Select(u => (u.Input!, u.Output!))]);
        return new AccumulationGraph(model, uses, reset.Name, weights, weigh?.Name);
    }

    /// <summary>[first, sum] ← reset ? [first of this batch, w] : [first, sum] + [0, w]; the gradient of the loss ← w / first,
    /// or 1.</summary>
    private static TensorUse WeighGradient(OnnxGraph graph, Value own, Value reset, Value weigh, string seed)
    {
        List<Node> nodes = [];
        var g = new GraphBuilder(graph, sink: nodes) { Scope = own.Name };
        string name = own.Name;
        Value buffer = graph.AddInput($"{name}.buffer", own.Type, own.Shape);
        Term w = g.Slice(own, [1], [2], [0]);
        Term kept = g.Where(reset, own, buffer + g.Op("Mul", [own, g.Constant(GraphBuilder.FloatVector(own.Type, 0, 1))]));
        graph.Outputs.Remove(own);
        // Whoever weighs gradients while they are computed does so by the first batch too.
        graph.ReplaceReaders(own, kept);
        graph.Outputs.Add(GraphBuilder.Like(g.Named(kept, $"{name}.sum"), own));
        Term factor = g.Squeeze(g.Where(weigh, w / g.Slice(kept, [0], [1], [0]), 1), 0);
        Value one = graph.Initializers.First(i => i.Name == seed);
        GraphBuilder.Like(factor, one);
        graph.ReplaceReaders(one, factor);
        graph.Initializers.Remove(one);
        // Right behind the weight: whatever reads the gradient of the loss is behind that, or is moved there.
        graph.Nodes.InsertRange(graph.Nodes.IndexOf(own.Producer!) + 1, nodes);
        graph.Sort();
        return new TensorUse(PlanGraph.Accumulation, buffer.Name, kept.Name);
    }
}
