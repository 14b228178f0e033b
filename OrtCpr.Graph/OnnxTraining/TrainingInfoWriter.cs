using System.Text.Json;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.OnnxTraining;

/// <summary>Writes a plan as a model with <c>training_info</c>: the inference graph with the parameters, an algorithm that is one
/// iteration (forward, loss, gradients, optimizer step), and a second one that computes the loss in evaluation form and updates
/// nothing.</summary>
internal sealed class TrainingInfoWriter
{
    /// <summary>Functions are part of a model from here on.</summary>
    private const long FunctionsFromIr = 8;

    private readonly TrainingPlan _plan;
    private readonly Func<TensorSlot, TensorData> _valueOf;
    private readonly FileNames _names = new();
    private readonly OnnxGraph _inference, _algorithm, _evaluation;
    private readonly Dictionary<string, Value> _batch = new(StringComparer.Ordinal), _held = new(StringComparer.Ordinal);

    private TrainingInfoWriter(TrainingPlan plan, Func<TensorSlot, TensorData> valueOf)
    {
        _plan = plan;
        _valueOf = valueOf;
        var names = new NameAuthority();
        _inference = new OnnxGraph(plan.Evaluation.Graph.Name, names) { Origin = plan.Evaluation.Graph.Origin };
        _algorithm = new OnnxGraph("training_iteration", names);
        _evaluation = new OnnxGraph("evaluation", names);
    }

    /// <summary>The model; tensors are wrapped, not copied.</summary>
    /// <param name="plan">A whole job.</param>
    /// <param name="valueOf">The value of a tensor as it is now; of what the host writes, that of the next step.</param>
    /// <param name="steps">Optimizer steps made.</param>
    /// <param name="job">What the driver adds; null for nothing.</param>
    /// <exception cref="OptionException">The job has what the format has no place for; lists all.</exception>
    public static ModelProto Write(TrainingPlan plan, Func<TensorSlot, TensorData> valueOf, long steps, string? job)
    {
        Refuse(plan);
        return new TrainingInfoWriter(plan, valueOf).Write(steps, job);
    }

    private static void Refuse(TrainingPlan plan)
    {
        var problems = new List<string>();
        if (plan.TrainingModel is null) problems.Add("the plan has an optimizer and no training graph");
        else if (plan.EvaluationModel is null) problems.Add("there is no evaluation graph, from which the inference graph is made");
        if (plan.Precision != Precision.Float32)
        {
            problems.Add($"{nameof(TrainingOptions)}.{nameof(TrainingOptions.Precision)} is {plan.Precision}, which is no part of the "
                + $"graphs: another program would compute in {Precision.Float32}");
        }
        OptionException.ThrowIfAny("The job cannot be written as training_info", problems);
    }

    private ModelProto Write(long steps, string? job)
    {
        PartDescription evaluation = Evaluation(out Node[] loss, out Value[] constants);
        PartDescription training = Training(out Dictionary<string, Value> computed);
        PartDescription optimizer = Optimizer(computed, out Dictionary<string, Value> updated);
        IReadOnlyList<NamePair> renamed = _names.Add(loss, constants);
        evaluation = evaluation with
        {
            Renamed = renamed,
            Outputs = [.. evaluation.Outputs.Select(o => renamed.FirstOrDefault(r => r.InGraph == o.InGraph) ?? o)],
        };
        _evaluation.Outputs.AddRange(Outputs(evaluation, [.. loss.SelectMany(n => n.Outputs).OfType<Value>(), .. Produced(_inference)])
            .Except(_inference.Outputs));

        int opset = new[] { _plan.Training.Opset, _plan.OptimizerModel.Opset, _plan.Evaluation.Opset }.Max();
        ModelProto proto = GraphWriter.Write(Whole(opset));
        proto.TrainingInfo.Add(Iteration(updated, computed));
        proto.TrainingInfo.Add(new TrainingInfoProto { Algorithm = GraphWriter.Graph(_evaluation) });
        var description = new TrainingInfoDescription
        {
            FormatVersion = TrainingInfoDescription.Version,
            // Copies of parameters read the parameter itself in the inference graph.
            Plan = PlanDescription.Of(_plan) with { InitialSteps = steps, Tied = [] },
            Training = training,
            Optimizer = optimizer,
            Evaluation = evaluation,
            Initializers = _held.ToDictionary(h => h.Key, h => h.Value.Name, StringComparer.Ordinal),
            Seed = Seed(),
            Job = job,
        };
        foreach (StringStringEntryProto old in proto.MetadataProps.Where(m => m.Key == TrainingInfoDescription.MetadataKey).ToArray())
            proto.MetadataProps.Remove(old);
        proto.MetadataProps.Add(new StringStringEntryProto
        {
            Key = TrainingInfoDescription.MetadataKey,
            Value = JsonSerializer.Serialize(description, TrainingInfoJson.Default.TrainingInfoDescription),
        });
        return proto;
    }

    /// <summary>The evaluation graph in two: what the model's outputs need is the inference graph; the rest goes to the second
    /// algorithm, and gets its names last.</summary>
    private PartDescription Evaluation(out Node[] loss, out Value[] constants)
    {
        (OnnxModel copy, _) = GraphCopier.Copy(_plan.Evaluation);
        OnnxGraph graph = copy.Graph;
        HashSet<Node> needed = Ancestors(graph.Outputs.Where(o => _plan.ModelOutputs.Contains(o.Name)));
        HashSet<Value> read = [.. graph.Nodes.Where(needed.Contains).SelectMany(OnnxGraph.ReadBy), .. graph.Outputs];
        HashSet<string> labels = [.. _plan.BatchInputs.Where(i => i.IsLabel).Select(i => i.Name)];
        Dictionary<string, TensorSlot> held = _plan.Slots.Where(s => s.UseIn(PlanGraph.Evaluation)?.Input is not null)
            .ToDictionary(s => s.UseIn(PlanGraph.Evaluation)!.Input!, StringComparer.Ordinal);
        foreach (Value input in graph.Inputs)
        {
            _names.Keep(input.Name);
            if (held.TryGetValue(input.Name, out TensorSlot? slot))
            {
                input.Data = _valueOf(slot);
                input.Origin = null;
                _inference.Initializers.Add(input);
                _held[slot.Key] = input;
            }
            else if (labels.Contains(input.Name))
            {
                _evaluation.Inputs.Add(input);
            }
            else
            {
                _inference.Inputs.Add(input);
                _batch[input.Name] = input;
            }
        }
        constants = [.. graph.Initializers.Where(i => !read.Contains(i))];
        _inference.Initializers.AddRange(graph.Initializers.Where(read.Contains));
        _evaluation.Initializers.AddRange(constants);
        loss = [.. graph.Nodes.Where(n => !needed.Contains(n))];
        _inference.Nodes.AddRange(graph.Nodes.Where(needed.Contains));
        _evaluation.Nodes.AddRange(loss);
        _inference.Outputs.AddRange(graph.Outputs.Where(o => _plan.ModelOutputs.Contains(o.Name)).Distinct());
        // First of all, so that nothing of the inference graph is renamed.
        _ = _names.Add(_inference.Nodes, graph.Initializers.Where(read.Contains));
        return new PartDescription
        {
            Opset = copy.Opset,
            Outputs = [.. graph.Outputs.Distinct().Select(o => new NamePair(o.Name, o.Name))],
        };
    }

    private PartDescription Training(out Dictionary<string, Value> computed)
    {
        var copier = new GraphCopier(new NameAuthority());
        OnnxGraph graph = _plan.Training.Graph;
        Dictionary<string, TensorSlot> read = _plan.Slots.Where(s => s.UseIn(PlanGraph.Training)?.Input is not null)
            .ToDictionary(s => s.UseIn(PlanGraph.Training)!.Input!, StringComparer.Ordinal);
        foreach (Value input in graph.Inputs)
        {
            copier.Map[input] = read.TryGetValue(input.Name, out TensorSlot? slot) ? Held(slot)
                : _batch.TryGetValue(input.Name, out Value? fed) ? fed : Label(input);
        }
        return Part(copier, _plan.Training, out computed);
    }

    private PartDescription Optimizer(Dictionary<string, Value> computed, out Dictionary<string, Value> updated)
    {
        var copier = new GraphCopier(new NameAuthority());
        OnnxGraph graph = _plan.OptimizerModel.Graph;
        Dictionary<string, TensorSlot> read = _plan.Slots.Where(s => s.UseIn(PlanGraph.Optimizer)?.Input is not null)
            .ToDictionary(s => s.UseIn(PlanGraph.Optimizer)!.Input!, StringComparer.Ordinal);
        foreach (Value input in graph.Inputs)
        {
            TensorSlot slot = read[input.Name];
            copier.Map[input] = slot.UseIn(PlanGraph.Training)?.Output is string output ? computed[output] : Held(slot);
        }
        PartDescription part = Part(copier, _plan.OptimizerModel, out updated);
        _algorithm.Outputs.AddRange(computed.Where(c => !FeedsOptimizer(c.Key)).Select(c => c.Value)
            .Concat(graph.Outputs.Select(o => copier.Map[o])).Distinct());
        return part;
    }

    /// <summary>Copies a graph whose inputs are mapped into the algorithm.</summary>
    private PartDescription Part(GraphCopier copier, OnnxModel model, out Dictionary<string, Value> outputs)
    {
        OnnxGraph graph = model.Graph;
        var constants = new List<Value>();
        foreach (Value constant in graph.Initializers)
        {
            var copy = new Value(constant.Name, constant.Type, constant.Shape) { Data = constant.Data };
            copier.Map[constant] = copy;
            constants.Add(copy);
        }
        Node[] nodes = [.. graph.Nodes.Select(copier.Node)];
        (string Name, Value Value)[] named = [.. graph.Outputs.Distinct().Select(o => (o.Name, copier.Map[o]))];
        IReadOnlyList<NamePair> renamed = _names.Add(nodes, constants);
        _algorithm.Initializers.AddRange(constants);
        _algorithm.Nodes.AddRange(nodes);
        outputs = named.ToDictionary(o => o.Name, o => o.Value, StringComparer.Ordinal);
        return new PartDescription
        {
            Opset = model.Opset,
            Outputs = [.. named.Select(o => new NamePair(o.Value.Name, o.Name))],
            Renamed = renamed,
        };
    }

    private Value Label(Value input)
    {
        Value label = new(input.Name, input.Type, input.Shape) { Origin = input.Origin };
        _algorithm.Inputs.Add(label);
        return label;
    }

    /// <summary>The initializer of a tensor. What the host writes before each step is an input with a default, so that a program may
    /// give another value.</summary>
    private Value Held(TensorSlot slot)
    {
        if (_held.TryGetValue(slot.Key, out Value? known)) return known;
        TensorData data = _valueOf(slot);
        Value value = new(_names.Take(slot.Key), slot.Type, Shape.Of(slot.Dimensions)) { Data = data };
        _algorithm.Initializers.Add(value);
        if (slot.IsHostInput) _algorithm.Inputs.Add(value);
        return _held[slot.Key] = value;
    }

    private bool FeedsOptimizer(string output) => _plan.Slots.Any(s =>
        s.UseIn(PlanGraph.Training)?.Output == output && s.UseIn(PlanGraph.Optimizer)?.Input is not null);

    private TrainingInfoProto Iteration(Dictionary<string, Value> updated, Dictionary<string, Value> computed)
    {
        GraphProto algorithm = GraphWriter.Graph(_algorithm);
        // Between the parts, where the file is taken apart again: types are not inferred there.
        var outputs = _algorithm.Outputs.ToHashSet();
        algorithm.ValueInfo.AddRange(computed.Values.Where(v => v.Producer is not null && !outputs.Contains(v)).Distinct()
            .Select(GraphWriter.ValueInfo));
        var info = new TrainingInfoProto { Algorithm = algorithm };
        foreach (TensorSlot slot in _plan.Slots.Where(s => s.IsSaved && _held.ContainsKey(s.Key)))
        {
            Value? value = slot.UseIn(PlanGraph.Optimizer)?.Output is string o ? updated[o]
                : slot.UseIn(PlanGraph.Training)?.Output is string t ? computed[t] : null;
            if (value is not null && value != _held[slot.Key])
                info.UpdateBinding.Add(new StringStringEntryProto { Key = _held[slot.Key].Name, Value = value.Name });
        }
        StartOfTraining.AddTo(info, _plan, _held);
        return info;
    }

    private OnnxModel Whole(int opset)
    {
        OnnxModel[] parts = [_plan.Evaluation, _plan.Training, _plan.OptimizerModel];
        var model = new OnnxModel(_inference)
        {
            IrVersion = Math.Max(FunctionsFromIr, parts.Max(p => p.IrVersion)),
            Origin = _plan.Evaluation.Origin,
        };
        foreach ((string domain, long version) in parts.SelectMany(p => p.Opsets))
            model.Opsets[domain] = Math.Max(version, model.Opsets.TryGetValue(domain, out long known) ? known : 0);
        OnnxFunction[] called = [.. ModelFunctions.CalledBy(_inference.Nodes.Concat(_algorithm.Nodes).Concat(_evaluation.Nodes),
            [.. parts.SelectMany(p => p.Functions).DistinctBy(f => (f.Domain, f.Name, f.Overload))])];
        foreach (OnnxFunction function in called) model.Functions.Add(ModelFunctions.InOpset(function, opset));
        return model;
    }

    /// <summary>Accumulation puts the weight of a batch in its place, so it is the constant that only the training graph has.</summary>
    private string? Seed()
    {
        if (_plan.Find(TensorRole.LossWeight) is null) return null;
        HashSet<string> kept = [.. _plan.Accumulation.Graph.Initializers.Select(i => i.Name)];
        return _plan.Training.Graph.Initializers.First(i => !kept.Contains(i.Name)).Name;
    }

    private static IEnumerable<Value> Outputs(PartDescription part, IReadOnlyList<Value> produced)
    {
        Dictionary<string, Value> byName = produced.DistinctBy(v => v.Name).ToDictionary(v => v.Name, StringComparer.Ordinal);
        return part.Outputs.Where(o => byName.ContainsKey(o.InFile)).Select(o => byName[o.InFile]);
    }

    private static IEnumerable<Value> Produced(OnnxGraph graph) =>
        graph.Inputs.Concat(graph.Initializers).Concat(graph.Nodes.SelectMany(n => n.Outputs).OfType<Value>());

    /// <summary>The nodes that values need.</summary>
    internal static HashSet<Node> Ancestors(IEnumerable<Value> values)
    {
        var found = new HashSet<Node>();
        var work = new Stack<Value>(values);
        while (work.TryPop(out Value? value))
        {
            if (value.Producer is not Node node || !found.Add(node)) continue;
            foreach (Value read in OnnxGraph.ReadBy(node)) work.Push(read);
        }
        return found;
    }
}
