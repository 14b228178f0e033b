using System.Text.Json;
using OrtCpr.Graph.Building;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.OnnxTraining;

/// <summary>Takes a model with <c>training_info</c> that <see cref="TrainingInfoWriter"/> wrote apart into the graphs of a plan, under
/// the names that they had there.</summary>
internal sealed class TrainingInfoReader
{
    /// <summary>A changed model of a thousand tensors should not print a thousand lines.</summary>
    private const int Listed = 20;

    private readonly ModelFile _file;
    private readonly TrainingInfoDescription _description;
    private readonly OnnxModel _iteration, _loss;

    private TrainingInfoReader(ModelFile file, TrainingInfoDescription description)
    {
        _file = file;
        _description = description;
        _iteration = GraphReader.Read(file.With(Combined(file.Proto, file.Proto.TrainingInfo[0])));
        _loss = GraphReader.Read(file.With(Combined(file.Proto, file.Proto.TrainingInfo[1])));
    }

    /// <summary>The plan, with every tensor at the value that the file has.</summary>
    /// <param name="path">The file.</param>
    /// <param name="job">What the driver that wrote it added; null where a plan was written.</param>
    /// <exception cref="FileAccessException">The file is missing or can't be read.</exception>
    /// <exception cref="ModelFormatException">It is no model, has no training_info, or has one that cannot be taken apart.</exception>
    public static TrainingPlan Read(string path, out string? job)
    {
        var file = ModelFile.Load(path);
        TrainingInfoDescription description = Describe(file);
        job = description.Job;
        try
        {
            return new TrainingInfoReader(file, description).Plan();
        }
        catch (Exception error) when (error is KeyNotFoundException or InvalidOperationException or ArgumentException)
        {
            // The description contradicts itself, which nobody but a hand can have made.
            throw new ModelFormatException($"Model '{path}': the metadata entry '{TrainingInfoDescription.MetadataKey}' does not describe "
                + $"the graphs of the file: {error.Message} Write the file again.", error);
        }
    }

    private TrainingPlan Plan()
    {
        RefuseMissing();
        PlanDescription plan = _description.Plan;
        TensorSlot[] slots = [.. plan.Slots.Select(s => s.IsSaved && _description.Initializers.ContainsKey(s.Key)
            ? s with { Initial = Value(s.Key) } : s)];
        OnnxModel training = Part(_iteration, _description.Training, "training", Inputs(slots, PlanGraph.Training, labels: true));
        OnnxModel optimizer = Part(_iteration, _description.Optimizer, "optimizer", Inputs(slots, PlanGraph.Optimizer, labels: false));
        OnnxModel evaluation = Part(_loss, _description.Evaluation, "evaluation", Inputs(slots, PlanGraph.Evaluation, labels: true));
        Dictionary<string, string> gradients = slots.Where(s => s.Role == TensorRole.Gradient)
            .ToDictionary(s => s.Owner!, s => s.UseIn(PlanGraph.Training)!.Output!, StringComparer.Ordinal);
        string? weight = slots.FirstOrDefault(s => s.Role == TensorRole.LossWeight)?.UseIn(PlanGraph.Training)?.Output;
        AccumulationGraph accumulation = AccumulationGraph.Of(training, gradients, _description.Seed, weight);
        plan = plan with { Slots = [.. slots.Select(s => s with { Uses = Uses(s, accumulation) })] };
        var models = new Dictionary<PlanGraph, OnnxModel>
        {
            [PlanGraph.Training] = training,
            [PlanGraph.Accumulation] = accumulation.Model,
            [PlanGraph.Evaluation] = evaluation,
            [PlanGraph.Optimizer] = optimizer,
        };
        return plan.ToPlan(models, Source(), Value);
    }

    /// <summary>The names of the graph that is made anew need not be those of the one that was not written.</summary>
    private static TensorUse[] Uses(TensorSlot slot, AccumulationGraph accumulation)
    {
        TensorUse? use = slot.Role switch
        {
            TensorRole.Gradient => accumulation.Uses[slot.Owner!],
            TensorRole.ResetFlag => new(PlanGraph.Accumulation, accumulation.Reset),
            TensorRole.LossWeight => accumulation.Weight,
            TensorRole.WeighBatches => new(PlanGraph.Accumulation, accumulation.Weigh),
            _ => slot.UseIn(PlanGraph.Training) is TensorUse u ? u with { Graph = PlanGraph.Accumulation } : null,
        };
        return [.. slot.Uses.Where(u => u.Graph != PlanGraph.Accumulation), .. use is null ? [] : new[] { use }];
    }

    private TensorData Value(string key) =>
        Initializer(key)?.Data ?? throw Broken([$"expected an initializer for the tensor '{key}'; found none."]);

    private Value? Initializer(string key) => _description.Initializers.TryGetValue(key, out string? name)
        ? _iteration.Graph.Initializers.FirstOrDefault(i => i.Name == name) : null;

    /// <summary>What a graph reads from outside: its name there, and the value that stands for it in the file.</summary>
    private List<(string Name, string InFile, ElementType Type, Shape? Shape)> Inputs(TensorSlot[] slots, PlanGraph graph, bool labels)
    {
        var inputs = new List<(string, string, ElementType, Shape?)>();
        OnnxModel combined = graph == PlanGraph.Evaluation ? _loss : _iteration;
        if (labels)
        {
            Dictionary<string, Value> fed = combined.Graph.Inputs.ToDictionary(i => i.Name, StringComparer.Ordinal);
            foreach (BatchInput input in _description.Plan.BatchInputs)
            {
                if (fed.TryGetValue(input.Name, out Value? value)) inputs.Add((input.Name, input.Name, value.Type, value.Shape));
            }
        }
        Dictionary<string, string> computed = _description.Training.Outputs.ToDictionary(o => o.InGraph, o => o.InFile,
            StringComparer.Ordinal);
        foreach (TensorSlot slot in slots)
        {
            if (slot.UseIn(graph)?.Input is not string name) continue;
            string? inFile = graph == PlanGraph.Optimizer && slot.UseIn(PlanGraph.Training)?.Output is string output ? computed[output]
                : _description.Initializers.GetValueOrDefault(slot.Key);
            if (inFile is not null) inputs.Add((name, inFile, slot.Type, Shape.Of(slot.Dimensions)));
        }
        return inputs;
    }

    /// <summary>The nodes between inputs and outputs, as a graph of its own.</summary>
    private static OnnxModel Part(OnnxModel combined, PartDescription part, string name,
        List<(string Name, string InFile, ElementType Type, Shape? Shape)> inputs)
    {
        var names = new NameAuthority();
        var graph = new OnnxGraph(name, names);
        var copier = new GraphCopier(names);
        Dictionary<string, Value> values = Values(combined.Graph);
        foreach ((string own, string inFile, ElementType type, Shape? shape) in inputs)
        {
            Value from = values[inFile], input = new(own, type, shape);
            names.Take(own);
            copier.Map[from] = input;
            graph.Inputs.Add(input);
        }
        HashSet<Node> needed = Between(part.Outputs.Select(o => values[o.InFile]), copier.Map.Keys.ToHashSet());
        HashSet<Value> read = [.. needed.SelectMany(OnnxGraph.ReadBy), .. part.Outputs.Select(o => values[o.InFile])];
        Dictionary<string, string> owns = part.Renamed.ToDictionary(r => r.InFile, r => r.InGraph, StringComparer.Ordinal);
        foreach (Value constant in combined.Graph.Initializers.Where(i => read.Contains(i) && !copier.Map.ContainsKey(i)))
        {
            Value copy = new(owns.GetValueOrDefault(constant.Name, constant.Name), constant.Type, constant.Shape) { Data = constant.Data };
            names.Take(copy.Name);
            copier.Map[constant] = copy;
            graph.Initializers.Add(copy);
        }
        Value[] mapped = [.. copier.Map.Values];
        foreach (Node node in combined.Graph.Nodes.Where(needed.Contains)) graph.Nodes.Add(copier.Node(node));
        foreach (Value made in copier.Map.Values.Except(mapped))
        {
            made.Name = owns.GetValueOrDefault(made.Name, made.Name);
            names.Take(made.Name);
        }
        graph.Outputs.AddRange(part.Outputs.Select(o => copier.Map[values[o.InFile]]));
        var model = new OnnxModel(graph) { IrVersion = combined.IrVersion };
        foreach ((string domain, long version) in combined.Opsets) model.Opsets[domain] = domain.Length == 0 ? part.Opset : version;
        foreach (OnnxFunction function in ModelFunctions.CalledBy(graph.Nodes, [.. combined.Functions]))
            model.Functions.Add(ModelFunctions.InOpset(function, part.Opset));
        return model;
    }

    private static HashSet<Node> Between(IEnumerable<Value> outputs, HashSet<Value> boundary)
    {
        var found = new HashSet<Node>();
        var work = new Stack<Value>(outputs);
        while (work.TryPop(out Value? value))
        {
            if (boundary.Contains(value) || value.Producer is not Node node || !found.Add(node)) continue;
            foreach (Value read in OnnxGraph.ReadBy(node)) work.Push(read);
        }
        return found;
    }

    private static Dictionary<string, Value> Values(OnnxGraph graph) => graph.Inputs.Concat(graph.Initializers)
        .Concat(graph.Nodes.SelectMany(n => n.Outputs).OfType<Value>()).DistinctBy(v => v.Name)
        .ToDictionary(v => v.Name, StringComparer.Ordinal);

    /// <summary>The file as a model to export: the inference graph and the functions that it calls.</summary>
    private ModelFile Source()
    {
        ModelProto proto = WithoutTraining(_file.Proto);
        proto.Graph = _file.Proto.Graph.Clone();
        HashSet<string> called = [.. ModelFunctions.CalledBy(GraphReader.Read(_file.With(proto)).Graph.Nodes, [.. _iteration.Functions])
            .Select(f => $"{f.Domain}.{f.Name}.{f.Overload}")];
        foreach (FunctionProto function in proto.Functions.Where(f => !called.Contains($"{f.Domain}.{f.Name}.{f.Overload}")).ToArray())
            proto.Functions.Remove(function);
        foreach (StringStringEntryProto entry in proto.MetadataProps.Where(m => m.Key == TrainingInfoDescription.MetadataKey).ToArray())
            proto.MetadataProps.Remove(entry);
        return _file.With(proto);
    }

    /// <summary>What the standard says is run: the lists of the inference graph, and behind each that of the algorithm.</summary>
    internal static ModelProto Combined(ModelProto model, TrainingInfoProto info)
    {
        ModelProto combined = WithoutTraining(model);
        GraphProto graph = model.Graph.Clone(), algorithm = (info.Algorithm ?? new GraphProto()).Clone();
        graph.Input.AddRange(algorithm.Input);
        graph.Initializer.AddRange(algorithm.Initializer);
        graph.SparseInitializer.AddRange(algorithm.SparseInitializer);
        graph.Node.AddRange(algorithm.Node);
        graph.Output.AddRange(algorithm.Output);
        graph.ValueInfo.AddRange(algorithm.ValueInfo);
        combined.Graph = graph;
        return combined;
    }

    private static ModelProto WithoutTraining(ModelProto model)
    {
        ModelProto copy = model.WithoutGraph();
        copy.Functions.AddRange(model.Functions);
        return copy;
    }

    private static TrainingInfoDescription Describe(ModelFile file)
    {
        string? json = file.Proto.MetadataProps.FirstOrDefault(m => m.Key == TrainingInfoDescription.MetadataKey)?.Value;
        if (json is null || file.Proto.TrainingInfo.Count < 2)
        {
            throw new ModelFormatException($"Model '{file.Name}' {(file.Proto.TrainingInfo.Count == 0 ? "has no training_info"
                : "has a training_info that OrtCpr did not write")}: expected one iteration and one evaluation, and the metadata entry "
                + $"'{TrainingInfoDescription.MetadataKey}' that says how they come apart; found {file.Proto.TrainingInfo.Count} "
                + $"training_info and {(json is null ? "no such entry" : "the entry")}. Train the model itself, with a loss and an "
                + "optimizer: a training_info that only initializes weights is used there.");
        }
        try
        {
            TrainingInfoDescription? description = JsonSerializer.Deserialize(json, TrainingInfoJson.Default.TrainingInfoDescription);
            if (description?.FormatVersion == TrainingInfoDescription.Version) return description;
            throw new ModelFormatException($"Model '{file.Name}' has training_info of format version {description?.FormatVersion}; this "
                + $"version of OrtCpr reads {TrainingInfoDescription.Version}. Use the version that wrote it, or a newer one.");
        }
        catch (Exception error) when (error is JsonException or NotSupportedException)
        {
            throw new ModelFormatException($"Model '{file.Name}': the metadata entry '{TrainingInfoDescription.MetadataKey}' is damaged: "
                + $"{error.Message} Write the file again.", error);
        }
    }

    /// <summary>A file that another program has changed may lack what the description names.</summary>
    private void RefuseMissing()
    {
        var problems = new List<string>();
        Dictionary<string, Value> iteration = Values(_iteration.Graph), loss = Values(_loss.Graph);
        void Check(IEnumerable<NamePair> outputs, Dictionary<string, Value> values, string where) =>
            problems.AddRange(outputs.Where(o => !values.ContainsKey(o.InFile))
                .Select(o => $"expected a value '{o.InFile}' in {where}; found none."));
        Check(_description.Training.Outputs.Concat(_description.Optimizer.Outputs), iteration, "the training iteration");
        Check(_description.Evaluation.Outputs, loss, "the evaluation");
        foreach (TensorSlot slot in _description.Plan.Slots)
        {
            if (!_description.Initializers.ContainsKey(slot.Key)) continue;
            if (Initializer(slot.Key)?.Data is not TensorData data)
            {
                problems.Add($"expected an initializer '{_description.Initializers[slot.Key]}' for the tensor '{slot.Key}'; found none.");
            }
            else if (data.Type != slot.Type || !data.Dimensions.SequenceEqual(slot.Dimensions))
            {
                problems.Add($"expected '{_description.Initializers[slot.Key]}' to be {slot.Type}[{string.Join(',', slot.Dimensions)}]; "
                    + $"found {data}.");
            }
        }
        if (problems.Count > 0) throw Broken(problems);
    }

    private ModelFormatException Broken(IReadOnlyList<string> problems) => new(
        $"Model '{_file.Name}' has a training_info that does not belong to its description: {string.Join(' ', problems.Take(Listed))}"
        + $"{(problems.Count > Listed ? $" … and {problems.Count - Listed} more." : "")} Write the file again, or use it as it was "
        + "written.");
}
