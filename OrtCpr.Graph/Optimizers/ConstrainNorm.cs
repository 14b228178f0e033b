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

    /// <summary>Tensors of λ, κ and the detector, a row a constrained parameter.</summary>
    internal const string LambdaRows = "cpr.lambda", KappaRows = "cpr.kappa", DetectorRows = "cpr.detector";

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

    internal override UpdateStage Stage => UpdateStage.NewParameter;

    internal override string Scope => "cpr";

    internal override IEnumerable<LinkSlot> Slots(ParameterSpec parameter)
    {
        ElementType type = parameter.Type;
        bool isGiven = KappaInitMethod == KappaInitMethod.Uniform;
        double rate = Regularizer == Regularizer.Std ? KappaUpdate : KappaUpdate / Math.Max(1, parameter.ElementCount);
        return
        [
            LinkSlot.Row("lambda", LambdaRows, 0),
            LinkSlot.Row("kappa", KappaRows, isGiven ? UniformKappa(parameter.ElementCount) : double.NaN),
            LinkSlot.Row("detector", DetectorRows, 0, 0, 0, isGiven ? DetectorState.Set : DetectorState.NotSet),
            LinkSlot.RowIndex("matrix_index", LambdaRows),
            LinkSlot.Setting("kappa_update", rate, type),
            LinkSlot.Shared("constraint_rate", (c, _) => RegularizeByLearningRate ? c.LearningRate : c.Ones),
            .. MethodSettings(type),
        ];
    }

    /// <summary>What the way of finding κ needs.</summary>
    internal IReadOnlyList<LinkSlot> MethodSettings(ElementType type) => KappaInitMethod switch
    {
        KappaInitMethod.Dependent => [LinkSlot.Setting("kappa_factor", Param, type)],
        KappaInitMethod.WarmStart => [LinkSlot.Setting("warm_start_steps", (long)Param)],
        KappaInitMethod.InflectionPoint =>
        [
            LinkSlot.Setting("sample_interval", Interval),
            LinkSlot.Setting("sample_decay", SampleDecay, type),
            LinkSlot.Setting("max_wait_steps", MaxWaitSteps),
        ],
        _ => [],
    };

    internal override void Emit(UpdateBody b)
    {
        GraphBuilder g = b.G;
        Term zero = b.Scalar(0), index = b.In("matrix_index");
        Term lambda = g.Gather(b.In("lambda"), index), kappa = g.Gather(b.In("kappa"), index), row = g.Gather(b.In("detector"), index);
        Term flag = g.Gather(row, g.Int(DetectorState.StateColumn)), wasSet = flag > zero;
        var samples = new Samples(g.Gather(row, g.Int(DetectorState.SamplesColumn)), g.Gather(row, g.Int(1)), g.Gather(row, g.Int(2)));

        (Term updated, Term slope) = Measure(b, b.Parameter);
        Term measure = updated;
        if (EvaluateAt == EvaluateAt.Previous) (measure, slope) = Measure(b, b.In("parameter"));
        Term active = wasSet, isSet = wasSet;
        switch (KappaInitMethod)
        {
            case KappaInitMethod.Dependent:
                kappa = g.Where(wasSet, kappa, Measure(b, b.In("parameter")).Measure * b.In("kappa_factor"));
                isSet = active = g.Equal(zero, zero);
                break;
            case KappaInitMethod.WarmStart:
                Term due = !wasSet & g.Equal(b.Step, b.In("warm_start_steps"));
                kappa = g.Where(due, updated, kappa);
                isSet = wasSet | due;
                break;
            case KappaInitMethod.InflectionPoint:
                (Term fire, samples) = Detect(b, wasSet, updated, samples);
                kappa = g.Where(fire, updated, kappa);
                isSet = wasSet | fire;
                break;
            default:
                break;
        }
        Term raised = g.Max(zero, lambda + (measure - kappa) * b.In("kappa_update"));
        Term newLambda = g.Where(active, raised, lambda);
        if (Adaptive) kappa = g.Where(lambda > zero & !(newLambda > zero), measure, kappa);
        Term rate = g.Gather(b.In("constraint_rate"), b.In("group_index")) * g.Where(active, newLambda, zero);
        Term correction = slope * rate;
        b.Correction = correction;
        b.Parameter -= correction;

        Term everActive = flag > b.Scalar(DetectorState.Set) | newLambda > zero;
        Term state = g.Where(everActive, b.Scalar(DetectorState.EverActive), g.Cast(isSet, b.Type));
        Term detector = g.Concat(
            0, g.Unsqueeze(samples.Count, 0), g.Unsqueeze(samples.Last, 0), g.Unsqueeze(samples.Earlier, 0), g.Unsqueeze(state, 0));
        b.SetState("lambda", g.Unsqueeze(b.Select(newLambda, g.Gather(b.In("lambda"), index)), 0));
        b.SetState("kappa", g.Unsqueeze(b.Select(kappa, g.Gather(b.In("kappa"), index)), 0));
        b.SetState("detector", g.Unsqueeze(b.Select(detector, row), 0));
    }

    /// <summary>What the detector knows: how many samples of R, the latest (a running average) and the one before.</summary>
    private readonly record struct Samples(Term Count, Term Last, Term Earlier);

    // Every interval a sample; from the fourth on, a negative second difference sets the bound. A wait that lasted too long sets it as well.
    private static (Term Fire, Samples Samples) Detect(UpdateBody b, Term wasSet, Term measure, Samples s)
    {
        GraphBuilder g = b.G;
        Term zero = b.Scalar(0), none = g.Int(0), decay = b.In("sample_decay");
        Term due = !wasSet & g.Equal(g.Op("Mod", [b.Step, b.In("sample_interval")]), none);
        Term e = g.Where(s.Count > zero, s.Last * decay + measure * (1 - decay), measure);
        Term bends = e - s.Last - (s.Last - s.Earlier) < zero;
        Term inflects = due & bends & g.GreaterOrEqual(s.Count, b.Scalar(3));
        Term waited = b.In("max_wait_steps") > none & g.GreaterOrEqual(b.Step, b.In("max_wait_steps")) & !wasSet;
        return (inflects | waited, new Samples(s.Count + g.Cast(due, b.Type), g.Where(due, e, s.Last), g.Where(due, s.Last, s.Earlier)));
    }

    // R(θ) as a scalar and ∇R(θ) in θ's shape.
    private (Term Measure, Term Slope) Measure(UpdateBody b, Term theta)
    {
        GraphBuilder g = b.G;
        switch (Regularizer)
        {
            case Regularizer.L1:
                return (b.Sum(g.Abs(theta)), g.Sign(theta));
            case Regularizer.Huber:
                Term size = g.Abs(theta), inner = size < b.Scalar(1);
                return (b.Sum(g.Where(inner, theta * theta * 0.5, size - 0.5)), g.Where(inner, theta, g.Sign(theta)));
            case Regularizer.Std:
                return Deviation(b, theta);
            default:
                return (b.Sum(theta * theta), theta * 2);
        }
    }

    // Around the first element, so that a mean far from 0 costs no digits and a constant tensor gives exactly 0.
    private static (Term, Term) Deviation(UpdateBody b, Term theta)
    {
        GraphBuilder g = b.G;
        Term shape = g.Op("Shape", [theta]), size = g.Op("Size", [theta]), flat = g.Reshape(theta, -1);
        // A sum over at most one element: 0 for a tensor without any.
        Term shifted = flat - g.ReduceSum(g.Slice(flat, [0], [1], [0]), false, 0);
        Term centred = shifted - b.Sum(shifted) / g.Cast(size, b.Type);
        Term degrees = g.Cast(g.Max(size - g.Int(1), g.Int(1)), b.Type);
        Term std = g.Sqrt(b.Sum(centred * centred) / degrees), positive = std > b.Scalar(0);
        Term slope = g.Where(positive, centred / (degrees * g.Where(positive, std, b.Scalar(1))), b.Scalar(0));
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
