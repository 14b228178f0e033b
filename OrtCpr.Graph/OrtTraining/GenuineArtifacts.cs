using System.Collections.Immutable;
using OrtCpr.Graph.Building;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph.OrtTraining;

/// <summary>Writes the four files of ONNX Runtime's on-device training (1.19.2), for programs that run the genuine runtime: C#, C++,
/// Android, the browser.</summary>
/// <remarks>Gradients are standard operators, so everything that we differentiate trains there, the accumulation and the optimizer node
/// alone are of com.microsoft. Running statistics are written in place at each training step, as the runtime's own BatchNormInternal does.
/// Thread-safe.</remarks>
public static class GenuineArtifacts
{
    private const int NewestOpset = 21, NewestIr = 10;
    private const string Accumulator = "com.microsoft.InPlaceAccumulatorV2";

    // The retired runtime as a device: fused products written out, since not every build of it has them.
    private static readonly DeviceCapabilities Runtime =
        new("ONNX Runtime training 1.19.2") { Float64 = false, Missing = ["com.microsoft.FusedMatMul"] };

    // Operators that came after opset 21; the others of newer models have the same form and meaning there.
    private static readonly ImmutableHashSet<string> Newer =
        ["Attention", "RMSNormalization", "RotaryEmbedding", "Swish", "TensorScatter", "CumProd", "BitCast"];

    /// <summary>Writes <c>training_model.onnx</c>, <c>eval_model.onnx</c>, <c>optimizer_model.onnx</c> and <c>checkpoint</c>.</summary>
    /// <param name="graphs">A float32 job with one optimizer group: AdamW, SGD without momentum, or AdamCPR.</param>
    /// <param name="folder">Created where it is missing.</param>
    /// <exception cref="OptionException">The job has something that the runtime cannot do; lists all of it.</exception>
    /// <exception cref="FileAccessException">A file can't be written; names it.</exception>
    public static void Write(TrainingPlan graphs, string folder)
    {
        ArgumentNullException.ThrowIfNull(graphs);
        ArgumentNullException.ThrowIfNull(folder);
        GenuineOptimizer optimizer = GenuineOptimizer.Of(graphs.Optimizer, Parameters(graphs).Trained);
        OnnxModel training = Training(graphs), evaluation = Evaluation(graphs), step = optimizer.Build();
        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception error) when (FileAccessException.IsFileError(error))
        {
            throw FileAccessException.CannotWrite(folder, error);
        }
        foreach ((OnnxModel model, string name) in new[] { (training, "training_model.onnx"), (evaluation, "eval_model.onnx"),
            (step, "optimizer_model.onnx") })
        {
            ModelFile.Save(GraphWriter.Write(model), Path.Combine(folder, name));
        }

        Checkpoint(graphs, optimizer).Save(Path.Combine(folder, "checkpoint"));
    }

    /// <summary>The checkpoint that <see cref="Write"/> writes: initial parameters, running statistics as frozen ones, AdamCPR's
    /// state.</summary>
    /// <param name="graphs">The job.</param>
    /// <exception cref="OptionException">The job has something that the runtime cannot do.</exception>
    internal static OrtCheckpoint Checkpoint(TrainingPlan graphs)
    {
        ArgumentNullException.ThrowIfNull(graphs);
        return Checkpoint(graphs, GenuineOptimizer.Of(graphs.Optimizer, Parameters(graphs).Trained));
    }

    /// <summary>Names of all parameters in the order of the models' inputs, which is that of the runtime's flat buffer.</summary>
    /// <param name="graphs">The job.</param>
    internal static IReadOnlyList<string> ParameterOrder(TrainingPlan graphs)
    {
        ArgumentNullException.ThrowIfNull(graphs);
        return Parameters(graphs).All;
    }

    private static OrtCheckpoint Checkpoint(TrainingPlan graphs, GenuineOptimizer optimizer)
    {
        (ParameterSpec[] trained, string[] frozen, _) = Parameters(graphs);
        return new OrtCheckpoint
        {
            Trainable = [.. trained.Select(p => new OrtTensor(p.Name, graphs.InitialParameters[p.Name]))],
            Frozen = [.. frozen.Select(s => new OrtTensor(s, graphs.InitialStatistics[s]))],
            Groups = optimizer.InitialState(graphs.InitialParameters) is { } states
                ? [new OrtOptimizerGroup(OrtCheckpoint.DefaultGroup, 0, 1e-3f, states)] : [],
        };
    }

    // In the order of the file: the trained ones, the running statistics, and both mixed.
    private static (ParameterSpec[] Trained, string[] Frozen, string[] All) Parameters(TrainingPlan graphs)
    {
        var specs = graphs.Trained.ToDictionary(p => p.Name, StringComparer.Ordinal);
        string[] all = [.. graphs.Parameters.All.Select(p => p.Name)
            .Where(n => specs.ContainsKey(n) || graphs.InitialStatistics.ContainsKey(n))];
        // Parameters that lie in bodies of control flow are in no table of the main graph.
        all = [.. all, .. specs.Keys.Except(all), .. graphs.InitialStatistics.Keys.Except(all)];
        return ([.. all.Where(specs.ContainsKey).Select(n => specs[n])], [.. all.Where(n => !specs.ContainsKey(n))], all);
    }

    private static OnnxModel Training(TrainingPlan graphs)
    {
        OnnxModel model = Prepared(graphs.Training);
        OnnxGraph graph = model.Graph;
        (ParameterSpec[] trained, string[] frozen, string[] all) = Parameters(graphs);
        var inputs = graph.Inputs.ToDictionary(i => i.Name, StringComparer.Ordinal);
        var outputs = graph.Outputs.ToDictionary(o => o.Name, StringComparer.Ordinal);
        Dictionary<string, TensorUse> pending =
            frozen.ToDictionary(s => s, s => graphs.Find(TensorRole.PendingStatistic, s)!.UseIn(PlanGraph.Training)!,
            StringComparer.Ordinal);
        foreach (string s in frozen) inputs[s] = Renamed(inputs[pending[s].Input!], s);
        Reorder(graph, graphs, all, inputs);

        var g = new GraphBuilder(graph);
        string[] visible = [graphs.LossOutput, .. graphs.Trained.Count == 0 ? []
            : outputs.Keys.Where(k => graphs.ModelOutputs.Contains(k) && k != graphs.LossOutput)];
        graph.Outputs.Clear();
        foreach (string name in visible) graph.Outputs.Add(outputs[name]);
        foreach (ParameterSpec p in trained)
        {
            graph.AddInput(AccumulationGraph.BufferOf(OptimizerGraphBuilder.GradientOf(p.Name)), p.Type, Shape.Of(p.Dimensions));
        }
        Value reset = graph.AddInput(AccumulationGraph.ResetFlag, ElementType.Bool, Shape.Of(1));
        foreach (ParameterSpec p in trained)
        {
            g.Scope = OptimizerGraphBuilder.GradientOf(p.Name);
            Value buffer = graph.Inputs.First(i => i.Name == AccumulationGraph.BufferOf(g.Scope));
            Value gradient = outputs[graphs.Find(TensorRole.Gradient, p.Name)!.UseIn(PlanGraph.Training)!.Output!];
            AddFlag(graph, g, g.Op(Accumulator, [buffer, gradient, reset]), $"{g.Scope}.accumulation.out");
        }
        Value always = g.Constant(TensorData.From<bool>([true], 1));
        foreach (string s in frozen)
        {
            g.Scope = s;
            AddFlag(graph, g, g.Op(Accumulator, [inputs[s], outputs[pending[s].Output!], always]), $"{s}.update.out");
        }
        return Finished(model, "genuine training graph");
    }

    private static OnnxModel Evaluation(TrainingPlan graphs)
    {
        OnnxModel model = Prepared(graphs.Evaluation);
        Reorder(model.Graph, graphs, Parameters(graphs).All, model.Graph.Inputs.ToDictionary(i => i.Name, StringComparer.Ordinal));
        Value loss = model.Graph.Outputs.First(o => o.Name == graphs.LossOutput);
        // Figures and tensors that the loss takes are the driver's affair.
        model.Graph.Outputs.RemoveAll(o => o == loss || !graphs.ModelOutputs.Contains(o.Name));
        model.Graph.Outputs.Insert(0, loss);
        return Finished(model, "genuine evaluation graph");
    }

    private static OnnxModel Prepared(OnnxModel model)
    {
        OnnxModel adapted = AdaptToDevice.Run(model, Runtime);
        string[] newer = [.. adapted.Graph.Nodes.Where(n => n.Domain.Length == 0 && Newer.Contains(n.OpType)).Select(n => n.Label)];
        if (adapted.Opset > NewestOpset && newer.Length > 0)
        {
            throw new OptionException($"ONNX Runtime training 1.19.2 knows opset {NewestOpset} at most, and the model has newer operators: "
                + $"{string.Join(", ", newer)}. Export it with opset {NewestOpset} or below.");
        }
        string[] ours = [.. adapted.Graph.Nodes.Where(n => n.Domain is not ("" or "com.microsoft")).Select(n => n.Label)];
        if (ours.Length > 0)
        {
            throw new OptionException($"ONNX Runtime training 1.19.2 has no operators of other domains, and the model has: "
                + $"{string.Join(", ", ours)}.");
        }
        return adapted;
    }

    private static OnnxModel Finished(OnnxModel model, string stage)
    {
        model.Opsets[""] = Math.Min(model.Opset, NewestOpset);
        model.Opsets["com.microsoft"] = 1;
        model.IrVersion = Math.Min(model.IrVersion, NewestIr);
        // The runtime knows two domains.
        foreach (string domain in model.Opsets.Keys.Where(d => d is not ("" or "com.microsoft")).ToList()) model.Opsets.Remove(domain);
        RemoveDeadNodes.Run(model.Graph);
        GraphChecker.Check(model, stage);
        return model;
    }

    // The batch as the caller feeds it, then every parameter. Both models must have the same ones, read or not.
    private static void Reorder(OnnxGraph graph, TrainingPlan graphs, string[] parameters, Dictionary<string, Value> inputs)
    {
        graph.Inputs.Clear();
        foreach (BatchInput input in graphs.BatchInputs) graph.Inputs.Add(inputs[input.Name]);
        foreach (string name in parameters) graph.Inputs.Add(inputs[name]);
    }

    private static Value Renamed(Value value, string name)
    {
        value.Name = name;
        return value;
    }

    private static void AddFlag(OnnxGraph graph, GraphBuilder g, Value flag, string name) =>
        graph.Outputs.Add(g.Named(GraphBuilder.Typed(flag, ElementType.Bool, Shape.Of(1)), name));
}
