using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph.Building;

/// <summary>The training graph with gradients added to buffers: buffer ← reset ? gradient : buffer + gradient.</summary>
/// <remarks>Wanted names follow ONNX Runtime's training artifacts: <c>p_grad.accumulation.buffer</c>, <c>lazy_reset_grad</c>.</remarks>
/// <param name="Model">The graph.</param>
/// <param name="Uses">Buffer and sum of each parameter's gradient, by the parameter's name.</param>
/// <param name="Reset">The flag input.</param>
internal sealed record AccumulationGraph(OnnxModel Model, IReadOnlyDictionary<string, TensorUse> Uses, string Reset)
{
    /// <summary>Wanted name of the flag.</summary>
    public const string ResetFlag = "lazy_reset_grad";

    /// <summary>Wanted name of a gradient's buffer.</summary>
    public static string BufferOf(string gradient) => $"{gradient}.accumulation.buffer";

    /// <summary>Copies a training graph.</summary>
    /// <param name="training">The graph.</param>
    /// <param name="gradients">The output with the gradient of each parameter.</param>
    public static AccumulationGraph Of(OnnxModel training, IReadOnlyDictionary<string, string> gradients)
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
        InPlaceRule.Check(model, [.. uses.Values.Select(u => (u.Input!, u.Output!))]);
        return new AccumulationGraph(model, uses, reset.Name);
    }
}
