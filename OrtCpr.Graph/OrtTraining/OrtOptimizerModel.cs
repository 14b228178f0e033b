using System.Globalization;
using System.Text.Json;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Graph.OrtTraining;

// An optimizer_model.onnx as an optimizer graph: one of the training package's, or one of ours, which says so in its metadata and is built anew from them.
internal static class OrtOptimizerModel
{
    private const string MetadataKey = "ortcpr.optimizer";


    public static OptimizerGraph Read(ModelFile file, IReadOnlyList<OrtParameter> parameters, OrtCheckpoint checkpoint)
    {
        // Frozen parameters are held beside the trained ones; nothing commits them.
        RunningStatistic[] frozen = [.. parameters.Where(p => !p.Trainable).Select(p => new RunningStatistic(p.Name, p.Name, p.Type, p.Dimensions))];
        string? ours = file.Proto.MetadataProps.FirstOrDefault(m => m.Key == MetadataKey)?.Value;
        OrtParameter[] trained = [.. parameters.Where(p => p.Trainable)];
        return (ours is null ? Genuine(file, trained, checkpoint) : Ours(file, ours, trained)).Beside(frozen);
    }

    // A model of ours, with what it takes to build it again.
    public static ModelProto Write(OptimizerGraph graph)
    {
        ModelProto model = GraphWriter.Write(graph.Model);
        model.MetadataProps.Add(new StringStringEntryProto { Key = MetadataKey, Value = JsonSerializer.Serialize(new OptimizerModelDescription(graph.Options, graph.Parameters), GraphJson.Default.OptimizerModelDescription) });
        return model;
    }

    // What the moments of a model mean, and the norm to which it clips; null for moments that are not Adam's.
    public static (ScaleByAdam? Adam, double MaxNorm) Settings(ModelFile file)
    {
        OnnxGraph graph = GraphReader.Read(file).Graph;
        Node? adam = graph.Nodes.FirstOrDefault(n => n.OpType == "AdamWOptimizer"), clip = graph.Nodes.FirstOrDefault(n => n.OpType == "InplaceClipGradNorm");
        // Attributes are float32; the nearest short decimal is what was meant.
        double Meant(string name, float fallback) => double.Parse(adam.Float(name, fallback).ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
        return (adam is null ? null : new ScaleByAdam { Beta1 = Meant("alpha", 0.9f), Beta2 = Meant("beta", 0.999f), Epsilon = Meant("epsilon", 1e-8f) }, clip?.Float("max_norm", 1) ?? 0);
    }

    private static OptimizerGraph Ours(ModelFile file, string json, OrtParameter[] trained)
    {
        OptimizerModelDescription? description;
        try
        {
            description = JsonSerializer.Deserialize(json, GraphJson.Default.OptimizerModelDescription);
        }
        catch (Exception error) when (error is JsonException or NotSupportedException)
        {
            throw new LoweringException($"The metadata '{MetadataKey}' of optimizer model '{file.Name}' is damaged: {error.Message} Write it again by ortcpr artifacts swap-optimizer.");
        }
        string[] expected = [.. trained.Select(p => p.Name).Order(StringComparer.Ordinal)], found = [.. (description?.Parameters ?? []).Select(p => p.Name).Order(StringComparer.Ordinal)];
        if (!expected.SequenceEqual(found)) throw new LoweringException($"Optimizer model '{file.Name}' is for the parameters {string.Join(", ", found)}; the checkpoint trains {string.Join(", ", expected)}. Use the files of one folder.");
        return OptimizerGraph.Build(description!.Parameters, description.Options);
    }

    private static OptimizerGraph Genuine(ModelFile file, OrtParameter[] trained, OrtCheckpoint checkpoint)
    {
        OnnxModel model = GraphReader.Read(file);
        string[] inputs = [.. model.Graph.Inputs.Select(i => i.Name)];
        Dictionary<string, OrtParameterState> states = (checkpoint.Optimizer?.States ?? []).ToDictionary(s => s.Parameter, StringComparer.Ordinal);
        StateTensor Momentum(OrtParameter p, string key) =>
            new($"{p.Name}.{key}", null, p.Type, states.GetValueOrDefault(p.Name)?.Momentums.FirstOrDefault(m => m.Name == key)?.Data?.Dimensions ?? p.Dimensions);
        var sequences = new Dictionary<string, IReadOnlyList<StateTensor>>(StringComparer.Ordinal)
        {
            ["params"] = [.. trained.Select(p => new StateTensor(p.Name, null, p.Type, p.Dimensions))],
            ["gradients"] = [.. trained.Select(p => new StateTensor(OptimizerGraph.GradientOf(p.Name), null, p.Type, p.Dimensions))],
            ["first_order_moments"] = [.. trained.Select(p => Momentum(p, "momentum0"))],
            ["second_order_moments"] = [.. trained.Select(p => Momentum(p, "momentum1"))],
        };
        OnnxModel lowered = LowerOptimizer.Run(model, sequences);
        IEnumerable<StateTensor> moments = sequences.Where(s => s.Key.EndsWith("_moments", StringComparison.Ordinal) && inputs.Contains(s.Key)).SelectMany(s => s.Value);
        return new OptimizerGraph(lowered, initialization: null)
        {
            Parameters = [.. trained.Select(p => new ParameterSpec(p.Name, p.Type, p.Dimensions, false, 0))],
            Constrained = [],
            Options = new OptimizerOptions { Groups = [UpdateRule.AdamW()], NonFiniteGuard = false },
            State = [new StateTensor(LowerOptimizer.StepState, OptimizerGraph.UpdatedOf(LowerOptimizer.StepState), ElementType.Int64, [1]), .. moments],
            Statistics = [],
            Schedulable = [(OptimizerGraph.LearningRateInput, [1e-3])],
            Type = ElementType.Float,
        };
    }
}

// What it takes to build an optimizer model of ours again.
internal sealed record OptimizerModelDescription(OptimizerOptions Options, IReadOnlyList<ParameterSpec> Parameters);
