using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph.Building;

/// <summary>The training graph: the forward graph, the backward pass, and an output with the gradient of each parameter.</summary>
/// <param name="Model">The graph.</param>
/// <param name="Gradients">The output with the gradient of each parameter, by the parameter's name.</param>
/// <param name="ForwardNodes">How many nodes the forward graph has.</param>
/// <param name="Seed">The initializer that stands for the gradient of the loss: 1.</param>
/// <param name="LossScale">The input by which that is multiplied, and the output that tells the factor of the gradients; null where they
/// have none.</param>
internal sealed record DifferentiatedGraph(OnnxModel Model, IReadOnlyDictionary<string, string> Gradients, int ForwardNodes, string Seed,
    (string Input, string Output)? LossScale)
{
    /// <summary>Differentiates in place.</summary>
    public static DifferentiatedGraph Of(OnnxModel model, string lossName, ParameterTable parameters, TrainingOptions options)
    {
        OnnxGraph graph = model.Graph;
        PrepareGraph.Run(model, InferShapes.Again(model));
        FuseConv.Run(model);
        FuseBatchNorm.Run(model);
        FuseSoftmax.Run(model);
        ShapeInference known = InferShapes.Again(model);
        int forward = graph.Nodes.Count;
        Value loss = graph.Outputs.First(o => o.Name == lossName);
        var trained = parameters.Trained.ToDictionary(p => p.Name, StringComparer.Ordinal);
        Dictionary<string, Value> sources = graph.Inputs.Where(i => trained.ContainsKey(i.Name))
            .ToDictionary(i => i.Name, StringComparer.Ordinal);
        var builder = new GraphBuilder(graph, known);
        var backward = new BackwardPass(graph, builder, options.Rules);
        var parametersOfGraph = sources.Values.ToHashSet();
        // A constant of its own, in whose place accumulation puts the weight of a batch.
        Value seed = graph.AddInitializer("loss_gradient", GraphBuilder.ScalarData(1, loss.Type));
        Value? scale = options.Precision == Precision.Float16
            ? graph.AddInput(OptimizerGraphBuilder.LossScale, loss.Type, Shape.Of(1)) : null;
        var seeds = new Dictionary<Value, Value>
        {
            [loss] = scale is null ? seed : GraphBuilder.Like(builder.Mul(seed, builder.Squeeze(scale, 0)), loss),
        };
        IReadOnlyDictionary<Value, Value> gradients = backward.Run(seeds, parametersOfGraph);
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (ParameterInfo p in parameters.Trained)
        {
            Value source = sources[p.Name];
            builder.Scope = OptimizerGraphBuilder.GradientOf(p.Name);
            Value gradient = gradients.TryGetValue(source, out Value? found) ? found : builder.Filled(0, source);
            names[p.Name] = builder.AddOutput(gradient, OptimizerGraphBuilder.GradientOf(p.Name), source).Name;
        }
        string? told = scale is null ? null : builder.AddOutput(scale, OptimizerGraphBuilder.GradientLossScale, scale).Name;
        RecomputeActivations.Run(graph, builder, backward.ForwardNodes, parametersOfGraph, backward.Totals, options.Recompute);
        // What is an output is not made one with other constants that are 1.
        graph.Outputs.Add(seed);
        MergeEqualNodes.Run(graph);
        graph.Outputs.Remove(seed);
        RemoveDeadNodes.Run(graph);
        EarlyGradients.Run(graph);
        OperatorTable.Attach(model);
        GraphChecker.Check(model, "differentiate");
        return new DifferentiatedGraph(model, names, forward, seed.Name, scale is null ? null : (scale.Name, told!));
    }
}
