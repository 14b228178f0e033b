using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Optimizers;

/// <summary>Constrained parameter regularisation (Franke et al., NeurIPS 2024): keeps R(θ) ≤ κ by a Lagrange multiplier λ that is updated
/// every step. The last link of a rule; it works on the parameter that the links before it made.</summary>
/// <remarks>λ ← max(0, λ + μ·(R(θ) − κ)), θ ← θ − s·λ·∇R(θ), with μ divided by the number of elements except for Std, and s = lr when
/// <see cref="RegularizeByLearningRate"/> is set, else 1.</remarks>
public sealed record ConstrainNorm : UpdateLink
{
    /// <summary>The measure R. Default L2.</summary>
    public Regularizer Regularizer { get; init; } = Regularizer.L2;

    /// <summary>How κ is found. Default <see cref="Bound.AtInflection"/>; where that stands with its defaults and the run is known to be
    /// shorter than 1600 steps (<see cref="OptimizerOptions.TotalSteps"/>, or the length of a fit), a warm start at a fifth of the run
    /// takes its place.</summary>
    public Bound Bound { get; init; } = Bound.AtInflection();

    /// <summary>Rate μ of the multiplier, at least 0. Default 1. (The package calls it <c>kappa_update</c>.)</summary>
    public double KappaUpdate { get; init; } = 1;

    /// <summary>Multiplies the constraint's step by the learning rate. Default off.</summary>
    public bool RegularizeByLearningRate { get; init; }

    /// <summary>AdaCPR (paper, appendix D): κ ← R when an update takes λ from above 0 to 0. Default off.</summary>
    public bool Adaptive { get; init; }

    /// <summary>Where R and ∇R are taken. Default Updated.</summary>
    public EvaluateAt EvaluateAt { get; init; } = EvaluateAt.Updated;

    /// <summary>Tensors of λ, κ and the detector, a row a constrained parameter.</summary>
    internal const string LambdaRows = "cpr.lambda", KappaRows = "cpr.kappa", DetectorRows = "cpr.detector";

    /// <summary>Whether nobody has said how the bound is found: a run too short for an inflection point may find it otherwise.</summary>
    internal bool IsDefaultBound => Bound is AtInflectionBound bound && bound.IsDefault();

    /// <summary>Whether a run is too short for an inflection point.</summary>
    internal bool IsShort(long steps) => Bound is AtInflectionBound bound && bound.IsShort(steps);

    /// <summary>The step at which a short run sets the default bound.</summary>
    internal static long ShortRunStart(long steps) => Math.Max(1, steps / 5);

    /// <summary>What is told of a short run under the default bound.</summary>
    internal static string ShortRunWarning(long steps) => steps <= 1
        ? "The run has 1 step, and a bound acts in the step after the one that sets it: no bound will act. Make the run longer (--steps, "
            + "--epochs), or train without a constraint (--optimizer adamw)."
        : $"The run has {steps} steps, too few for bounds at an inflection point, which needs four samples "
            + $"{AtInflectionBound.DefaultInterval} steps apart: each bound is "
        + $"set after step {ShortRunStart(steps)} instead. To set them in another way, name it (ConstrainNorm.Bound).";

    /// <summary>The same with the defaults that follow from the length of the learning-rate warm-up and of the run.</summary>
    internal ConstrainNorm Resolve(long warmupSteps, long? totalSteps)
    {
        ConstrainNorm resolved = this with { Bound = Bound.Resolve(warmupSteps) };
        return IsDefaultBound && totalSteps is long steps && resolved.IsShort(steps)
            ? resolved with { Bound = Bound.AfterSteps(ShortRunStart(steps)) } : resolved;
    }

    internal override string Tag(ParameterSpec parameter) =>
        $"Cpr_{RegularizerName(Regularizer)}_{Bound.Method}"
        + $"{(Adaptive ? "_adaptive" : "")}{(EvaluateAt == EvaluateAt.Previous ? "_previous" : "")}";

    internal static string RegularizerName(Regularizer r) => r.ToString().ToLowerInvariant();

    internal override bool AppliesTo(ParameterSpec parameter) => parameter.Constrained;

    internal override UpdateStage Stage => UpdateStage.NewParameter;

    internal override string Scope => "cpr";

    internal override IEnumerable<LinkSlot> Slots(ParameterSpec parameter)
    {
        ElementType type = parameter.Type;
        double? given = Bound.Given(Regularizer, parameter.ElementCount);
        double rate = Regularizer == Regularizer.Std ? KappaUpdate : KappaUpdate / Math.Max(1, parameter.ElementCount);
        return
        [
            LinkSlot.Row("lambda", LambdaRows, 0),
            LinkSlot.Row("kappa", KappaRows, given ?? double.NaN),
            LinkSlot.Row("detector", DetectorRows, 0, 0, 0, given is not null ? DetectorState.Set : DetectorState.NotSet),
            LinkSlot.RowIndex("matrix_index", LambdaRows),
            LinkSlot.Setting("kappa_update", rate, type),
            LinkSlot.Shared("constraint_rate", (c, _) => RegularizeByLearningRate ? c.LearningRate : c.Ones),
            .. Bound.Slots(type),
        ];
    }

    internal override void Emit(UpdateBody b)
    {
        GraphBuilder g = b.G;
        Term zero = b.Scalar(0), index = b.In("matrix_index");
        Term lambda = g.Gather(b.In("lambda"), index), kappa = g.Gather(b.In("kappa"), index), row = g.Gather(b.In("detector"), index);
        Term flag = g.Gather(row, g.Int(DetectorState.StateColumn)), wasSet = flag > zero;
        var samples = new BoundSamples(g.Gather(row, g.Int(DetectorState.SamplesColumn)), g.Gather(row, g.Int(1)), g.Gather(row, g.Int(2)));

        (Term updated, Term slope) = Measure(b, b.Parameter);
        Term measure = updated;
        if (EvaluateAt == EvaluateAt.Previous) (measure, slope) = Measure(b, b.In("parameter"));
        (kappa, Term active, Term isSet, samples) =
            Bound.Find(b, new BoundState(kappa, wasSet, wasSet, samples), updated, () => Measure(b, b.In("parameter")).Measure);
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

    internal override IEnumerable<string> Problems() =>
    [
        .. Unless(KappaUpdate >= 0 && double.IsFinite(KappaUpdate), nameof(KappaUpdate), KappaUpdate, "a finite number of at least 0"),
        .. Bound.Problems(),
    ];
}
