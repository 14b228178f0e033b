using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph.Optimizers;

/// <summary>
/// Writes the optimizer graph: gradient norm and guard, one node a parameter, rows of constraint state put together again, statistics
/// committed. Knows no link: what a link needs stands in its slots.
/// </summary>
internal sealed partial class OptimizerGraphBuilder
{
    private const int Opset = 18;

    private readonly IReadOnlyList<ParameterSpec> _parameters;
    private readonly OptimizerOptions _options;
    private readonly IReadOnlyList<RunningStatistic> _statistics;
    private readonly PlanSlots _slots;
    private readonly LossScaling? _scaling;
    private readonly ElementType _type;
    private readonly OnnxModel _model = OnnxModel.Create("optimizer", Opset);
    private readonly GraphBuilder _g;
    private readonly Dictionary<ParameterSpec, int> _indices = [];
    private readonly Dictionary<ParameterSpec, UpdateDefinition> _definitions = [];
    private readonly Dictionary<string, Value> _parameterInputs = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Value> _gradientInputs = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Value> _groupScalars = new(StringComparer.Ordinal);
    private readonly List<(Value Input, Value Output)> _inPlace = [];

    /// <param name="parameters">What is trained.</param>
    /// <param name="options">Rules by group and global settings.</param>
    /// <param name="statistics">Running statistics to commit with each applied step.</param>
    /// <param name="slots">The table of the job, to which the optimizer's tensors are added.</param>
    /// <param name="scaling">How the loss is scaled; null where it is not.</param>
    /// <exception cref="OptionException">An option is out of range, a group does not exist, or types are mixed.</exception>
    public OptimizerGraphBuilder(
        IReadOnlyList<ParameterSpec> parameters, OptimizerOptions options, IReadOnlyList<RunningStatistic> statistics, PlanSlots slots,
        LossScaling? scaling = null)
    {
        options.Validate();
        Refuse(parameters, options);
        _parameters = parameters;
        _options = options.Resolve();
        _statistics = statistics;
        _slots = slots;
        _scaling = scaling;
        for (int i = 0; i < parameters.Count; i++)
        {
            _indices[parameters[i]] = i;
            _definitions[parameters[i]] = UpdateDefinition.Of(_options.Groups[parameters[i].Group], parameters[i]);
        }
        _type = parameters[0].Type;
        _model.Opsets[OperatorDefinition.Domain] = 1;
        _g = new GraphBuilder(_model.Graph);
    }

    /// <summary>Writes the graph, checks it and fills the table.</summary>
    public OptimizerGraph Build()
    {
        foreach (ParameterSpec p in _parameters) _parameterInputs[p.Name] = Input(p.Name, p.Type, p.Dimensions);
        foreach (ParameterSpec p in _parameters) _gradientInputs[p.Name] = Gradient(p);
        foreach (string name in _options.ScheduledScalars(_parameters)) _groupScalars[name] = GroupScalar(name);
        Value scale = HostInput(TensorRole.GradientScale, "gradient_scale", _type, []);
        Value present = HostInput(TensorRole.GradientPresent, "gradient_present", ElementType.Bool, [_parameters.Count]);

        if (_scaling is not null) scale = Unscaled(scale);
        (scale, Value? finite, Value? norm) = NormAndGuard(scale, present);
        Value apply = finite is null ? present : _g.And(present, finite);
        Value step = AddInput("step", ElementType.Int64, [_parameters.Count]);
        _g.Scope = "step";
        Value newStep = _g.Term(step) + _g.Cast(apply, ElementType.Int64);
        IReadOnlyList<RowState> rows = RowState.Of(_parameters, _definitions, name => _model.Graph.AddInput(name, _type, null), _type);
        Keep(step, newStep, "step", "step", [.. _parameters.Select(p => p.Name)], null);

        OptimizerGraphContext context = Context(scale, finite, present, rows);
        var updated = new Dictionary<string, Value>(StringComparer.Ordinal);
        for (int i = 0; i < _parameters.Count; i++) updated[_parameters[i].Name] = UpdateNode(i, context, rows, newStep, apply);
        OnnxModel? initialization = _options.Rescaling is null ? null : Rescale(updated, apply);
        foreach (ParameterSpec p in _parameters)
        {
            Value output = Output(updated[p.Name], _parameterInputs[p.Name]);
            List<TensorUse> uses = [new(PlanGraph.Optimizer, _parameterInputs[p.Name].Name, output.Name)];
            if (initialization is not null && RescaleWeights.AppliesTo(p))
            {
                uses.Add(new(PlanGraph.Initialization, p.Name, UpdatedOf(p.Name)));
            }
            _slots.AddOwn(TensorRole.Parameter, p.Name, p.Type, p.Dimensions, uses);
        }
        foreach (RowState state in rows)
        {
            _g.Scope = "cpr";
            Keep(state.Input, _g.Concat(0, [.. state.Updated]), state.Name, state.Kind, state.Owners, state.Initial);
        }
        Value applied = finite ?? _g.Constant(TensorData.From<bool>([true], 1));
        foreach (RunningStatistic s in _statistics) Commit(s, applied);
        if (finite is not null) CountSkipped(finite);
        if (_scaling is not null) UpdateLossScale(_scaling, finite!);
        Report(TensorRole.StepApplied, "step_applied", finite ?? _g.Identity(applied), ElementType.Bool);
        if (norm is not null) Report(TensorRole.GradientNorm, "grad_norm", norm, _type);
        RemoveDeadNodes.Run(_model.Graph);
        GraphChecker.Check(_model, "optimizer");
        CheckInPlace();
        return new OptimizerGraph(_model, initialization, _options, _type);
    }

    private static void Refuse(IReadOnlyList<ParameterSpec> parameters, OptimizerOptions options)
    {
        var problems = new List<string>();
        if (options.LayerDecay is not null)
            problems.Add($"{nameof(OptimizerOptions.LayerDecay)} is set, but there is no model whose layers it could go by");
        foreach (ParameterSpec p in parameters)
        {
            if (p.Type is not (ElementType.Float or ElementType.Double))
                problems.Add($"parameter '{p.Name}' is {p.Type}; expected Float or Double");
            if (p.Group < 0 || p.Group >= options.Groups.Length)
            {
                problems.Add($"parameter '{p.Name}' is in group {p.Group}; expected 0 to {options.Groups.Length - 1} (the rules in "
                    + "OptimizerOptions.Groups)");
            }
        }
        if (parameters.Select(p => p.Type).Distinct().Count() > 1)
        {
            problems.Add("parameters are of several types; expected all Float or all Double");
        }
        foreach (string name in parameters.GroupBy(p => p.Name).Where(n => n.Count() > 1).Select(n => n.Key))
            problems.Add($"parameter '{name}' is given twice");
        if (parameters.Count == 0) problems.Add("there are no parameters; expected at least one");
        OptionException.ThrowIfAny("The optimizer cannot be built", problems);
    }

    // Looks into every function body. Parameters of one kind have equal nodes, so two of each stand for all.
    private void CheckInPlace()
    {
        ParameterSpec[] some = [.. _parameters.GroupBy(p => (p.Group, _definitions[p].Name)).SelectMany(kind => kind.Take(2))];
        if (some.Length < _parameters.Count)
        {
            RunningStatistic[] few = [.. _statistics.Take(2)];
            new OptimizerGraphBuilder(some, _options with { TotalSteps = null }, few,
                new PlanSlots(some.Select(p => p.Name).Concat(few.Select(s => s.Name))), _scaling).Build();
            return;
        }
        InPlaceRule.Check(_model, [.. _inPlace.Select(p => (p.Input.Name, p.Output.Name))]);
    }

    private OptimizerGraphContext Context(Value scale, Value? finite, Value present, IReadOnlyList<RowState> rows) => new()
    {
        Builder = _g,
        Parameter = p => _parameterInputs[p.Name],
        Gradient = p => _gradientInputs[p.Name],
        GroupScalar = name => _groupScalars[name],
        LearningRate = _groupScalars[UpdateRule.LearningRateScalar],
        Ones = _g.Constant(GraphBuilder.FloatVector(_type, [.. Enumerable.Repeat(1.0, _options.Groups.Length)])),
        RowOf = (name, p) => rows.First(r => r.Name == name).RowOf(p),
        GradientScale = scale,
        Applied = finite,
        ParametersOf = link => [.. _parameters.Where(p => _definitions[p].Links.Contains(link))],
        Norm = tensors => NormOf(tensors, present),
        SharedState = name => AddInput(name, _type, [1]),
        SetSharedState = KeepShared,
    };

    // The name in the graph is whatever is free there; the table knows it.
    private Value AddInput(string wanted, ElementType type, IReadOnlyList<long> dims) =>
        _model.Graph.AddInput(wanted, type, Shape.Of(dims));

    private Value Input(string name, ElementType type, IReadOnlyList<long> dims) => AddInput(name, type, dims);

    private Value Gradient(ParameterSpec p)
    {
        Value input = AddInput(GradientOf(p.Name), p.Type, p.Dimensions);
        _slots.Add(new TensorSlot(GradientOf(p.Name), TensorRole.Gradient, p.Name, p.Type,
            p.Dimensions)
        { Uses = [new(PlanGraph.Optimizer, input.Name)] });
        return input;
    }

    private Value GroupScalar(string name)
    {
        Value input = AddInput(name, _type, [_options.Groups.Length]);
        _slots.Add(new TensorSlot(name, TensorRole.GroupScalar, null, _type, [_options.Groups.Length])
        {
            Kind = name,
            Uses = [new(PlanGraph.Optimizer, input.Name)],
        });
        return input;
    }

    private Value HostInput(TensorRole role, string name, ElementType type, IReadOnlyList<long> dims)
    {
        Value input = AddInput(name, type, dims);
        _slots.Add(new TensorSlot(name, role, null, type, dims) { Uses = [new(PlanGraph.Optimizer, input.Name)] });
        return input;
    }

    // State with rows: what the graph reads as one tensor and writes as one.
    private void Keep(Value input, Value value, string key, string kind, IReadOnlyList<string> owners, TensorData? initial)
    {
        Value output = Output(value, input);
        _slots.Add(new TensorSlot(key, TensorRole.Rows, null, input.Type, [.. input.Shape!.Sizes!])
        {
            Kind = kind,
            Rows = owners,
            Initial = initial,
            Uses = [new(PlanGraph.Optimizer, input.Name, output.Name)],
        });
    }

    private void KeepShared(Value input, Value value)
    {
        Value output = Output(value, input);
        _slots.Add(new TensorSlot(input.Name, TensorRole.Shared, null, input.Type, [.. input.Shape!.Sizes!])
        {
            Kind = input.Name,
            Uses = [new(PlanGraph.Optimizer, input.Name, output.Name)],
        });
    }

    private void CountSkipped(Value finite)
    {
        Value skipped = AddInput(SkippedSteps, ElementType.Int64, [1]);
        _g.Scope = SkippedSteps;
        Value output = Output(_g.Term(skipped) + _g.Cast(_g.Not(finite), ElementType.Int64), skipped);
        _slots.Add(new TensorSlot(SkippedSteps, TensorRole.Shared, null, ElementType.Int64, [1])
        {
            Kind = SkippedSteps,
            Uses = [new(PlanGraph.Optimizer, skipped.Name, output.Name)],
        });
    }

    private void Report(TensorRole role, string name, Value value, ElementType type)
    {
        value = _g.Named(value, name);
        _model.Graph.Outputs.Add(value);
        _slots.Add(new TensorSlot(name, role, null, type, [1]) { Uses = [new(PlanGraph.Optimizer, null, value.Name)] });
    }

    private Value Output(Value value, Value input)
    {
        GraphBuilder.Like(_g.Named(value, UpdatedOf(input.Name)), input);
        _model.Graph.Outputs.Add(value);
        _inPlace.Add((input, value));
        return value;
    }

    // norm = |scale|·√Σ‖g‖² over the gradients that are present; the step counts as finite when the norm is.
    private (Value Scale, Value? Finite, Value? Norm) NormAndGuard(Value scale, Value present)
    {
        if (!_options.NonFiniteGuard && _options.MaxGradientNorm <= 0) return (scale, null, null);
        Value norm = NormOf(_parameters.Select(p => (p, _gradientInputs[p.Name])), present);
        _g.Scope = "grad_norm";
        norm = _g.Term(norm) * _g.Abs(scale);
        Value? finite = _options.NonFiniteGuard ? _g.Less(norm, _g.Scalar(double.PositiveInfinity, _type)) : null;
        if (_options.MaxGradientNorm > 0)
        {
            Value factor = _g.Min(_g.Scalar(1, _type), _options.MaxGradientNorm / (_g.Term(norm) + 1e-6));
            scale = _g.Term(scale) * _g.Squeeze(factor, 0);
        }
        return (scale, finite, norm);
    }

    // Global L2 norm [1] over tensors of the parameters that are present in this step.
    private Value NormOf(IEnumerable<(ParameterSpec Parameter, Value Tensor)> tensors, Value present)
    {
        var parts = new List<Value>();
        var indices = new List<long>();
        foreach ((ParameterSpec parameter, Value tensor) in tensors)
        {
            _g.Scope = tensor.Name;
            parts.Add(SquaredNormOf(tensor));
            indices.Add(_indices[parameter]);
        }
        _g.Scope = "norm";
        Value takesPart = indices.Count == _parameters.Count ? present : _g.Gather(present, _g.Ints([.. indices]));
        Value squares = _g.Where(takesPart, _g.Concat(0, [.. parts]), _g.Scalar(0, _type));
        return _g.Sqrt(_g.ReduceSum(squares, true));
    }

    private Value SquaredNormOf(Value tensor) => GraphBuilder.Typed(Call(SquaredNorm.Definition, [tensor])[0], _type, Shape.Of(1));

    private Value UpdateNode(int index, OptimizerGraphContext context, IReadOnlyList<RowState> rows, Value step, Value apply)
    {
        ParameterSpec p = _parameters[index];
        UpdateDefinition definition = _definitions[p];
        UpdateRule rule = _options.Groups[p.Group];
        var states = new Dictionary<string, Value>(StringComparer.Ordinal);
        foreach (LinkSlot slot in definition.Slots.Where(s => s.Slot.Role == SlotRole.State))
            states[slot.Name] = AddInput($"{p.Name}.{slot.Name}", p.Type, p.Dimensions);
        var passed = new Dictionary<string, Func<Value>>(StringComparer.Ordinal)
        {
            ["parameter"] = () => _parameterInputs[p.Name],
            ["gradient"] = () => _gradientInputs[p.Name],
            ["step"] = () => step,
            ["parameter_index"] = () => _g.Int(index),
            ["learning_rate"] = () => context.LearningRate,
            ["group_index"] = () => _g.Int(p.Group),
            ["gradient_scale"] = () => rule.Maximize ? _g.Neg(context.GradientScale) : context.GradientScale,
            ["apply"] = () => apply,
        };
        foreach ((string name, Value state) in states) passed[name] = () => state;
        foreach (LinkSlot slot in definition.Slots.Where(s => s.Slot.Role != SlotRole.State))
        {
            passed[slot.Name] = () => Pass(slot, context, p, rows);
        }
        Value[] inputs = [.. definition.Inputs.Select(s => passed[s.Name]())];
        _g.Scope = p.Name;
        Term[] results = Call(definition, inputs);
        for (int i = 0; i < results.Length; i++)
        {
            OperatorSlot slot = definition.Outputs[i];
            if (slot.Role == SlotRole.State) KeepState(p, slot.Name, states[slot.Name], results[i]);
            else if (slot.Role == SlotRole.ConstraintState) rows.First(r => r.Kind == slot.Name).Updated.Add(results[i]);
        }
        return results[0];
    }

    private Value Pass(LinkSlot slot, OptimizerGraphContext context, ParameterSpec p, IReadOnlyList<RowState> rows) =>
        slot.Constant is not null ? _g.Constant(slot.Constant)
        : slot.Rows is not null ? rows.First(r => r.Name == slot.Rows).Input
        : slot.Pass!(context, p);

    private void KeepState(ParameterSpec p, string kind, Value input, Value value)
    {
        Value output = Output(value, input);
        _slots.Add(new TensorSlot($"{p.Name}.{kind}", TensorRole.State, p.Name, p.Type, p.Dimensions)
        {
            Kind = kind,
            Uses = [new(PlanGraph.Optimizer, input.Name, output.Name)],
        });
    }

    private Term[] Call(OperatorDefinition definition, IReadOnlyList<Value> inputs)
    {
        if (_model.Functions.All(f => f.Name != definition.Name)) _model.Functions.Add(definition.ToFunction(_type, Opset));
        return definition.Call(_g, inputs);
    }

    // Multiplies all weights by N0 / ‖weights‖ after the step. The norm N0 is state; the initialisation graph sets it.
    private OnnxModel Rescale(Dictionary<string, Value> updated, Value apply)
    {
        ParameterSpec[] weights = [.. _parameters.Where(RescaleWeights.AppliesTo)];
        Value target = AddInput(RescalingNorm, _type, [1]);
        _g.Scope = "rescaling";
        Value any = _g.Greater(_g.Op("ReduceMax", [_g.Cast(apply, ElementType.Int32)], ("keepdims", 1)), _g.Constant(TensorData.Scalar(0)));
        Value norm = _g.Sqrt(_g.ReduceSum(_g.Concat(0, [.. weights.Select(w => SquaredNormOf(updated[w.Name]))]), true));
        Value factor = _g.Squeeze(_g.Where(any, _g.Term(target) / norm, _g.Scalar(1, _type)), 0);
        foreach (ParameterSpec w in weights) updated[w.Name] = GraphBuilder.Like(_g.Mul(updated[w.Name], factor), updated[w.Name]);
        (OnnxModel start, string output) = _options.Rescaling!.Initialization(weights, _type, Opset);
        _slots.Add(new TensorSlot(RescalingNorm, TensorRole.Shared, null, _type, [1])
        {
            Kind = RescalingNorm,
            Uses = [new(PlanGraph.Optimizer, target.Name), new(PlanGraph.Initialization, null, output)],
        });
        return start;
    }

    // committed ← applied ? pending : committed, then pending ← committed. The Identity keeps the second write after the reads of both.
    private void Commit(RunningStatistic s, Value applied)
    {
        Value committed = AddInput(s.Name, s.Type, s.Dimensions), pending = AddInput(PendingOf(s.Name), s.Type, s.Dimensions);
        _g.Scope = s.Name;
        Value value = Output(_g.Where(applied, pending, committed), committed);
        Value copy = Output(_g.Identity(value), pending);
        _slots.AddOwn(TensorRole.Statistic, s.Name, s.Type, s.Dimensions, new TensorUse(PlanGraph.Optimizer, committed.Name, value.Name));
        _slots.Add(new TensorSlot(PendingOf(s.Name), TensorRole.PendingStatistic, s.Name, s.Type, s.Dimensions)
        {
            Uses = [new(PlanGraph.Optimizer, pending.Name, copy.Name), new(PlanGraph.Training, s.Pending, s.Updated),
                new(PlanGraph.Accumulation, s.Pending, s.Updated)],
        });
    }

    private const string RescalingNorm = "rescaling.norm";

    /// <summary>Kind of the state that counts steps skipped since a gradient was not finite, int64 [1].</summary>
    internal const string SkippedSteps = "skipped_steps";

    /// <summary>The wanted name of a parameter's gradient, which is also its key to the user.</summary>
    internal static string GradientOf(string parameter) => $"{parameter}_grad";

    /// <summary>The wanted name of the output with the new value of a tensor.</summary>
    internal static string UpdatedOf(string name) => $"{name}.updated";

    /// <summary>The wanted name of a statistic that is not committed yet.</summary>
    internal static string PendingOf(string statistic) => $"{statistic}.pending";
}
