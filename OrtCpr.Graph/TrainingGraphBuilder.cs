using OrtCpr.Graph.Building;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph;

/// <summary>Turns an exported model into the graphs that train it: load, regularise, attach the loss, classify
/// parameters, differentiate, write the optimizer.</summary>
/// <remarks>Thread-safe: each call works on its own copy.</remarks>
public static class TrainingGraphBuilder
{
    /// <summary>Builds from a model file with the default options; external data are read from its folder.</summary>
    /// <param name="path">The model file.</param>
    /// <exception cref="OrtCprException">The file or the model is at fault; the message says what to do.</exception>
    public static TrainingPlan Build(string path) => Build(path, null);

    /// <summary>Builds from a model file; external data are read from its folder.</summary>
    /// <param name="path">The model file.</param>
    /// <param name="options">What to build; null for the defaults.</param>
    /// <exception cref="OrtCprException">The file, the model or an option is at fault; the message says what to do.</exception>
    public static TrainingPlan Build(string path, TrainingOptions? options) =>
        Build(ModelFile.Load(path), options ?? new TrainingOptions());

    /// <summary>Builds from a model in memory with the default options.</summary>
    /// <param name="model">The bytes of an ONNX file without external data.</param>
    /// <exception cref="OrtCprException">The model is at fault; the message says what to do.</exception>
    public static TrainingPlan Build(ReadOnlyMemory<byte> model) => Build(model, null);

    /// <summary>Builds from a model in memory.</summary>
    /// <param name="model">The bytes of an ONNX file without external data.</param>
    /// <param name="options">What to build; null for the defaults.</param>
    /// <exception cref="OrtCprException">The model or an option is at fault; the message says what to do.</exception>
    public static TrainingPlan Build(ReadOnlyMemory<byte> model, TrainingOptions? options) =>
        Build(ModelFile.Load(model), options ?? new TrainingOptions());

    /// <summary>Builds from the rest of a stream.</summary>
    /// <param name="model">An ONNX file; left open.</param>
    /// <param name="options">What to build; null for the defaults.</param>
    /// <param name="externalDataFolder">Folder for external data; null where there are none.</param>
    /// <exception cref="OrtCprException">The model or an option is at fault; the message says what to do.</exception>
    public static TrainingPlan Build(Stream model, TrainingOptions? options = null, string? externalDataFolder = null) =>
        Build(ModelFile.Load(model, externalDataFolder), options ?? new TrainingOptions());

    internal static TrainingPlan Build(ModelFile file, TrainingOptions options)
    {
        options.Validate();
        return Build(file, options, WeightInitialization.IsNeeded(file) ? WeightInitialization.Draw(file, options.Seed)
            : new Dictionary<string, TensorData>());
    }

    /// <summary><c>drawn</c>: weights that the file only describes.</summary>
    internal static TrainingPlan Build(ModelFile file, TrainingOptions options, IReadOnlyDictionary<string, TensorData> drawn)
    {
        file.Mended(SeparateStatistics.Run(file.Proto, n => TrainingMode.Trains(n, options.BatchNormalization)));
        return OpenedModel.Build(file, drawn, options.Rules, options.FreeBatch ? options.BatchAxes : null,
            opened => Build(file, options, drawn, opened));
    }

    private static TrainingPlan Build(ModelFile file, TrainingOptions options, IReadOnlyDictionary<string, TensorData> drawn,
        OpenedModel opened)
    {
        (OnnxModel model, ShapeInference known, string? fixedBatch, _) = opened;
        IReadOnlyList<TiedParameter> tied = options.Parameters.TieEqual ? TiedParameters.Tie(model) : [];
        Value[] modelInputs = [.. model.Graph.Inputs], modelOutputs = [.. model.Graph.Outputs];
        AttachedLoss loss = AttachedLoss.To(model, known, options.Loss, () => OpenedModel.NamesIn(file, drawn));
        ParameterTable parameters =
            new ParameterClassifier(model.Graph, loss.Value, options.Rules, options.Parameters, options.Optimizer,
                model.Graph.Initializers.Where(i => i.Place is not null)).Run();
        RefuseUntrainable(parameters);
        if (options.Optimizer.LayerDecay is not null)
        {
            (parameters, OptimizerOptions byLayer) = LayerDepths.Grouped(model.Graph, parameters, options.Optimizer);
            options = options with { Optimizer = byLayer };
        }
        options.RefusePrecision(parameters.Trained[0].Type);
        List<string> warnings =
            [.. file.Repairs, .. loss.Warnings, .. Unreached(parameters), .. TiedParameters.Warnings(model, parameters)];
        if (fixedBatch is not null) warnings.Add(fixedBatch);
        GraphChecker.Check(model, "loss");

        ForwardGraph forward =
            ForwardGraph.Of(model, loss.Value, loss.Weight, options,
                [loss.Figures, .. loss.Weight is null ? Array.Empty<Value>() : [loss.Weight],
                    .. options.TrainingOutputs.Distinct().Select(n => FindOutput(modelOutputs, n))]);
        string[] trained = [.. parameters.Trained.Select(p => p.Name)];
        Dictionary<string, TensorData> initial = WeightsToInputs.Run(forward.Model, trained);
        StartFrom(options.InitialParameters, initial);
        RefuseNotFinite(parameters, initial);
        DifferentiatedGraph training = DifferentiatedGraph.Of(forward.Model, loss.Value.Name, parameters, options);
        AccumulationGraph accumulation = AccumulationGraph.Of(training.Model, training.Gradients, training.Seed, loss.Weight?.Name);
        (OnnxModel evaluation, Dictionary<string, TensorData> statistics) = ToEvaluation(model, trained, forward.Statistics);

        ParameterSpec[] specs = [
            .. parameters.Trained.Select(p => new ParameterSpec(p.Name, p.Type, p.Dimensions, p.Constrained, p.Group))];
        var slots = new PlanSlots(trained.Concat(forward.Statistics.Select(s => s.Name)));
        OptimizerGraph optimizer = new OptimizerGraphBuilder(specs, options.Optimizer, forward.Statistics, slots,
            training.LossScale is null ? null : options.LossScaling).Build();
        AddUses(slots, trained, training, accumulation, evaluation, statistics, initial);
        AddLoss(slots, loss, accumulation, specs[0].Type, forward.DropoutKey?.Name);
        warnings.AddRange(ConstraintWarnings(parameters, options.Optimizer));
        return new TrainingPlan(slots.All, () => file)
        {
            TrainingModel = training.Model,
            AccumulationModel = accumulation.Model,
            EvaluationModel = evaluation,
            OptimizerModel = optimizer.Model,
            InitializationModel = optimizer.Initialization,
            Trained = specs,
            Optimizer = optimizer.Options,
            Type = optimizer.Type,
            Precision = options.Precision,
            LossOutput = loss.Value.Name,
            LossTerms = loss.Terms,
            LossFigures = loss.Figures.Name,
            LossIsSum = loss.IsSum,
            LossTermsDivideDifferently = loss.IsMixed,
            BatchInputs = [.. modelInputs.Select(i => Describe(i, false)), .. loss.Labels.Select(l => Describe(l, true))],
            ModelOutputs = [.. modelOutputs.Select(o => o.Name)],
            Parameters = parameters,
            Tied = tied,
            InitialParameters = initial,
            InitialStatistics = statistics,
            NodeCounts = (training.ForwardNodes, training.Model.Graph.Nodes.Count),
            Warnings = warnings,
            FixedBatch = fixedBatch,
            BatchAxes = options.BatchAxes,
            DrawnWeights = drawn,
            DropoutSeed = forward.DropoutKey is null ? null : options.Seed,
        };
    }

    internal static BatchInput Describe(Value input, bool label) => new()
    {
        Name = input.Name,
        Type = input.Type,
        Dimensions = input.Shape?.Select(d => d.ToString()).ToArray(),
        IsLabel = label,
    };

    /// <summary>Which tensors of the optimizer the training graphs read and write. Inputs of all graphs have the names
    /// of the model's tensors.</summary>
    private static void AddUses(
        PlanSlots slots, string[] trained, DifferentiatedGraph training, AccumulationGraph accumulation, OnnxModel evaluation,
        Dictionary<string, TensorData> statistics, Dictionary<string, TensorData> initial)
    {
        foreach (string p in trained)
        {
            foreach (PlanGraph graph in new[] { PlanGraph.Training, PlanGraph.Accumulation, PlanGraph.Evaluation })
                slots.Use(TensorRole.Parameter, p, new TensorUse(graph, p));
            slots.Use(TensorRole.Gradient, p, new TensorUse(PlanGraph.Training, null, training.Gradients[p]));
            slots.Use(TensorRole.Gradient, p, accumulation.Uses[p]);
            slots.Start(TensorRole.Parameter, p, initial[p]);
        }
        foreach (PlanGraph graph in training.LossScale is null ? [] : new[] { PlanGraph.Training, PlanGraph.Accumulation })
        {
            (string input, string output) = training.LossScale!.Value;
            slots.Use(TensorRole.Shared, null, new TensorUse(graph, input), OptimizerGraphBuilder.LossScale);
            slots.Use(TensorRole.GradientLossScale, null, new TensorUse(graph, null, output));
        }
        foreach (Value input in evaluation.Graph.Inputs.Where(i => statistics.ContainsKey(i.Name)))
        {
            slots.Use(TensorRole.Statistic, input.Name, new TensorUse(PlanGraph.Evaluation, input.Name));
            slots.Start(TensorRole.Statistic, input.Name, statistics[input.Name]);
            slots.Start(TensorRole.PendingStatistic, input.Name, statistics[input.Name]);
        }
        slots.Add(new TensorSlot(AccumulationGraph.ResetFlag, TensorRole.ResetFlag, null, ElementType.Bool, [1])
        {
            Uses = [new(PlanGraph.Accumulation, accumulation.Reset)],
        });
    }

    private static void AddLoss(
        PlanSlots slots, AttachedLoss loss, AccumulationGraph accumulation, ElementType type, string? dropoutKey)
    {
        TensorUse[] Written(string name) => [new(PlanGraph.Training, null, name), new(PlanGraph.Accumulation, null, name)];
        slots.Add(new TensorSlot(loss.Value.Name, TensorRole.Loss, null, type, []) { Uses = Written(loss.Value.Name) });
        if (loss.Weight is Value weight)
        {
            slots.Add(new TensorSlot(weight.Name, TensorRole.LossWeight, null, type, [2])
            {
                Uses = [new(PlanGraph.Training, null, weight.Name), accumulation.Weight!],
            });
            slots.Add(new TensorSlot(accumulation.Weigh!, TensorRole.WeighBatches, null, ElementType.Bool, [1])
            {
                Uses = [new(PlanGraph.Accumulation, accumulation.Weigh)],
            });
        }
        if (dropoutKey is null) return;
        slots.Add(new TensorSlot(dropoutKey, TensorRole.DropoutKey, null, ElementType.Int32, [DropoutMasks.KeyLength])
        {
            Uses = [new(PlanGraph.Training, dropoutKey), new(PlanGraph.Accumulation, dropoutKey)],
        });
    }

    private static (OnnxModel Model, Dictionary<string, TensorData> Statistics) ToEvaluation(
        OnnxModel model, IEnumerable<string> trained, IReadOnlyList<RunningStatistic> statistics)
    {
        TrainingMode.ToEvaluation(model);
        WeightsToInputs.Run(model, trained);
        Dictionary<string, TensorData> initial = WeightsToInputs.Run(model, statistics.Select(s => s.Name));
        PrepareGraph.Run(model, InferShapes.Again(model));
        return (model, initial);
    }

    private static IEnumerable<string> ConstraintWarnings(ParameterTable parameters, OptimizerOptions options)
    {
        if (parameters.Constrained.Count == 0 && options.Groups.Any(g => g.Constraint is not null))
        {
            yield return "The optimizer has a constraint, but no trained parameter is constrained: it is plain Adam. "
                + "Constrain parameters by ParameterOptions.Constrain.";
        }
        foreach (string warning in options.Warnings()) yield return warning;
    }

    private static void RefuseUntrainable(ParameterTable parameters)
    {
        if (parameters.Trained.Count > 0) return;
        throw new OptionException($"The loss depends on no trained parameter. The model's floating initializers:\n{parameters}\n"
            + "Choose parameters by ParameterOptions.Train, or another loss output.");
    }

    private static IEnumerable<string> Unreached(ParameterTable parameters) => parameters.All
        .Where(p => p.Reason.StartsWith(GradientReach.NoPath, StringComparison.Ordinal))
        .Select(p => p.Reason == GradientReach.NoPath ? $"Parameter '{p.Name}' has no path to the loss and is not trained."
            : $"Parameter '{p.Name}' is not trained: {p.Reason[(GradientReach.NoPath.Length + 2)..]}. Straight through "
                + "(GradientRules.StraightThrough, --straight-through) lets Round, Floor and Ceil pass it.");

    private static Value FindOutput(Value[] outputs, string name) => outputs.FirstOrDefault(o => o.Name == name)
        ?? throw new OptionException($"{nameof(TrainingOptions.TrainingOutputs)} names '{name}', which is no output of the model. "
            + $"Its outputs: {string.Join(", ", outputs.Select(o => o.Name))}.");

    /// <summary>A start from which no step leads anywhere: gradients and bounds of it are no numbers.</summary>
    private static void RefuseNotFinite(ParameterTable parameters, Dictionary<string, TensorData> initial)
    {
        string[] problems =
        [
            .. parameters.Trained.Where(p => !initial[p.Name].IsFinite())
                .Select(p => $"'{p.Name}' holds NaN or an infinity; expected finite numbers"),
            .. parameters.Constrained.Where(p => initial[p.Name].IsFinite() && initial[p.Name].SquaresOverflow())
                .Select(p => $"'{p.Name}' is bounded, but the sum of its squares is beyond the largest float32 number"),
        ];
        OptionException.ThrowIfAny("Parameters cannot be trained from their start values; freeze them (ParameterOptions.Freeze), or give "
            + "others", problems);
    }

    /// <summary>The user's own initial values over those of the file.</summary>
    private static void StartFrom(IReadOnlyDictionary<string, TensorData> given, Dictionary<string, TensorData> initial)
    {
        var problems = new List<string>();
        foreach ((string name, TensorData value) in given)
        {
            if (!initial.TryGetValue(name, out TensorData? known)) problems.Add($"'{name}' is no trained parameter of the model");
            else if (!value.Type.IsFloating() || !value.Dimensions.SequenceEqual(known.Dimensions))
                problems.Add($"'{name}': expected {known}, found {value}");
            else initial[name] = value.ConvertTo(known.Type);
        }
        OptionException.ThrowIfAny($"{nameof(TrainingOptions.InitialParameters)} do not fit the model", problems);
    }
}
