using System.Text.Json.Serialization;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Optimizers;

/// <summary>How the bound κ of a constrained matrix comes about (paper, section 4.2). There are four ways, one a factory.</summary>
/// <remarks>Immutable; two bounds with the same settings are equal. <see cref="Of"/> takes the names of the authors' package.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "bound")]
[JsonDerivedType(typeof(FixedBound), FixedBound.MethodName)]
[JsonDerivedType(typeof(TimesInitialBound), TimesInitialBound.MethodName)]
[JsonDerivedType(typeof(AfterStepsBound), AfterStepsBound.MethodName)]
[JsonDerivedType(typeof(AtInflectionBound), AtInflectionBound.MethodName)]
public abstract record Bound
{
    private protected Bound()
    {
    }

    /// <summary>What the package calls the ways: uniform, dependent, warm_start, inflection_point.</summary>
    public static IReadOnlyList<string> Methods { get; } =
        [FixedBound.MethodName, TimesInitialBound.MethodName, AfterStepsBound.MethodName, AtInflectionBound.MethodName];

    /// <summary>The name of this way, one of <see cref="Methods"/>; operators and files have it too.</summary>
    [JsonIgnore]
    public string Method => Methods[(int)Kind];

    /// <summary>Kappa-K: the bound itself, from the start.</summary>
    /// <param name="kappa">κ, at least 0.</param>
    /// <param name="scale">Its unit.</param>
    public static Bound Fixed(double kappa, KappaScale scale = KappaScale.Sum) => new FixedBound(kappa, scale);

    /// <summary>Kappa-kI₀: a factor times R of the matrix before its first step.</summary>
    /// <param name="factor">Above 0.</param>
    public static Bound TimesInitial(double factor) => new TimesInitialBound(factor);

    /// <summary>Kappa-WS, a warm start: R after some steps of the matrix. The bound acts from the next step on.</summary>
    /// <param name="steps">At least 1. Default: twice the learning-rate warm-up where <see cref="OptimizerOptions.WarmupSteps"/> names
    /// one, the paper's rule of thumb, else 1000.</param>
    public static Bound AfterSteps(long? steps = null) => new AfterStepsBound(steps);

    /// <summary>Kappa-IP: R where its growth first slows down, by the second difference of samples of R. It needs four samples. The bound
    /// acts from the next step on.</summary>
    /// <param name="every">Steps between two samples, at least 1. Default: a tenth of the learning-rate warm-up where
    /// <see cref="OptimizerOptions.WarmupSteps"/> names one, else 200. (The package's <c>reg_step_size</c>.)</param>
    /// <param name="decay">Decay of the running average over samples, in [0, 1); 0 for none. (The package's <c>reg_ema_decay</c>.)</param>
    /// <param name="maxWait">A bound still unset at this step is set there; 0 for never.</param>
    public static Bound AtInflection(long? every = null, double decay = 0, long maxWait = 0) =>
        new AtInflectionBound(every, decay, maxWait);

    /// <summary>The bound that the arguments of the authors' package mean. What belongs to another way is not looked at.</summary>
    /// <param name="method"><c>kappa_init_method</c>, one of <see cref="Methods"/>, in any case, with or without its underscore; also
    /// the package's own <c>depended</c>.</param>
    /// <param name="parameter"><c>kappa_init_param</c>: the bound itself, its factor, or the step after which it is set.</param>
    /// <param name="every"><c>reg_step_size</c>.</param>
    /// <param name="decay"><c>reg_ema_decay</c>.</param>
    /// <param name="maxWait">See <see cref="AtInflection"/>.</param>
    /// <param name="scale">Unit of a bound that is given.</param>
    /// <exception cref="OptionException">There is no such way, or it can't take that parameter.</exception>
    public static Bound Of(
        string method, double? parameter = null, long? every = null, double decay = 0, long maxWait = 0, KappaScale scale = KappaScale.Sum)
    {
        ArgumentNullException.ThrowIfNull(method);
        string name = Plain(method) == "depended" ? TimesInitialBound.MethodName : method;
        double Given(string what) =>
            parameter ?? throw new OptionException($"kappa_init_param is not given; expected, for {method}, {what}.");
        return Methods.FirstOrDefault(m => Plain(m) == Plain(name)) switch
        {
            FixedBound.MethodName => Fixed(Given("the bound itself: at least 0"), scale),
            TimesInitialBound.MethodName => TimesInitial(Given("a factor above 0")),
            AfterStepsBound.MethodName => AfterSteps(Whole(parameter)),
            AtInflectionBound.MethodName => AtInflection(every, decay, maxWait),
            _ => throw new OptionException($"kappa_init_method '{method}' is not known; expected one of {string.Join(", ", Methods)}."),
        };
    }

    /// <summary>Which of the four it is, as a number for kernels.</summary>
    internal abstract BoundKind Kind { get; }

    /// <summary>κ where it is known before any step; null where the body finds it.</summary>
    internal virtual double? Given(Regularizer regularizer, long elements) => null;

    /// <summary>The same with the defaults that follow from the length of the learning-rate warm-up.</summary>
    internal virtual Bound Resolve(long warmupSteps) => this;

    /// <summary>The same with its steps counted from a later one.</summary>
    internal virtual Bound CountedFrom(long past) => this;

    /// <summary>Why no bound can be set in a run of that many steps; null when one can.</summary>
    internal virtual string? TooShort(long steps) => null;

    /// <summary>The settings that it adds to the update operator.</summary>
    internal virtual IReadOnlyList<LinkSlot> Slots(ElementType type) => [];

    /// <summary>Its part of the body: finds κ while it has no value.</summary>
    /// <param name="body">The body.</param>
    /// <param name="state">What the constraint knows before the step.</param>
    /// <param name="updated">R of the parameter that the base rule has made.</param>
    /// <param name="initial">Emits R of the parameter before the step.</param>
    internal virtual BoundState Find(UpdateBody body, BoundState state, Term updated, Func<Term> initial) => state;

    /// <summary>What is out of range.</summary>
    internal virtual IEnumerable<string> Problems() => [];

    private static long? Whole(double? steps) => steps is null or (>= 1 and <= 1L << 53) && steps == (long?)steps ? (long?)steps
        : throw new OptionException(FormattableString.Invariant(
            $"kappa_init_param is {steps}; expected, for {AfterStepsBound.MethodName}, whole steps of at least 1."));

    private static string Plain(string name) =>
        name.Replace("_", "", StringComparison.Ordinal).Replace("-", "", StringComparison.Ordinal).ToLowerInvariant();
}

/// <summary>The four ways to find a bound, in the order of <see cref="Bound.Methods"/>, for kernels, which know no records.</summary>
internal enum BoundKind
{
    /// <summary><see cref="Bound.Fixed"/>.</summary>
    Uniform,
    /// <summary><see cref="Bound.TimesInitial"/>.</summary>
    Dependent,
    /// <summary><see cref="Bound.AfterSteps"/>.</summary>
    WarmStart,
    /// <summary><see cref="Bound.AtInflection"/>.</summary>
    InflectionPoint,
}

/// <summary>What a constraint knows of its bound in a body.</summary>
/// <param name="Kappa">κ.</param>
/// <param name="Active">Whether the constraint acts in this step (bool).</param>
/// <param name="IsSet">Whether κ has its value after this step (bool).</param>
/// <param name="Samples">Samples of R.</param>
internal readonly record struct BoundState(Term Kappa, Term Active, Term IsSet, BoundSamples Samples);

/// <summary>What the detector knows: how many samples of R, the latest (a running average) and the one before.</summary>
internal readonly record struct BoundSamples(Term Count, Term Last, Term Earlier);
