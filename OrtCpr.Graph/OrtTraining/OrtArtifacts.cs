using OrtCpr.Graph.Building;
using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph.OrtTraining;

// A parameter of training artifacts, as the training model declares it.
internal sealed record OrtParameter(string Name, ElementType Type, IReadOnlyList<long> Dimensions, bool Trainable);

// Artifacts of ONNX Runtime training as graphs that stock ONNX Runtime runs, beside what the files said.
internal sealed class OrtArtifacts
{
    private readonly OnnxModel? _evaluation;
    private readonly IReadOnlyDictionary<string, TensorData> _values;

    private OrtArtifacts(OrtTrainingModel training, OnnxModel? evaluation, ModelFile optimizer, OrtCheckpoint checkpoint)
    {
        _evaluation = evaluation;
        Parameters = training.Parameters;
        TrainingInputs = [.. training.Inputs.Select(i => i.Name)];
        TrainingOutputs = [.. training.Outputs];
        EvaluationInputs = evaluation is null ? [] : [.. UserInputs(evaluation).Select(i => i.Name)];
        EvaluationOutputs = evaluation is null ? [] : [.. evaluation.Graph.Outputs.Select(o => o.Name)];
        _values = Values(checkpoint);
        string loss = TrainingOutputs[0];
        HashSet<string> labels = Labels();
        var slots = new PlanSlots(Parameters.Select(p => p.Name));
        OrtOptimizer step = OrtOptimizerModel.Read(optimizer, Parameters, checkpoint, slots);
        var accumulation = AccumulationGraph.Of(training.Model, training.Gradients);
        Dictionary<string, TensorData> initial = Of(trainable: true), statistics = Of(trainable: false);
        OnnxModel? inference = ForEvaluation(loss);
        AddUses(slots, training, accumulation, loss, initial, statistics);
        Plan = new TrainingPlan(slots.All, () => Inference(EvaluationOutputs.Skip(1)))
        {
            TrainingModel = training.Model,
            AccumulationModel = accumulation.Model,
            EvaluationModel = inference,
            OptimizerModel = step.Model,
            Trained = step.Trained,
            Optimizer = step.Options,
            Type = ElementType.Float,
            LossOutput = loss,
            BatchInputs = [.. training.Inputs.Select(i => TrainingGraphBuilder.Describe(i, labels.Contains(i.Name)))],
            ModelOutputs = [.. EvaluationOutputs.Skip(1)],
            Parameters = new ParameterTable([.. Parameters.Where(p => p.Type.IsFloating()).Select(Describe)]),
            InitialParameters = initial,
            InitialStatistics = statistics,
            NodeCounts = (training.Model.Graph.Nodes.Count, training.Model.Graph.Nodes.Count),
        };
    }

    private static ParameterInfo Describe(OrtParameter p) => new()
    {
        Name = p.Name,
        Type = p.Type,
        Dimensions = p.Dimensions,
        Role = p.Trainable ? ParameterRole.Other : ParameterRole.Constant,
        Trained = p.Trainable,
        Reason = p.Trainable ? "requires_grad of the artifacts" : "frozen in the artifacts",
    };

    // Running statistics change with each training step, as in the genuine runtime; frozen parameters are kept beside the trained ones.
    private void AddUses(
        PlanSlots slots, OrtTrainingModel training, AccumulationGraph accumulation, string loss,
        Dictionary<string, TensorData> initial, Dictionary<string, TensorData> statistics)
    {
        foreach (OrtParameter p in Parameters)
        {
            string? updated = training.Statistics.GetValueOrDefault(p.Name);
            TensorUse[] uses = [new(PlanGraph.Training, p.Name, updated), new(PlanGraph.Accumulation, p.Name, updated),
                new(PlanGraph.Evaluation, p.Name)];
            TensorRole role = p.Trainable ? TensorRole.Parameter : TensorRole.Statistic;
            if (!p.Trainable) slots.AddOwn(role, p.Name, p.Type, p.Dimensions);
            foreach (TensorUse use in uses) slots.Use(role, p.Name, use);
            slots.Start(role, p.Name, p.Trainable ? initial[p.Name] : statistics[p.Name]);
            if (!training.Gradients.TryGetValue(p.Name, out string? gradient)) continue;
            slots.Use(TensorRole.Gradient, p.Name, new TensorUse(PlanGraph.Training, null, gradient));
            slots.Use(TensorRole.Gradient, p.Name, accumulation.Uses[p.Name]);
        }
        slots.Add(new TensorSlot(loss, TensorRole.Loss, null, ElementType.Float, [])
        {
            Uses = [new(PlanGraph.Training, null, loss), new(PlanGraph.Accumulation, null, loss)],
        });
        slots.Add(new TensorSlot(AccumulationGraph.ResetFlag, TensorRole.ResetFlag, null, ElementType.Bool, [1])
        {
            Uses = [new(PlanGraph.Accumulation, accumulation.Reset)],
        });
    }

    public TrainingPlan Plan { get; }

    // In the order of the training model's inputs: the order of ToBuffer.
    public IReadOnlyList<OrtParameter> Parameters { get; }

    public IReadOnlyList<string> TrainingInputs { get; }

    public IReadOnlyList<string> TrainingOutputs { get; }

    public IReadOnlyList<string> EvaluationInputs { get; }

    public IReadOnlyList<string> EvaluationOutputs { get; }

    public static OrtArtifacts Read(string training, string? evaluation, string optimizer, OrtCheckpoint checkpoint)
    {
        OrtTrainingModel model = OrtTrainingModel.Read(ModelFile.Load(training), checkpoint);
        return new OrtArtifacts(model, evaluation is null ? null : Lowered(ModelFile.Load(evaluation)), ModelFile.Load(optimizer),
            checkpoint);
    }

    // The trained parameters, with the constrained ones marked by what the evaluation model does with them; without such a model, by rank.
    public IReadOnlyList<ParameterSpec> Classified()
    {
        OrtParameter[] trained = [.. Parameters.Where(p => p.Trainable)];
        HashSet<string> constrained = [.. trained.Where(p => p.Dimensions.Count > 1).Select(p => p.Name)];
        if (_evaluation is not null)
        {
            OnnxModel model = GraphCopier.Copy(_evaluation).Model;
            foreach (Value input in model.Graph.Inputs.Where(i => _values.ContainsKey(i.Name)).ToList())
            {
                model.Graph.Inputs.Remove(input);
                input.Data = _values[input.Name];
                model.Graph.Initializers.Add(input);
            }
            InferShapes.Run(model);
            var classifier = new ParameterClassifier(
                model.Graph, model.Graph.Outputs[0], GradientRules.Default, new ParameterOptions(), new OptimizerOptions(),
                model.Graph.Initializers.Where(i => _values.ContainsKey(i.Name)));
            constrained = [.. classifier.Run().Constrained.Select(p => p.Name)];
        }
        return [.. trained.Select(p => new ParameterSpec(p.Name, p.Type, p.Dimensions, constrained.Contains(p.Name), 0))];
    }

    // The evaluation model as far as the outputs need it, any of its inner values among them, with the parameters as initializers.
    public ModelFile Inference(IEnumerable<string> outputs)
    {
        if (_evaluation is null)
        {
            throw new OptionException("There is no evaluation model to export from. Give the session an eval_model.onnx.");
        }
        OnnxModel model = GraphCopier.Copy(_evaluation).Model;
        OnnxGraph graph = model.Graph;
        var values = graph.Nodes.SelectMany(n => n.Outputs).OfType<Value>().ToDictionary(v => v.Name, StringComparer.Ordinal);
        string[] wanted = [.. outputs], unknown = [.. wanted.Where(o => !values.ContainsKey(o))];
        if (unknown.Length > 0 || wanted.Length == 0)
        {
            string problem = wanted.Length == 0 ? "No output was named, and the evaluation model has none but the loss"
                : $"The evaluation model has no value named '{string.Join("', '", unknown)}'";
            throw new OptionException(
                $"{problem}. Its outputs: {string.Join(", ", EvaluationOutputs)}; name them, or any inner value, for the export.");
        }
        graph.Outputs.Clear();
        foreach (string name in wanted) graph.Outputs.Add(values[name]);
        RemoveDeadNodes.Run(graph);
        var read = graph.Nodes.SelectMany(OnnxGraph.ReadBy).ToHashSet();
        foreach (Value input in graph.Inputs.ToList())
        {
            bool isParameter = _values.TryGetValue(input.Name, out TensorData? data);
            if (isParameter || !read.Contains(input)) graph.Inputs.Remove(input);
            if (!isParameter || !read.Contains(input)) continue;
            input.Data = data;
            input.Origin = null;
            graph.Initializers.Add(input);
        }
        return ModelFile.Load(GraphWriter.ToBytes(model));
    }

    // Loss and outputs under the names by which the driver asks for them.
    private OnnxModel? ForEvaluation(string loss)
    {
        if (_evaluation is null) return null;
        OnnxModel model = GraphCopier.Copy(_evaluation).Model;
        PrepareGraph.Run(model, InferShapes.Run(model));
        Value first = model.Graph.Outputs[0];
        foreach (Value taken in model.Graph.Nodes.SelectMany(n => n.Outputs).OfType<Value>().Where(v => v != first && v.Name == loss))
        {
            taken.Name = model.Names.Unique(loss);
        }
        first.Name = loss;
        return model;
    }

    private static OnnxModel Lowered(ModelFile file)
    {
        OnnxModel model = OrtTrainingModel.Plain(file);
        LowerTraining.Run(model);
        return model;
    }

    // Inputs that only the loss reads.
    private HashSet<string> Labels()
    {
        if (_evaluation is null || EvaluationOutputs.Count < 2) return [];
        OnnxGraph graph = GraphCopier.Copy(_evaluation).Model.Graph;
        graph.Outputs.RemoveAt(0);
        RemoveDeadNodes.Run(graph);
        var read = graph.Nodes.SelectMany(OnnxGraph.ReadBy).ToHashSet();
        return [.. graph.Inputs.Where(i => !read.Contains(i)).Select(i => i.Name)];
    }

    private IEnumerable<Value> UserInputs(OnnxModel model) =>
        model.Graph.Inputs.Where(i => !i.IsInitializer && Parameters.All(p => p.Name != i.Name));

    private Dictionary<string, TensorData> Of(bool trainable) =>
        Parameters.Where(p => p.Trainable == trainable).ToDictionary(p => p.Name, p => _values[p.Name], StringComparer.Ordinal);

    // A nominal checkpoint has no values: zeros until FromBuffer.
    private Dictionary<string, TensorData> Values(OrtCheckpoint checkpoint)
    {
        var tensors = checkpoint.Trainable.Concat(checkpoint.Frozen).ToDictionary(t => t.Name, StringComparer.Ordinal);
        return Parameters.ToDictionary(p => p.Name, p => tensors[p.Name].Data ?? Zeros(p), StringComparer.Ordinal);
    }

    private static TensorData Zeros(OrtParameter p)
    {
        _ = TensorLayout.Measure(p.Type, p.Dimensions, out _, out long bytes);
        return TensorData.Create(p.Type, p.Dimensions, new byte[bytes]);
    }
}
