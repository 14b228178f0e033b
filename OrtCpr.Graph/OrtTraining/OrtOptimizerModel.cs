using System.Globalization;
using System.Text;
using System.Text.Json;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Graph.OrtTraining;

// An optimizer_model.onnx as an optimizer graph: one of the training package's, or one of ours, which says so in its metadata and is built
// anew from them.
internal static class OrtOptimizerModel
{
    private const string MetadataKey = "ortcpr.optimizer";

    /// <summary>Reads the optimizer; its tensors are added to the table of the job.</summary>
    public static OrtOptimizer Read(ModelFile file, IReadOnlyList<OrtParameter> parameters, OrtCheckpoint checkpoint, PlanSlots slots)
    {
        string? ours = file.Proto.MetadataProps.FirstOrDefault(m => m.Key == MetadataKey)?.Value;
        OrtParameter[] trained = [.. parameters.Where(p => p.Trainable)];
        return ours is null ? Genuine(file, trained, checkpoint, slots) : Ours(file, ours, trained, slots);
    }

    // A model of ours, with what it takes to build it again.
    public static ModelProto Write(TrainingPlan plan)
    {
        ModelProto model = GraphWriter.Write(plan.OptimizerModel);
        string json = JsonSerializer.Serialize(new OptimizerModelDescription(plan.Optimizer, plan.Trained),
            OptimizerModelJson.Default.OptimizerModelDescription);
        model.MetadataProps.Add(new StringStringEntryProto { Key = MetadataKey, Value = json });
        return model;
    }

    // What the moments of a model mean, and the norm to which it clips; null for moments that are not Adam's.
    public static (ScaleByAdam? Adam, double MaxNorm) Settings(ModelFile file)
    {
        OnnxGraph graph = GraphReader.Read(file).Graph;
        Node? adam = graph.Nodes.FirstOrDefault(n => n.OpType == "AdamWOptimizer"),
            clip = graph.Nodes.FirstOrDefault(n => n.OpType == "InplaceClipGradNorm");
        // Attributes are float32; the nearest short decimal is what was meant.
        double Meant(string name, float fallback) =>
            double.Parse(adam.Float(name, fallback).ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
        return (adam is null ? null
            : new ScaleByAdam { Beta1 = Meant("alpha", 0.9f), Beta2 = Meant("beta", 0.999f), Epsilon = Meant("epsilon", 1e-8f) },
            clip?.Float("max_norm", 1) ?? 0);
    }

    private static OrtOptimizer Ours(ModelFile file, string json, OrtParameter[] trained, PlanSlots slots)
    {
        OptimizerModelDescription? description;
        try
        {
            description = BoundWrittenBefore.Parse(Encoding.UTF8.GetBytes(json))
                .Deserialize(OptimizerModelJson.Default.OptimizerModelDescription);
        }
        catch (Exception error) when (error is JsonException or NotSupportedException)
        {
            throw new LoweringException($"The metadata '{MetadataKey}' of optimizer model '{file.Name}' is damaged: {error.Message} Write "
                + "it again by ortcpr artifacts swap-optimizer.");
        }
        string[] expected = [.. trained.Select(p => p.Name).Order(StringComparer.Ordinal)],
            found = [.. (description?.Parameters ?? []).Select(p => p.Name).Order(StringComparer.Ordinal)];
        if (!expected.SequenceEqual(found))
        {
            throw new LoweringException($"Optimizer model '{file.Name}' is for the parameters {string.Join(", ", found)}; the checkpoint "
                + $"trains {string.Join(", ", expected)}. Use the files of one folder.");
        }
        OptimizerGraph graph = new OptimizerGraphBuilder(description!.Parameters, description.Options, [], slots).Build();
        return new OrtOptimizer(graph.Model, graph.Options, description.Parameters);
    }

    private static OrtOptimizer Genuine(ModelFile file, OrtParameter[] trained, OrtCheckpoint checkpoint, PlanSlots slots)
    {
        OnnxModel model = GraphReader.Read(file);
        var inputs = model.Graph.Inputs.Select(i => i.Name).ToHashSet(StringComparer.Ordinal);
        var states = (checkpoint.Optimizer?.States ?? []).ToDictionary(s => s.Parameter, StringComparer.Ordinal);
        IReadOnlyList<long> Shape(OrtParameter p, string kind) =>
            states.GetValueOrDefault(p.Name)?.Momentums.FirstOrDefault(m => m.Name == kind)?.Data?.Dimensions ?? p.Dimensions;
        (string Sequence, TensorRole Role, string Kind)[] sequences =
        [
            ("params", TensorRole.Parameter, ""), ("gradients", TensorRole.Gradient, ""),
            ("first_order_moments", TensorRole.State, "momentum0"), ("second_order_moments", TensorRole.State, "momentum1"),
        ];
        string Key(OrtParameter p, TensorRole role, string kind) => role switch
        {
            TensorRole.Parameter => p.Name,
            TensorRole.Gradient => OptimizerGraphBuilder.GradientOf(p.Name),
            _ => $"{p.Name}.{kind}",
        };
        LoweredOptimizer lowered = LowerOptimizer.Run(model, sequences.ToDictionary(
            s => s.Sequence,
            s => (IReadOnlyList<SequenceTensor>)[.. trained.Select(p =>
                new SequenceTensor(Key(p, s.Role, s.Kind), p.Type, Shape(p, s.Kind)))],
            StringComparer.Ordinal));
        TensorUse[] Uses(string key) => lowered.Uses.TryGetValue(key, out TensorUse? use) ? [use] : [];
        foreach ((string sequence, TensorRole role, string kind) in sequences)
        {
            if (role == TensorRole.State && !inputs.Contains(sequence)) continue;
            foreach (OrtParameter p in trained)
            {
                string key = Key(p, role, kind);
                slots.Add(new TensorSlot(key, role, p.Name, p.Type, Shape(p, kind)) { Kind = kind, Uses = Uses(key) });
            }
        }
        slots.Add(new TensorSlot(LowerOptimizer.StepState, TensorRole.Shared, null, ElementType.Int64, [1])
        {
            Kind = LowerOptimizer.StepState,
            Uses = Uses(LowerOptimizer.StepState),
        });
        slots.Add(new TensorSlot(UpdateRule.LearningRateScalar, TensorRole.GroupScalar, null, ElementType.Float, [1])
        {
            Kind = UpdateRule.LearningRateScalar,
            Uses = Uses(UpdateRule.LearningRateScalar),
        });
        slots.Add(new TensorSlot(LowerOptimizer.StepApplied, TensorRole.StepApplied, null, ElementType.Bool,
            [1])
        { Uses = Uses(LowerOptimizer.StepApplied) });
        return new OrtOptimizer(
            lowered.Model,
            new OptimizerOptions { Groups = [UpdateRule.AdamW()], NonFiniteGuard = false },
            [.. trained.Select(p => new ParameterSpec(p.Name, p.Type, p.Dimensions, false, 0))]);
    }
}

/// <summary>The optimizer of training artifacts as a graph of ours.</summary>
internal sealed record OrtOptimizer(OnnxModel Model, OptimizerOptions Options, IReadOnlyList<ParameterSpec> Trained);

// What it takes to build an optimizer model of ours again.
internal sealed record OptimizerModelDescription(OptimizerOptions Options, IReadOnlyList<ParameterSpec> Parameters);
