using OrtCpr.Graph.Functions;
using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph;

/// <summary>Turns an exported model into the graphs that train it: load, regularise, attach the loss, classify parameters, differentiate, write the optimizer.</summary>
/// <remarks>Thread-safe: each call works on its own copy.</remarks>
public static class TrainingGraphBuilder
{
    private const string LossName = "loss";

    /// <summary>Builds from a model file; external data are read from its folder.</summary>
    /// <exception cref="OrtCprException">The file, the model or an option is at fault; the message says what to do.</exception>
    public static TrainingGraphs Build(string path, TrainingOptions? options = null) => Build(ModelFile.Load(path), options ?? new TrainingOptions());

    /// <summary>Builds from a model in memory.</summary>
    /// <param name="model">The bytes of an ONNX file without external data.</param>
    /// <param name="options">What to build.</param>
    /// <exception cref="OrtCprException">The model or an option is at fault; the message says what to do.</exception>
    public static TrainingGraphs Build(ReadOnlyMemory<byte> model, TrainingOptions? options = null) => Build(ModelFile.Load(model), options ?? new TrainingOptions());

    /// <summary>Builds from the rest of a stream.</summary>
    /// <param name="model">An ONNX file; left open.</param>
    /// <param name="options">What to build; null for the defaults.</param>
    /// <param name="externalDataFolder">Folder for external data; null where there are none.</param>
    /// <exception cref="OrtCprException">The model or an option is at fault; the message says what to do.</exception>
    public static TrainingGraphs Build(Stream model, TrainingOptions? options = null, string? externalDataFolder = null) =>
        Build(ModelFile.Load(model, externalDataFolder), options ?? new TrainingOptions());

    internal static TrainingGraphs Build(ModelFile file, TrainingOptions options)
    {
        options.Validate();
        return Build(file, options, WeightInitialization.IsNeeded(file) ? WeightInitialization.Draw(file, options.Seed) : new Dictionary<string, TensorData>());
    }

    // `drawn`: weights that the file only describes.
    internal static TrainingGraphs Build(ModelFile file, TrainingOptions options, IReadOnlyDictionary<string, TensorData> drawn)
    {
        (OnnxModel model, HashSet<Value> literals) = Regularise(file, drawn, options.Rules);
        IReadOnlyList<TiedParameter> tied = options.Parameters.TieEqual ? TiedParameters.Tie(model, literals) : [];
        ShapeInference known = InferShapes.Run(model);
        Value[] modelInputs = [.. model.Graph.Inputs], modelOutputs = [.. model.Graph.Outputs];

        var before = model.Graph.Initializers.ToHashSet();
        (Value loss, List<Value> labels) = AttachLoss(model, known, options.Loss);
        FunctionLibrary.Attach(model);
        // The loss's own constants are no parameters of the model.
        literals.UnionWith(model.Graph.Initializers.Where(i => !before.Contains(i)));
        ParameterTable parameters = new ParameterClassifier(model.Graph, loss, options.Rules, options.Parameters, literals).Run();
        List<string> warnings = [.. Warnings(parameters), .. TiedParameters.Warnings(model, parameters, literals)];
        GraphChecker.Check(model, "loss");

        (OnnxModel training, IReadOnlyDictionary<Value, Value> map) = GraphCopier.Copy(model);
        training.Graph.Outputs.Clear();
        training.Graph.Outputs.Add(map[loss]);
        foreach (string name in options.TrainingOutputs.Distinct()) training.Graph.Outputs.Add(map[FindOutput(modelOutputs, name)]);
        IReadOnlyList<RunningStatistic> statistics = TrainingMode.ToTraining(training, options.BatchNormalization, options.UnbiasedRunningVariance);
        bool drops = DropoutMasks.Run(training, options.Dropout);
        Dictionary<string, TensorData> initial = ToInputs(training, parameters.Trained.Select(p => p.Name));
        StartFrom(options.InitialParameters, initial);
        int forward = Differentiate(training, parameters, options);

        OnnxModel accumulation = Accumulating(training, parameters.Trained.Select(p => p.Name));
        OnnxModel evaluation = model;
        TrainingMode.ToEvaluation(evaluation);
        ToInputs(evaluation, parameters.Trained.Select(p => p.Name));
        Dictionary<string, TensorData> initialStatistics = ToInputs(evaluation, statistics.Select(s => s.Name));
        Prepare(evaluation, InferShapes.Again(evaluation));

        ParameterSpec[] specs = [.. parameters.Trained.Select(p => new ParameterSpec(p.Name, p.Type, p.Dimensions, p.Constrained, p.Group))];
        OptimizerGraph optimizer = OptimizerGraph.Build(specs, options.Optimizer, statistics);
        if (optimizer.Constrained.Count == 0 && options.Optimizer.Groups.Any(g => g.Constraint is not null))
            warnings.Add("The optimizer has a constraint, but no trained parameter is constrained: it is plain Adam. Constrain parameters by ParameterOptions.Constrain.");
        warnings.AddRange(options.Optimizer.Warnings());
        return new TrainingGraphs(training, accumulation, evaluation, file)
        {
            LossOutput = LossName,
            BatchInputs = [.. modelInputs.Select(i => Describe(i, false)), .. labels.Select(l => Describe(l, true))],
            ModelOutputs = [.. modelOutputs.Select(o => o.Name)],
            Parameters = parameters,
            Tied = tied,
            InitialParameters = initial,
            InitialStatistics = initialStatistics,
            Optimizer = optimizer,
            NodeCounts = (forward, training.Graph.Nodes.Count),
            Warnings = warnings,
            DrawnWeights = drawn,
            DropoutSeed = drops ? options.Seed : null,
        };
    }

    private static Value FindOutput(Value[] outputs, string name) => outputs.FirstOrDefault(o => o.Name == name)
        ?? throw new OptionException($"{nameof(TrainingOptions.TrainingOutputs)} names '{name}', which is no output of the model. Its outputs: {string.Join(", ", outputs.Select(o => o.Name))}.");

    // One form of everything: no functions, no Constant nodes, opset 18 or later, no half precision.
    internal static (OnnxModel, HashSet<Value> Literals) Regularise(ModelFile file, IReadOnlyDictionary<string, TensorData> drawn, GradientRules? rules = null)
    {
        OnnxModel model = GraphReader.Read(file, drawn);
        model.Opsets.TryAdd("com.microsoft", 1);
        InlineFunctions.Run(model, rules);
        RefuseUnknownDomains(model, file.Name);
        var literals = new HashSet<Value>();
        ConstantsToInitializers.Run(model, literals);
        SparseOperands.Run(model.Graph, literals);
        UpgradeOpset.Run(model);
        TimeFirst.Run(model.Graph);
        MasterWeights.Run(model);
        model.Graph.Sort();
        GraphChecker.Check(model, "regularise");
        return (model, literals);
    }

    private static void RefuseUnknownDomains(OnnxModel model, string name)
    {
        string[] problems = [.. model.Graph.Nodes.Where(n => !model.Opsets.ContainsKey(n.Domain))
            .Select(n => $"node {n.Label}: the domain '{n.Domain}' is not among opset_import, and no function of the model has that name").Distinct()];
        if (problems.Length > 0) ModelFormatException.Throw(name, "uses operators that it neither imports nor defines", problems, "Export it again, or check it with onnx.checker.");
    }

    private static (Value Loss, List<Value> Labels) AttachLoss(OnnxModel model, ShapeInference known, Loss loss)
    {
        var builder = new GraphBuilder(model.Graph, known) { Scope = LossName };
        var context = new LossContext(model.Graph, builder);
        Value value = loss.Attach(context);
        if (value.Name != LossName)
        {
            // An output that is the loss keeps its own name beside ours.
            if (model.Graph.Outputs.Contains(value) || value.Producer is null) value = builder.Identity(value);
            if (model.Names.IsTaken(LossName)) throw new OptionException($"The model has a tensor named '{LossName}' that is not the loss. Rename it in the model, or make it the loss by OutputLoss.");
            builder.Named(value, LossName);
        }
        value.Shape = Shape.Scalar;
        if (!model.Graph.Outputs.Contains(value)) model.Graph.Outputs.Insert(0, value);
        return (value, context.Labels);
    }

    private static List<string> Warnings(ParameterTable parameters)
    {
        if (parameters.Trained.Count == 0)
            throw new OptionException($"The loss depends on no trained parameter. The model's floating initializers:\n{parameters}\nChoose parameters by ParameterOptions.Train, or another loss output.");
        return [.. parameters.All.Where(p => p.Reason == "no path to the loss").Select(p => $"Parameter '{p.Name}' has no path to the loss and is not trained.")];
    }

    // Trained weights and statistics are graph inputs, never live initializers: ONNX Runtime would freeze those when it folds.
    internal static Dictionary<string, TensorData> ToInputs(OnnxModel model, IEnumerable<string> names)
    {
        var wanted = names.ToHashSet(StringComparer.Ordinal);
        var values = new Dictionary<string, TensorData>(StringComparer.Ordinal);
        foreach (Value value in model.Graph.Initializers.Where(i => wanted.Contains(i.Name)))
        {
            values[value.Name] = value.Data!;
            value.Data = null;
            value.Origin = null;
            model.Graph.Inputs.Add(value);
        }
        model.Graph.Initializers.RemoveAll(i => !i.IsInitializer);
        return values;
    }

    // The user's own initial values over those of the file.
    private static void StartFrom(IReadOnlyDictionary<string, TensorData> given, Dictionary<string, TensorData> initial)
    {
        var problems = new List<string>();
        foreach ((string name, TensorData value) in given)
        {
            if (!initial.TryGetValue(name, out TensorData? known)) problems.Add($"'{name}' is no trained parameter of the model");
            else if (!value.Type.IsFloating() || !value.Dimensions.SequenceEqual(known.Dimensions)) problems.Add($"'{name}': expected {known}, found {value}");
            else initial[name] = value.ConvertTo(known.Type);
        }
        OptionException.ThrowIfAny($"{nameof(TrainingOptions.InitialParameters)} do not fit the model", problems);
    }

    internal static void Prepare(OnnxModel model, ShapeInference known)
    {
        if (DissolveSequences.Run(model, known) | WriteOutCaches.Run(model, known)) known = InferShapes.Again(model);
        SimplifyShapes.Run(model, known);
        FoldConstants.Run(model, known);
        SlicesToSplit.Run(model, known);
        HoistSelections.Run(model, known);
        FoldTransposes.Run(model);
        FuseGelu.Run(model);
        MergeEqualNodes.Run(model.Graph);
        RemoveDeadNodes.Run(model.Graph);
        GraphChecker.Check(model, "prepare");
    }

    // Adds the backward graph and one output p_grad a parameter. Returns the number of forward nodes.
    private static int Differentiate(OnnxModel model, ParameterTable parameters, TrainingOptions options)
    {
        OnnxGraph graph = model.Graph;
        Prepare(model, InferShapes.Again(model));
        FuseConv.Run(model);
        FuseBatchNorm.Run(model);
        FuseSoftmax.Run(model);
        ShapeInference known = InferShapes.Again(model);
        int forward = graph.Nodes.Count;
        Value loss = graph.Outputs.First(o => o.Name == LossName);
        var trained = parameters.Trained.ToDictionary(p => p.Name, StringComparer.Ordinal);
        Dictionary<string, Value> sources = graph.Inputs.Where(i => trained.ContainsKey(i.Name)).ToDictionary(i => i.Name, StringComparer.Ordinal);
        var builder = new GraphBuilder(graph, known);
        Value seed = builder.Scalar(1, loss.Type);
        var parametersOfGraph = sources.Values.ToHashSet();
        var backward = new BackwardPass(graph, builder, options.Rules);
        IReadOnlyDictionary<Value, Value> gradients = backward.Run(new Dictionary<Value, Value> { [loss] = seed }, parametersOfGraph);
        foreach (ParameterInfo p in parameters.Trained)
        {
            Value source = sources[p.Name];
            builder.Scope = OptimizerGraph.GradientOf(p.Name);
            Value gradient = gradients.TryGetValue(source, out Value? found) ? found : builder.Filled(0, source);
            AddOutput(builder, gradient, OptimizerGraph.GradientOf(p.Name), source);
        }
        RecomputeActivations.Run(graph, builder, backward.ForwardNodes, parametersOfGraph, backward.Totals, options.Recompute);
        MergeEqualNodes.Run(graph);
        RemoveDeadNodes.Run(graph);
        EarlyGradients(graph);
        FunctionLibrary.Attach(model);
        GraphChecker.Check(model, "differentiate");
        return forward;
    }

    // ONNX Runtime runs what the last of the nodes that nobody reads needs, then what the one before it needs, and so on. Weight gradients, in the order in
    // which the way back writes them, would so all come after it, with every activation and its gradient still in memory; turned round, each comes as soon
    // as its operands are there.
    private static void EarlyGradients(OnnxGraph graph)
    {
        var read = graph.Nodes.SelectMany(OnnxGraph.ReadBy).ToHashSet();
        ILookup<bool, Node> nodes = graph.Nodes.ToLookup(n => n.Outputs.Any(o => o is not null && read.Contains(o)));
        Node[] order = [.. nodes[true], .. nodes[false].Reverse()];
        graph.Nodes.Clear();
        graph.Nodes.AddRange(order);
    }

    // Names a value as an output; what is an output or an input already gets an Identity.
    internal static Value AddOutput(GraphBuilder builder, Value value, string name, Value like)
    {
        OnnxGraph graph = builder.Graph;
        if (value.Producer is null || graph.Outputs.Contains(value)) value = builder.Identity(value);
        graph.Outputs.Add(GraphBuilder.Like(builder.Named(value, name), like));
        return value;
    }

    internal static OnnxModel Accumulating(OnnxModel training, IEnumerable<string> trained)
    {
        OnnxModel model = GraphCopier.Copy(training).Model;
        OnnxGraph graph = model.Graph;
        var builder = new GraphBuilder(graph);
        var pairs = new List<(string, string)>();
        Dictionary<string, Value> outputs = graph.Outputs.Distinct().ToDictionary(o => o.Name, StringComparer.Ordinal);
        (string Name, Value Gradient, Value Buffer)[] all = [.. trained.Select(p => (p, outputs[OptimizerGraph.GradientOf(p)]))
            .Select(p => (p.p, p.Item2, graph.AddInput(TrainingGraphs.BufferOf(p.p), p.Item2.Type, p.Item2.Shape)))];
        Value reset = graph.AddInput(TrainingGraphs.ResetInput, ElementType.Bool, Shape.Of(1));
        var gone = new HashSet<Value>();
        foreach ((string p, Value gradient, Value buffer) in all)
        {
            builder.Scope = TrainingGraphs.AccumulatedOf(p);
            // The buffer may hold anything before a reset, so it is selected away, not multiplied by 0. Both operations are element by element, so the
            // sum may be written over the buffer; the flag has rank 1, which a scalar gradient must not take over.
            Value flag = gradient.Shape!.Rank == 0 ? builder.Squeeze(reset, 0) : reset;
            Value old = builder.Where(flag, builder.Scalar(0, gradient.Type), buffer);
            Value sum = GraphBuilder.Like(builder.Add(old, gradient), gradient);
            gone.Add(gradient);
            graph.Outputs.Add(builder.Named(sum, TrainingGraphs.AccumulatedOf(p)));
            pairs.Add((buffer.Name, sum.Name));
        }
        graph.Outputs.RemoveAll(gone.Contains);
        GraphChecker.Check(model, "accumulate");
        InPlaceRule.Check(model, pairs);
        return model;
    }

    internal static BatchInput Describe(Value input, bool label) => new(input.Name, input.Type, input.Shape?.Select(d => d.ToString()).ToArray(), label);
}
