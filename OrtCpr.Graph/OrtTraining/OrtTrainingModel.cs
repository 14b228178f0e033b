using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph.OrtTraining;

// A training_model.onnx as a plain training graph: batch and parameters -> loss, outputs, one gradient `p_grad` a parameter and the new
// running statistics `s.updated`. Accumulation is the driver's.
internal sealed class OrtTrainingModel
{
    private const string Accumulator = "com.microsoft.InPlaceAccumulatorV2", BufferSuffix = "_grad.accumulation.buffer",
        Normalization = "com.microsoft.BatchNormInternal";

    private readonly Dictionary<string, Value> _gradients = new(StringComparer.Ordinal);
    private readonly List<(Value Statistic, Value Updated)> _statistics = [];

    private OrtTrainingModel(OnnxModel model, string name, OrtCheckpoint checkpoint)
    {
        Model = model;
        OnnxGraph graph = model.Graph;
        Parameters = FindParameters(graph, checkpoint, name);
        var own = Parameters.Select(p => p.Name).ToHashSet(StringComparer.Ordinal);
        TakeAccumulatorsOut(graph, name);
        FindStatistics(graph, own);
        if (_statistics.GroupBy(s => s.Statistic).FirstOrDefault(g => g.Count() > 1) is { } shared)
        {
            throw new LoweringException($"Several normalisations of training model '{name}' update the running statistic "
                + $"'{shared.Key.Name}'. Generate the artifacts with one set of statistics a normalisation.");
        }
        Inputs = [.. graph.Inputs.Where(i => !own.Contains(i.Name) && !i.IsInitializer)];
        Outputs = [.. graph.Outputs.Select(o => o.Name)];
        if (Outputs.Count == 0)
        {
            throw new LoweringException($"Training model '{name}' has no output but accumulators; expected the loss. Generate the "
                + "artifacts again.");
        }
        if (graph.Outputs[0].Shape is { Rank: > 0 } shape)
        {
            throw new LoweringException($"The first output of training model '{name}', '{Outputs[0]}', has shape {shape}; expected a "
                + "scalar, the loss. Generate the artifacts with a reduced loss as first output.");
        }
        foreach (Value gradient in _gradients.Values.Distinct()) graph.Outputs.Add(gradient);
        foreach ((_, Value updated) in _statistics) graph.Outputs.Add(updated);
        LowerTraining.Run(model);
        NameOutputs(graph);
        PrepareGraph.Run(model, InferShapes.Run(model));
        IReadOnlyList<string> problems = InPlaceRule.Problems(model, [.. Statistics.Select(s => (s.Key, s.Value))]);
        if (problems.Count > 0)
        {
            throw new LoweringException($"Training model '{name}' reads running statistics that it may have overwritten by then: "
                + $"{string.Join("; ", problems.Take(5))}. Generate the artifacts with one set of statistics a normalisation.");
        }
    }

    public OnnxModel Model { get; }

    // In the order of the graph's inputs.
    public IReadOnlyList<OrtParameter> Parameters { get; }

    public IReadOnlyList<Value> Inputs { get; }

    // Loss first.
    public IReadOnlyList<string> Outputs { get; }

    // The output with the gradient of each parameter.
    public Dictionary<string, string> Gradients { get; } = new(StringComparer.Ordinal);

    // The output with the new value of each running statistic.
    public Dictionary<string, string> Statistics { get; } = new(StringComparer.Ordinal);

    public static OrtTrainingModel Read(ModelFile file, OrtCheckpoint checkpoint) => new(Plain(file), file.Name, checkpoint);

    // No functions, no Constant nodes, one opset.
    public static OnnxModel Plain(ModelFile file)
    {
        OnnxModel model = GraphReader.Read(file);
        model.Opsets.TryAdd("com.microsoft", 1);
        InlineFunctions.Run(model);
        ConstantsToInitializers.Run(model, file.Places);
        UpgradeOpset.Run(model);
        model.Graph.Sort();
        return model;
    }

    private static OrtParameter[] FindParameters(OnnxGraph graph, OrtCheckpoint checkpoint, string name)
    {
        var trainable = checkpoint.Trainable.ToDictionary(t => t.Name, StringComparer.Ordinal);
        var frozen = checkpoint.Frozen.ToDictionary(t => t.Name, StringComparer.Ordinal);
        var problems = new List<string>();
        var found = new List<OrtParameter>();
        foreach (Value input in graph.Inputs)
        {
            bool trained = trainable.TryGetValue(input.Name, out OrtTensor? tensor);
            if (!trained && !frozen.TryGetValue(input.Name, out tensor))
            {
                if (graph.Inputs.Any(i => i.Name == input.Name + BufferSuffix))
                {
                    problems.Add($"parameter '{input.Name}' is not in the checkpoint");
                }
                continue;
            }
            if (input.Shape?.Sizes is not long[] dims)
            {
                problems.Add($"parameter '{input.Name}' has no static shape in the model");
            }
            else if (tensor!.Type != input.Type || (tensor.Data is TensorData data && !data.Dimensions.SequenceEqual(dims)))
            {
                problems.Add($"'{input.Name}' is {TensorLayout.Describe(input.Type, dims)} in the model, "
                    + $"{tensor.Data?.ToString() ?? tensor.Type.ToString()} in the checkpoint");
            }
            else
            {
                found.Add(new OrtParameter(input.Name, input.Type, dims, trained));
            }
        }
        problems.AddRange(trainable.Keys.Where(t => graph.Inputs.All(i => i.Name != t))
            .Select(t => $"trained parameter '{t}' of the checkpoint is no input of the model"));
        if (found.Select(p => p.Type).Any(t => t == ElementType.String)) problems.Add("a parameter is text");
        if (problems.Count > 0)
        {
            throw new LoweringException($"Training model '{name}' and its checkpoint do not belong together: "
                + $"{string.Join("; ", problems)}. Use the files of one folder.");
        }
        return [.. found];
    }

    // Each accumulator names a parameter's gradient; buffers, flag and the accumulators' own outputs go.
    private void TakeAccumulatorsOut(OnnxGraph graph, string name)
    {
        var flags = new HashSet<Value>();
        foreach (Node node in graph.Nodes.Where(n => n.QualifiedType == Accumulator).ToList())
        {
            string buffer = node.Inputs[0]!.Name;
            if (!buffer.EndsWith(BufferSuffix, StringComparison.Ordinal) || !graph.Inputs.Contains(node.Inputs[0]!))
            {
                throw new LoweringException($"Node {node.Label} of training model '{name}' adds to '{buffer}'; expected an input named "
                    + $"'<parameter>{BufferSuffix}'. Generate the artifacts again.");
            }
            _gradients[buffer[..^BufferSuffix.Length]] = node.Inputs[1]!;
            graph.Nodes.Remove(node);
            graph.Inputs.Remove(node.Inputs[0]!);
            if (node.In(2) is Value flag) flags.Add(flag);
            foreach (Value? output in node.Outputs)
            {
                if (output is not null) graph.Outputs.Remove(output);
            }
        }
        foreach (Value flag in flags) graph.Inputs.Remove(flag);
        string[] missing = [.. Parameters.Where(p => p.Trainable && !_gradients.ContainsKey(p.Name)).Select(p => p.Name)];
        if (missing.Length > 0)
        {
            throw new LoweringException($"Training model '{name}' has no gradient buffer for {string.Join(", ", missing)}, which the "
                + "checkpoint lists as trained. Use the files of one folder.");
        }
    }

    // In training mode a normalisation overwrites the statistics that it is given.
    private void FindStatistics(OnnxGraph graph, HashSet<string> parameters)
    {
        foreach (Node node in graph.Nodes.Where(n => n.QualifiedType == Normalization && n.Int("training_mode", 0) != 0))
        {
            foreach (int i in new[] { 3, 4 })
            {
                if (node.Inputs[i] is not Value statistic || !parameters.Contains(statistic.Name) || !graph.Inputs.Contains(statistic))
                {
                    continue;
                }
                while (node.Outputs.Count <= i - 2) node.Outputs.Add(null);
                Value updated = node.Outputs[i - 2] ??= new Value(graph.Names.Unique($"{statistic.Name}/next"), statistic.Type,
                    statistic.Shape)
                { Producer = node };
                _statistics.Add((statistic, updated));
            }
        }
    }

    private void NameOutputs(OnnxGraph graph)
    {
        var builder = new GraphBuilder(graph);
        while (graph.Outputs.Count > Outputs.Count) graph.Outputs.RemoveAt(graph.Outputs.Count - 1);
        foreach ((string parameter, Value gradient) in _gradients)
        {
            Gradients[parameter] =
                Name(builder, gradient, OptimizerGraphBuilder.GradientOf(parameter), graph.Inputs.First(i => i.Name == parameter));
        }
        foreach ((Value statistic, Value updated) in _statistics)
            Statistics[statistic.Name] = Name(builder, updated, OptimizerGraphBuilder.UpdatedOf(statistic.Name), statistic);
    }

    // An own output under a wanted name; a value that has it already keeps it.
    private static string Name(GraphBuilder builder, Value value, string name, Value like)
    {
        OnnxGraph graph = builder.Graph;
        if (value.Name == name && value.Producer is not null && !graph.Outputs.Contains(value))
        {
            graph.Outputs.Add(GraphBuilder.Like(value, like));
            return name;
        }
        builder.Scope = name;
        return builder.AddOutput(value, name, like).Name;
    }
}
