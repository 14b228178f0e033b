using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Optimizers;

/// <summary>Constrained parameter regularisation (Franke et al., NeurIPS 2024): keeps R(θ) ≤ κ by a Lagrange multiplier λ that is updated every
/// step. The last link of a rule; it works on the parameter that the links before it made.</summary>
/// <remarks>λ ← max(0, λ + μ·(R(θ) − κ)), θ ← θ − s·λ·∇R(θ), with μ divided by the number of elements except for Std, and s = lr when
/// <see cref="RegularizeByLearningRate"/> is set, else 1.</remarks>
public sealed record ConstrainNorm : UpdateLink
{
    /// <summary>The measure R. Default L2.</summary>
    public Regularizer Regularizer { get; init; } = Regularizer.L2;

    /// <summary>How κ is found. Default InflectionPoint; where that stands with its defaults and the run is known to be shorter than 1600 steps
    /// (<see cref="OptimizerOptions.TotalSteps"/>, or the length of a fit), a warm start at a fifth of the run takes its place.</summary>
    public KappaInitMethod KappaInitMethod { get; init; } = KappaInitMethod.InflectionPoint;

    /// <summary>Uniform: κ itself, at least 0. Dependent: factor, above 0. WarmStart: whole steps, at least 1 (default: twice the learning-rate warm-up where
    /// <see cref="OptimizerOptions.WarmupSteps"/> names one, the paper's rule of thumb, else 1000). InflectionPoint: not used.</summary>
    public double? KappaInitParam { get; init; }

    /// <summary>Rate μ of the multiplier, at least 0. Default 1. (The package calls it <c>kappa_update</c>.)</summary>
    public double KappaUpdate { get; init; } = 1;

    /// <summary>Multiplies the constraint's step by the learning rate. Default off.</summary>
    public bool RegularizeByLearningRate { get; init; }

    /// <summary>AdaCPR (paper, appendix D): κ ← R when an update takes λ from above 0 to 0. Default off.</summary>
    public bool Adaptive { get; init; }

    /// <summary>Unit of the bound of Uniform. Default Sum.</summary>
    public KappaScale KappaScale { get; init; } = KappaScale.Sum;

    /// <summary>Where R and ∇R are taken. Default Updated.</summary>
    public EvaluateAt EvaluateAt { get; init; } = EvaluateAt.Updated;

    /// <summary>InflectionPoint: steps between samples of R, at least 1. Default: a tenth of the learning-rate warm-up where
    /// <see cref="OptimizerOptions.WarmupSteps"/> names one, else 200. (The package's <c>reg_step_size</c>.)</summary>
    public long? SampleInterval { get; init; }

    /// <summary>InflectionPoint: decay of the running average over samples, in [0, 1); 0 for none (default). (The package's <c>reg_ema_decay</c>.)</summary>
    public double SampleDecay { get; init; }

    /// <summary>InflectionPoint: a bound still unset at this step is set there; 0 for never (default).</summary>
    public long MaxWaitSteps { get; init; }

    private const double DefaultWarmStart = 1000;

    /// <summary>Steps between two samples of InflectionPoint where neither <see cref="SampleInterval"/> nor a warm-up says another number.</summary>
    public const long DefaultSampleInterval = 200;

    // The value the method works with.
    internal double Param => KappaInitParam ?? DefaultWarmStart;

    // The bound of Uniform on the scale of R.
    internal double UniformKappa(long elements) => KappaScale == KappaScale.Mean && Regularizer != Regularizer.Std ? Param * elements : Param;

    private long Interval => SampleInterval ?? DefaultSampleInterval;

    /// <summary>Whether nobody has said how the bound is found: a run too short for an inflection point may find it otherwise.</summary>
    internal bool IsDefaultBound => KappaInitMethod == KappaInitMethod.InflectionPoint && SampleInterval is null && MaxWaitSteps == 0;

    /// <summary>Whether a run is too short for an inflection point: it takes four samples, and a bound should hold for half of the run.</summary>
    internal bool IsShort(long steps) => steps < 8 * Interval;

    /// <summary>The step at which a short run sets the default bound.</summary>
    internal static long ShortRunStart(long steps) => Math.Max(1, steps / 5);

    /// <summary>What is told of a short run under the default bound.</summary>
    internal static string ShortRunWarning(long steps) =>
        $"The run has {steps} steps, too few for bounds at an inflection point, which needs four samples {DefaultSampleInterval} steps apart: each bound is "
        + $"set after step {ShortRunStart(steps)} instead, by WarmStart. Name a way to set bounds to choose another.";

    /// <summary>The same with the defaults that follow from the length of the learning-rate warm-up and of the run.</summary>
    internal ConstrainNorm Resolve(long warmupSteps, long? totalSteps)
    {
        ConstrainNorm resolved = warmupSteps <= 0 ? this : this with
        {
            KappaInitParam = KappaInitParam ?? (KappaInitMethod == KappaInitMethod.WarmStart ? 2 * warmupSteps : null),
            SampleInterval = SampleInterval ?? Math.Max(1, warmupSteps / 10),
        };
        return IsDefaultBound && totalSteps is long steps && resolved.IsShort(steps)
            ? resolved with { KappaInitMethod = KappaInitMethod.WarmStart, KappaInitParam = ShortRunStart(steps) } : resolved;
    }

    // Why no bound can be set in a run of that many steps; null when one can.
    internal string? TooShort(long steps) => KappaInitMethod switch
    {
        KappaInitMethod.WarmStart when Param >= steps && KappaInitParam is null =>
            $"WarmStart sets its bounds at step {Param} where {nameof(KappaInitParam)} says nothing, but the run has {steps}: give a {nameof(KappaInitParam)} below that",
        KappaInitMethod.WarmStart when Param >= steps => $"WarmStart sets its bounds at step {Param}, but the run has {steps}: shorten KappaInitParam",
        KappaInitMethod.InflectionPoint when MaxWaitSteps == 0 && 4 * Interval > steps =>
            $"InflectionPoint needs four samples, {Interval} steps apart, but the run has {steps}: shorten SampleInterval or set MaxWaitSteps",
        KappaInitMethod.InflectionPoint when MaxWaitSteps >= steps && 4 * Interval > steps => $"MaxWaitSteps is {MaxWaitSteps}, but the run has {steps} steps: shorten it",
        _ => null,
    };

    internal override string Tag(ParameterSpec parameter) =>
        $"Cpr_{RegularizerName(Regularizer)}_{MethodName(KappaInitMethod)}{(Adaptive ? "_adaptive" : "")}{(EvaluateAt == EvaluateAt.Previous ? "_previous" : "")}";

    internal static string RegularizerName(Regularizer r) => r.ToString().ToLowerInvariant();

    internal static string MethodName(KappaInitMethod m) => m switch
    {
        KappaInitMethod.WarmStart => "warm_start",
        KappaInitMethod.InflectionPoint => "inflection_point",
        KappaInitMethod.Dependent => "dependent",
        _ => "uniform",
    };

    internal override bool AppliesTo(ParameterSpec parameter) => parameter.Constrained;

    internal override IEnumerable<LinkInput> Inputs(ParameterSpec parameter)
    {
        ElementType type = parameter.Type;
        var vector = new Shape(Dim.Unknown);
        yield return new("lambda", type, vector, c => c.Lambda);
        yield return new("kappa", type, vector, c => c.Kappa);
        yield return new("detector", type, new Shape(Dim.Unknown, 4), c => c.Detector);
        yield return new("matrix_index", ElementType.Int64, Shape.Scalar, c => c.Builder.Int(c.MatrixIndex));
        double rate = Regularizer == Regularizer.Std ? KappaUpdate : KappaUpdate / Math.Max(1, parameter.ElementCount);
        yield return ScaleByAdam.Constant("kappa_update", rate, type);
        yield return new("constraint_rate", type, vector, c => RegularizeByLearningRate ? c.Input("learning_rate") : c.Ones);
        foreach (LinkInput input in MethodInputs(type)) yield return input;
    }

    // What the way of finding κ needs.
    internal IEnumerable<LinkInput> MethodInputs(ElementType type)
    {
        switch (KappaInitMethod)
        {
            case KappaInitMethod.Dependent:
                yield return ScaleByAdam.Constant("kappa_factor", Param, type);
                break;
            case KappaInitMethod.WarmStart:
                yield return new("warm_start_steps", ElementType.Int64, Shape.Scalar, c => c.Builder.Int((long)Param));
                break;
            case KappaInitMethod.InflectionPoint:
                yield return new("sample_interval", ElementType.Int64, Shape.Scalar, c => c.Builder.Int(Interval));
                yield return ScaleByAdam.Constant("sample_decay", SampleDecay, type);
                yield return new("max_wait_steps", ElementType.Int64, Shape.Scalar, c => c.Builder.Int(MaxWaitSteps));
                break;
            default:
                break;
        }
    }

    internal override void Emit(UpdateBody b)
    {
        GraphBuilder g = b.G;
        g.Scope = "cpr";
        Value zero = b.Scalar(0), one = b.Scalar(1), index = b.In("matrix_index");
        Value lambda = g.Gather(b.In("lambda"), index), kappa = g.Gather(b.In("kappa"), index);
        Value row = g.Gather(b.In("detector"), index);
        Value samples = g.Gather(row, g.Int(0)), e1 = g.Gather(row, g.Int(1)), e2 = g.Gather(row, g.Int(2));
        Value flag = g.Gather(row, g.Int(3)), wasSet = g.Greater(flag, zero);

        (Value updated, Value slope) = Measure(b, b.Parameter);
        Value measure = updated;
        if (EvaluateAt == EvaluateAt.Previous) (measure, slope) = Measure(b, b.In("parameter"));
        Value active = wasSet, isSet = wasSet;
        switch (KappaInitMethod)
        {
            case KappaInitMethod.Dependent:
                (Value before, _) = Measure(b, b.In("parameter"));
                kappa = g.Where(wasSet, kappa, g.Mul(before, b.In("kappa_factor")));
                isSet = active = g.Equal(one, one);
                break;
            case KappaInitMethod.WarmStart:
                Value due = g.And(g.Not(wasSet), g.Equal(b.Step, b.In("warm_start_steps")));
                kappa = g.Where(due, updated, kappa);
                isSet = g.Or(wasSet, due);
                break;
            case KappaInitMethod.InflectionPoint:
                (Value fire, samples, e1, e2) = Detect(b, wasSet, updated, samples, e1, e2);
                kappa = g.Where(fire, updated, kappa);
                isSet = g.Or(wasSet, fire);
                break;
            default:
                break;
        }
        Value raised = g.Max(zero, g.Add(lambda, g.Mul(g.Sub(measure, kappa), b.In("kappa_update"))));
        Value newLambda = g.Where(active, raised, lambda);
        if (Adaptive) kappa = g.Where(g.And(g.Greater(lambda, zero), g.Not(g.Greater(newLambda, zero))), measure, kappa);
        Value rate = g.Mul(g.Gather(b.In("constraint_rate"), b.In("group_index")), g.Where(active, newLambda, zero));
        b.Correction = g.Mul(slope, rate);
        b.Parameter = g.Sub(b.Parameter, b.Correction);

        // 0: not set, 1: set, 2: set, and λ has been above 0.
        Value state = g.Where(g.Or(g.Greater(flag, one), g.Greater(newLambda, zero)), b.Scalar(2), g.Cast(isSet, b.Type));
        Value detector = g.Concat(0, g.Unsqueeze(samples, 0), g.Unsqueeze(e1, 0), g.Unsqueeze(e2, 0), g.Unsqueeze(state, 0));
        b.SetState("lambda", g.Unsqueeze(b.Select(newLambda, g.Gather(b.In("lambda"), index)), 0));
        b.SetState("kappa", g.Unsqueeze(b.Select(kappa, g.Gather(b.In("kappa"), index)), 0));
        b.SetState("detector", g.Unsqueeze(b.Select(detector, row), 0));
    }

    // Every interval a sample; from the fourth on, a negative second difference sets the bound. A wait that lasted too long sets it as well.
    private static (Value Fire, Value Samples, Value E1, Value E2) Detect(UpdateBody b, Value wasSet, Value measure, Value samples, Value e1, Value e2)
    {
        GraphBuilder g = b.G;
        Value zero = b.Scalar(0), none = g.Int(0);
        Value due = g.And(g.Not(wasSet), g.Equal(g.Op("Mod", [b.Step, b.In("sample_interval")]), none));
        Value averaged = g.Add(g.Mul(e1, b.In("sample_decay")), g.Mul(measure, g.Sub(1, b.In("sample_decay"))));
        Value e = g.Where(g.Greater(samples, zero), averaged, measure);
        Value bends = g.Less(g.Sub(g.Sub(e, e1), g.Sub(e1, e2)), zero);
        Value inflects = g.And(g.And(due, bends), g.GreaterOrEqual(samples, b.Scalar(3)));
        Value waited = g.And(g.And(g.Greater(b.In("max_wait_steps"), none), g.GreaterOrEqual(b.Step, b.In("max_wait_steps"))), g.Not(wasSet));
        return (g.Or(inflects, waited), g.Add(samples, g.Cast(due, b.Type)), g.Where(due, e, e1), g.Where(due, e1, e2));
    }

    // R(θ) as a scalar and ∇R(θ) in θ's shape.
    private (Value Measure, Value Slope) Measure(UpdateBody b, Value theta)
    {
        GraphBuilder g = b.G;
        switch (Regularizer)
        {
            case Regularizer.L1:
                return (b.Sum(g.Abs(theta)), g.Sign(theta));
            case Regularizer.Huber:
                Value size = g.Abs(theta);
                Value inner = g.Less(size, b.Scalar(1));
                return (b.Sum(g.Where(inner, g.Mul(g.Mul(theta, theta), 0.5), g.Sub(size, 0.5))), g.Where(inner, theta, g.Sign(theta)));
            case Regularizer.Std:
                return Deviation(b, theta);
            default:
                return (b.Sum(g.Mul(theta, theta)), g.Mul(theta, 2));
        }
    }

    // Around the first element, so that a mean far from 0 costs no digits and a constant tensor gives exactly 0.
    private static (Value, Value) Deviation(UpdateBody b, Value theta)
    {
        GraphBuilder g = b.G;
        Value shape = g.Op("Shape", [theta]), size = g.Op("Size", [theta]);
        Value flat = g.Reshape(theta, -1);
        // A sum over at most one element: 0 for a tensor without any.
        Value first = g.ReduceSum(g.Slice(flat, [0], [1], [0]), false, 0);
        Value shifted = g.Sub(flat, first);
        Value centred = g.Sub(shifted, g.Div(b.Sum(shifted), g.Cast(size, b.Type)));
        Value degrees = g.Cast(g.Max(g.Sub(size, g.Int(1)), g.Int(1)), b.Type);
        Value std = g.Sqrt(g.Div(b.Sum(g.Mul(centred, centred)), degrees));
        Value positive = g.Greater(std, b.Scalar(0));
        Value slope = g.Where(positive, g.Div(centred, g.Mul(degrees, g.Where(positive, std, b.Scalar(1)))), b.Scalar(0));
        return (std, g.Reshape(slope, shape));
    }

    internal override IEnumerable<string> Problems()
    {
        List<string> problems =
        [
            .. Unless(KappaUpdate >= 0 && double.IsFinite(KappaUpdate), nameof(KappaUpdate), KappaUpdate, "a finite number of at least 0"),
            .. Unless(Interval >= 1, nameof(SampleInterval), SampleInterval, "at least 1"),
            .. Unless(SampleDecay is >= 0 and < 1, nameof(SampleDecay), SampleDecay, "at least 0 and below 1"),
            .. Unless(MaxWaitSteps >= 0, nameof(MaxWaitSteps), MaxWaitSteps, "at least 0 (0: never)"),
        ];
        switch (KappaInitMethod)
        {
            case KappaInitMethod.Uniform when KappaInitParam is null or < 0 or double.NaN:
                problems.Add($"{nameof(KappaInitParam)} is {KappaInitParam?.ToString() ?? "not given"}; expected, for Uniform, the bound itself: at least 0");
                break;
            case KappaInitMethod.Dependent when KappaInitParam is null or <= 0 or double.NaN:
                problems.Add($"{nameof(KappaInitParam)} is {KappaInitParam?.ToString() ?? "not given"}; expected, for Dependent, a factor above 0");
                break;
            case KappaInitMethod.WarmStart when Param < 1 || Param != Math.Floor(Param):
                problems.Add($"{nameof(KappaInitParam)} is {Param}; expected, for WarmStart, whole steps of at least 1");
                break;
            default:
                break;
        }
        return problems;
    }
}
