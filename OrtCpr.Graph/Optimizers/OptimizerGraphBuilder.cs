using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph.Optimizers;

// Writes the optimizer graph: gradient norm and guard, one node a parameter, λ/κ/detector put together again, statistics committed.
internal sealed class OptimizerGraphBuilder
{
    public const string Domain = "ortcpr";
    private const int Opset = 18;

    private readonly IReadOnlyList<ParameterSpec> _parameters;
    private readonly OptimizerOptions _options;
    private readonly IReadOnlyList<RunningStatistic> _statistics;
    private readonly ElementType _type;
    private readonly OnnxModel _model = OnnxModel.Create("optimizer", Opset);
    private readonly GraphBuilder _g;
    private readonly Dictionary<string, OnnxFunction> _functions = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Value> _inputs = new(StringComparer.Ordinal);
    private readonly List<StateTensor> _state = [];
    private readonly Dictionary<ParameterSpec, int> _indices = [];

    public OptimizerGraphBuilder(IReadOnlyList<ParameterSpec> parameters, OptimizerOptions options, IReadOnlyList<RunningStatistic> statistics)
    {
        options.Validate();
        _parameters = parameters;
        _options = options.Resolve();
        _statistics = statistics;
        var problems = new List<string>();
        foreach (ParameterSpec p in parameters)
        {
            if (p.Type is not (ElementType.Float or ElementType.Double)) problems.Add($"parameter '{p.Name}' is {p.Type}; expected Float or Double");
            if (p.Group < 0 || p.Group >= options.Groups.Length) problems.Add($"parameter '{p.Name}' is in group {p.Group}; expected 0 to {options.Groups.Length - 1} (the rules in OptimizerOptions.Groups)");
        }
        if (parameters.Select(p => p.Type).Distinct().Count() > 1) problems.Add("parameters are of several types; expected all Float or all Double");
        foreach (string name in parameters.GroupBy(p => p.Name).Where(n => n.Count() > 1).Select(n => n.Key)) problems.Add($"parameter '{name}' is given twice");
        if (parameters.Count == 0) problems.Add("there are no parameters; expected at least one");
        OptionException.ThrowIfAny("The optimizer cannot be built", problems);
        for (int i = 0; i < parameters.Count; i++) _indices[parameters[i]] = i;
        _type = parameters[0].Type;
        _model.Opsets[Domain] = 1;
        _g = new GraphBuilder(_model.Graph);
    }

    public OptimizerGraph Build()
    {
        ParameterSpec[] constrained = [.. _parameters.Where(IsConstrained)];
        List<(string Name, IReadOnlyList<double> Values)> schedulable = Schedulable();
        foreach (ParameterSpec p in _parameters) Input(p.Name, p.Type, p.Dimensions);
        foreach (ParameterSpec p in _parameters) Input(OptimizerGraph.GradientOf(p.Name), p.Type, p.Dimensions);
        foreach ((string name, _) in schedulable) Input(name, _type, [_options.Groups.Length]);
        Value scale = Input(OptimizerGraph.GradientScaleInput, _type, []);
        Value present = Input(OptimizerGraph.GradientPresentInput, ElementType.Bool, [_parameters.Count]);

        (scale, Value? finite, Value? norm) = NormAndGuard(scale, present);
        Value apply = finite is null ? present : _g.And(present, finite);
        Value step = State("step", ElementType.Int64, [_parameters.Count], null);
        _g.Scope = "step";
        Value newStep = Output(_g.Add(step, _g.Cast(apply, ElementType.Int64)), "step");

        int n = constrained.Length;
        OptimizerGraphContext context = new()
        {
            Builder = _g,
            Input = name => _inputs[name],
            GradientScale = scale,
            Applied = finite,
            ParametersOf = link => [.. _parameters.Where(p => link.AppliesTo(p) && RuleOf(p).Links.Contains(link))],
            Norm = tensors => NormOf(tensors, present),
            SharedState = name => State(_model.Graph.Names.IsTaken(name) ? _model.Graph.Names.Unique(name) : name, _type, [1], null),
            SetSharedState = (state, value) => Output(value, state.Name),
            Ones = _g.Constant(GraphBuilder.FloatVector(_type, [.. Enumerable.Repeat(1.0, _options.Groups.Length)])),
            Lambda = n == 0 ? step : State("cpr.lambda", _type, [n], null),
            Kappa = n == 0 ? step : State("cpr.kappa", _type, [n], InitialKappa(constrained)),
            Detector = n == 0 ? step : State("cpr.detector", _type, [n, 4], InitialDetector(constrained)),
        };
        var updated = new Dictionary<string, Value>(StringComparer.Ordinal);
        List<Value> lambdas = [], kappas = [], detectors = [];
        for (int i = 0; i < _parameters.Count; i++)
        {
            Dictionary<string, Value> results = UpdateNode(i, context, newStep, apply, scale);
            updated[_parameters[i].Name] = results["parameter"];
            if (!results.TryGetValue("lambda", out Value? lambda)) continue;
            lambdas.Add(lambda);
            kappas.Add(results["kappa"]);
            detectors.Add(results["detector"]);
            context.MatrixIndex++;
        }
        OnnxModel? initialization = _options.Rescaling is null ? null : Rescale(updated, apply);
        foreach (ParameterSpec p in _parameters) Output(updated[p.Name], p.Name);
        if (n > 0)
        {
            _g.Scope = "cpr";
            Output(_g.Concat(0, [.. lambdas]), "cpr.lambda");
            Output(_g.Concat(0, [.. kappas]), "cpr.kappa");
            Output(_g.Concat(0, [.. detectors]), "cpr.detector");
        }
        Value applied = finite ?? _g.Constant(TensorData.From<bool>([true], 1));
        foreach (RunningStatistic s in _statistics) Commit(s, applied);
        if (finite is not null)
        {
            Value skipped = State(OptimizerGraph.SkippedStepsState, ElementType.Int64, [1], null);
            _g.Scope = OptimizerGraph.SkippedStepsState;
            Output(_g.Add(skipped, _g.Cast(_g.Not(finite), ElementType.Int64)), OptimizerGraph.SkippedStepsState);
        }
        AddOutput(finite is null ? _g.Identity(applied) : finite, OptimizerGraph.StepAppliedOutput);
        if (norm is not null) AddOutput(norm, OptimizerGraph.GradientNormOutput);
        RemoveDeadNodes.Run(_model.Graph);
        GraphChecker.Check(_model, "optimizer");
        CheckInPlace();
        return new OptimizerGraph(_model, initialization)
        {
            Parameters = _parameters,
            Constrained = [.. constrained.Select(p => p.Name)],
            Options = _options,
            State = _state,
            Statistics = _statistics,
            Schedulable = schedulable,
            Type = _type,
        };
    }

    // Looks into every function body. Parameters of one kind have equal nodes, so two of each stand for all.
    private void CheckInPlace()
    {
        ParameterSpec[] some = [.. _parameters.GroupBy(p => (p.Group, FunctionOf(p))).SelectMany(kind => kind.Take(2))];
        if (some.Length < _parameters.Count)
        {
            new OptimizerGraphBuilder(some, _options, [.. _statistics.Take(2)]).Build();
            return;
        }
        InPlaceRule.Check(_model, [.. _state.Where(s => s.Updated is not null).Select(s => (s.Name, s.Updated!)), .. _parameters.Select(p => (p.Name, OptimizerGraph.UpdatedOf(p.Name))),
            .. _statistics.SelectMany(s => new[] { (s.Name, OptimizerGraph.UpdatedOf(s.Name)), (s.Pending, OptimizerGraph.UpdatedOf(s.Pending)) })]);
    }

    private UpdateRule RuleOf(ParameterSpec p) => _options.Groups[p.Group];

    // The name of its update operator.
    private string FunctionOf(ParameterSpec p)
    {
        UpdateLink[] links = [.. RuleOf(p).Links.Where(l => l.AppliesTo(p))];
        return string.Concat(links.Select(l => l.Tag(p))) + (links.Any(l => l.State.Contains("max_exp_avg_sq")) ? "_amsgrad" : "");
    }

    private bool IsConstrained(ParameterSpec p) => RuleOf(p).Constraint?.AppliesTo(p) == true;

    // learning_rate, and what links of any group schedule; groups without that link hold 0.
    private List<(string Name, IReadOnlyList<double> Values)> Schedulable()
    {
        List<(string, IReadOnlyList<double>)> all = [(OptimizerGraph.LearningRateInput, [.. _options.Groups.Select(g => g.LearningRate)])];
        foreach (string name in _options.Groups.SelectMany(g => g.Links).Where(l => _parameters.Any(l.AppliesTo)).SelectMany(l => l.Schedulable).Select(s => s.Name).Distinct())
            all.Add((name, [.. _options.Groups.Select(g => g.Links.SelectMany(l => l.Schedulable).FirstOrDefault(s => s.Name == name).Value)]));
        return all;
    }

    private Value Input(string name, ElementType type, IReadOnlyList<long> dims) => _inputs[name] = _model.Graph.AddInput(name, type, Shape.Of(dims));

    private Value State(string name, ElementType type, IReadOnlyList<long> dims, TensorData? initial)
    {
        _state.Add(new StateTensor(name, OptimizerGraph.UpdatedOf(name), type, dims, initial));
        return Input(name, type, dims);
    }

    private Value Output(Value value, string state)
    {
        Value input = _inputs[state];
        value = AddOutput(value, OptimizerGraph.UpdatedOf(state));
        return GraphBuilder.Like(value, input);
    }

    private Value AddOutput(Value value, string name)
    {
        _g.Named(value, name);
        _model.Graph.Outputs.Add(value);
        return value;
    }

    // norm = |scale|·√Σ‖g‖² over the gradients that are present; the step counts as finite when the norm is.
    private (Value Scale, Value? Finite, Value? Norm) NormAndGuard(Value scale, Value present)
    {
        if (!_options.NonFiniteGuard && _options.MaxGradientNorm <= 0) return (scale, null, null);
        Value norm = NormOf(_parameters.Select(p => (p, _inputs[OptimizerGraph.GradientOf(p.Name)])), present);
        _g.Scope = "grad_norm";
        norm = _g.Mul(norm, _g.Abs(scale));
        Value? finite = _options.NonFiniteGuard ? _g.Less(norm, _g.Scalar(double.PositiveInfinity, _type)) : null;
        if (_options.MaxGradientNorm > 0)
        {
            Value factor = _g.Min(_g.Scalar(1, _type), _g.Div(_options.MaxGradientNorm, _g.Add(norm, 1e-6)));
            scale = _g.Mul(scale, _g.Squeeze(factor, 0));
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
            parts.Add(GraphBuilder.Typed(Call("SquaredNorm", [tensor], SquaredNormBody)[0], _type, Shape.Of(1)));
            indices.Add(_indices[parameter]);
        }
        _g.Scope = "norm";
        Value takesPart = indices.Count == _parameters.Count ? present : _g.Gather(present, _g.Ints([.. indices]));
        Value squares = _g.Where(takesPart, _g.Concat(0, [.. parts]), _g.Scalar(0, _type));
        return _g.Sqrt(_g.ReduceSum(squares, true));
    }

    private static void SquaredNormBody(GraphBuilder g, IReadOnlyList<Value> inputs, OnnxGraph body) =>
        body.Outputs.Add(g.Named(g.Unsqueeze(g.SumInBlocks(g.Mul(inputs[0], inputs[0])), 0), "squared_norm"));

    private Dictionary<string, Value> UpdateNode(int index, OptimizerGraphContext context, Value step, Value apply, Value scale)
    {
        ParameterSpec p = _parameters[index];
        UpdateRule rule = RuleOf(p);
        UpdateLink[] links = [.. rule.Links.Where(l => l.AppliesTo(p))];
        var shape = Shape.Of(p.Dimensions);
        var signature = new List<(LinkInput Input, Value Passed)>();
        void Pass(string name, ElementType type, Shape s, Value passed) => signature.Add((new LinkInput(name, type, s, _ => passed), passed));

        Pass("parameter", p.Type, shape, _inputs[p.Name]);
        Pass("gradient", p.Type, shape, _inputs[OptimizerGraph.GradientOf(p.Name)]);
        string[] states = [.. links.SelectMany(l => l.State)];
        foreach (string state in states) Pass(state, p.Type, shape, State($"{p.Name}.{state}", p.Type, p.Dimensions, null));
        Pass("step", ElementType.Int64, new Shape(Dim.Unknown), step);
        Pass("parameter_index", ElementType.Int64, Shape.Scalar, _g.Int(index));
        Pass("learning_rate", p.Type, new Shape(Dim.Unknown), context.Input(OptimizerGraph.LearningRateInput));
        Pass("group_index", ElementType.Int64, Shape.Scalar, _g.Int(p.Group));
        Pass("gradient_scale", p.Type, Shape.Scalar, rule.Maximize ? _g.Neg(scale) : scale);
        Pass("apply", ElementType.Bool, new Shape(Dim.Unknown), apply);
        foreach (LinkInput input in links.SelectMany(l => l.Inputs(p))) signature.Add((input, input.Pass(context)));

        bool constrained = links.Any(l => l is ConstrainNorm);
        string[] outputs = ["parameter", .. states, .. constrained ? ["lambda", "kappa", "detector"] : Array.Empty<string>()];
        _g.Scope = p.Name;
        Value[] results = Call(FunctionOf(p), [.. signature.Select(s => s.Passed)],
            (g, _, body) => UpdateFunctionBody(g, body, links, states, outputs), [.. signature.Select(s => s.Input.Name)], outputs.Length);
        for (int i = 0; i <= states.Length; i++) GraphBuilder.Typed(results[i], p.Type, shape);
        for (int i = 0; i < states.Length; i++) Output(results[i + 1], $"{p.Name}.{states[i]}");
        return outputs.Zip(results).ToDictionary(r => r.First, r => r.Second, StringComparer.Ordinal);
    }

    private void UpdateFunctionBody(GraphBuilder g, OnnxGraph graph, UpdateLink[] links, string[] states, string[] outputs)
    {
        var body = new UpdateBody(g, [.. graph.Inputs], _type);
        bool stepped = false;
        foreach (UpdateLink link in links)
        {
            // What constrains works on the new parameter; everything before it shapes the step.
            if (link is ConstrainNorm)
            {
                body.TakeStep();
                stepped = true;
            }
            link.Emit(body);
        }
        if (!stepped) body.TakeStep();
        g.Scope = "";
        foreach (string output in outputs)
        {
            Value value = output == "parameter" ? body.Select(body.Parameter, body.In("parameter"))
                : states.Contains(output) ? body.Select(body.NewState[output], body.In(output))
                : body.NewState[output];
            graph.Outputs.Add(g.Named(value, OptimizerGraph.UpdatedOf(output)));
        }
    }

    private Value[] Call(string name, IReadOnlyList<Value> inputs, Action<GraphBuilder, IReadOnlyList<Value>, OnnxGraph> write, IReadOnlyList<string>? inputNames = null, int outputs = 1)
    {
        if (!_functions.ContainsKey(name))
        {
            var body = new OnnxGraph(name, new NameAuthority());
            for (int i = 0; i < inputs.Count; i++) body.AddInput(inputNames?[i] ?? $"input{i}", inputs[i].Type, null);
            var g = new GraphBuilder(body);
            write(g, [.. body.Inputs], body);
            RemoveDeadNodes.Run(body);
            var function = new OnnxFunction(Domain, name, body);
            function.Opsets[""] = Opset;
            _functions[name] = function;
            _model.Functions.Add(function);
        }
        return [.. _g.Ops($"{Domain}.{name}", outputs, [.. inputs])];
    }

    private TensorData InitialKappa(ParameterSpec[] constrained) =>
        GraphBuilder.FloatVector(_type, [.. constrained.Select(p => RuleOf(p).Constraint is { KappaInitMethod: KappaInitMethod.Uniform } c ? c.UniformKappa(p.ElementCount) : double.NaN)]);

    private TensorData InitialDetector(ParameterSpec[] constrained) => GraphBuilder.Reshaped(
        GraphBuilder.FloatVector(_type, [.. constrained.SelectMany(p => new[] { 0.0, 0, 0, RuleOf(p).Constraint!.KappaInitMethod == KappaInitMethod.Uniform ? 1 : 0 })]),
        constrained.Length, 4);

    // Multiplies all weights by N0 / ‖weights‖ after the step. The norm N0 is state; the initialisation graph sets it.
    private OnnxModel Rescale(Dictionary<string, Value> updated, Value apply)
    {
        ParameterSpec[] weights = [.. _parameters.Where(RescaleWeights.AppliesTo)];
        _state.Add(new StateTensor("rescaling.norm", null, _type, [1]));
        Value target = Input("rescaling.norm", _type, [1]);
        _g.Scope = "rescaling";
        Value any = _g.Greater(_g.Op("ReduceMax", [_g.Cast(apply, ElementType.Int32)], ("keepdims", 1)), _g.Constant(TensorData.Scalar(0)));
        Value norm = Norm(_g, weights.Select(w => updated[w.Name]));
        Value factor = _g.Squeeze(_g.Where(any, _g.Div(target, norm), _g.Scalar(1, _type)), 0);
        foreach (ParameterSpec w in weights) updated[w.Name] = GraphBuilder.Like(_g.Mul(updated[w.Name], factor), updated[w.Name]);

        OnnxModel start = OnnxModel.Create("optimizer_initialization", Opset);
        start.Opsets[Domain] = 1;
        start.Functions.Add(_functions["SquaredNorm"]);
        var g = new GraphBuilder(start.Graph);
        var scaled = new List<Value>();
        foreach (ParameterSpec w in weights)
        {
            Value p = start.Graph.AddInput(w.Name, w.Type, Shape.Of(w.Dimensions));
            Value s = g.Named(g.Mul(p, _options.Rescaling!.Alpha), OptimizerGraph.UpdatedOf(w.Name));
            scaled.Add(s);
            start.Graph.Outputs.Add(s);
        }
        Value n0 = g.Named(g.Reshape(Norm(g, scaled), 1), OptimizerGraph.UpdatedOf("rescaling.norm"));
        start.Graph.Outputs.Add(n0);
        GraphChecker.Check(start, "optimizer initialisation");
        return start;
    }

    private Value Norm(GraphBuilder g, IEnumerable<Value> values)
    {
        Value[] squares = [.. values.Select(v => GraphBuilder.Typed(g == _g ? Call("SquaredNorm", [v], SquaredNormBody)[0] : g.Op($"{Domain}.SquaredNorm", [v]), _type, Shape.Of(1)))];
        return g.Sqrt(g.ReduceSum(g.Concat(0, squares), true));
    }

    // committed ← applied ? pending : committed, then pending ← committed. The Identity keeps the second write behind the reads of both.
    private void Commit(RunningStatistic s, Value applied)
    {
        Value committed = Input(s.Name, s.Type, s.Dimensions), pending = Input(s.Pending, s.Type, s.Dimensions);
        _g.Scope = s.Name;
        Value value = _g.Where(applied, pending, committed);
        Output(value, s.Name);
        Output(_g.Identity(value), s.Pending);
    }
}
