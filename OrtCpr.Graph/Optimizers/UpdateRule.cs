using System.Collections.Immutable;
using System.Text.Json.Serialization;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Graph.Optimizers;

/// <summary>How the parameters of one group are updated: a learning rate and a list of links.</summary>
/// <remarks>Immutable. The named recipes are <see cref="AdamCpr"/>, <see cref="AdamW"/>, <see cref="Adam"/>, <see cref="Sgd"/>,
/// <see cref="AdamAwd"/> and <see cref="AdamAdaDecay"/>; any other chain can be written down as
/// <c>new UpdateRule { Links = [...] }</c>.</remarks>
public sealed record UpdateRule
{
    /// <summary>Name of the scalar with the learning rate of each group, for schedules.</summary>
    public const string LearningRateScalar = "learning_rate";

    /// <summary>Learning rate before any schedule, at least 0. Default 1e-3.</summary>
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>Ascends instead of descending: the gradient is negated. Default off.</summary>
    public bool Maximize { get; init; }

    /// <summary>Name patterns of the parameters that the rule updates. The first rule of <see cref="OptimizerOptions.Groups"/> with a
    /// pattern that matches takes a parameter; the rule without patterns (default) takes all that are left.</summary>
    public ImmutableArray<NamePattern> Parameters { get => field.IsDefault ? [] : field; init; } = [];

    /// <summary>The links in order: what works on the gradient, one base rule, what works on the step, what works on the new
    /// parameter.</summary>
    public ImmutableArray<UpdateLink> Links { get; init; } = [new ScaleByAdam()];

    /// <summary>Adam, then the constraint on every constrained matrix. No weight decay.</summary>
    /// <param name="learningRate">At least 0. Default 1e-3.</param>
    /// <param name="adam">Betas, ε, amsgrad; null for the defaults of <see cref="ScaleByAdam"/>.</param>
    /// <param name="constraint">Measure, bound and rate of the multipliers; null for the defaults of <see cref="ConstrainNorm"/>.</param>
    public static UpdateRule AdamCpr(double learningRate = 1e-3, ScaleByAdam? adam = null, ConstrainNorm? constraint = null) =>
        new() { LearningRate = learningRate, Links = [adam ?? new ScaleByAdam(), constraint ?? new ConstrainNorm()] };

    /// <summary>Adam with decoupled weight decay of constrained parameters: biases, gains and embeddings are left alone, unlike in PyTorch,
    /// where groups do that. <see cref="AddDecayedWeights"/> decays all of them where it is told so.</summary>
    /// <param name="learningRate">At least 0. Default 1e-3.</param>
    /// <param name="weightDecay">Share of a parameter that a step takes away, before the learning rate; at least 0. Default 1e-2.</param>
    /// <param name="adam">Betas, ε, amsgrad; null for the defaults of <see cref="ScaleByAdam"/>.</param>
    public static UpdateRule AdamW(double learningRate = 1e-3, double weightDecay = 1e-2, ScaleByAdam? adam = null) =>
        new() { LearningRate = learningRate, Links = [adam ?? new ScaleByAdam(), new AddDecayedWeights(weightDecay)] };

    /// <summary>Adam (Kingma and Ba, 2015) without weight decay or constraint.</summary>
    /// <param name="learningRate">At least 0. Default 1e-3.</param>
    /// <param name="adam">Betas, ε, amsgrad; null for the defaults of <see cref="ScaleByAdam"/>.</param>
    public static UpdateRule Adam(double learningRate = 1e-3, ScaleByAdam? adam = null) =>
        new() { LearningRate = learningRate, Links = [adam ?? new ScaleByAdam()] };

    /// <summary>Stochastic gradient descent as PyTorch has it; with a constraint the best row of the paper's CIFAR-100 table.</summary>
    /// <param name="learningRate">At least 0.</param>
    /// <param name="momentum">The direction's link; null for plain SGD.</param>
    /// <param name="weightDecay">Coupled decay of constrained parameters. Default 0.</param>
    /// <param name="constraint">CPR after the step; null for none (default).</param>
    public static UpdateRule Sgd(double learningRate = 1e-3, ScaleByMomentum? momentum = null, double weightDecay = 0,
        ConstrainNorm? constraint = null) => new()
        {
            LearningRate = learningRate,
            Links = [.. weightDecay == 0 ? Array.Empty<UpdateLink>() : [new AddCoupledDecay(weightDecay)],
                momentum ?? new ScaleByMomentum(),
            .. constraint is null ? Array.Empty<UpdateLink>() : [constraint]],
        };

    /// <summary>Adam with adaptive weight decay of constrained parameters (AWD, arXiv 2210.00094); see
    /// <see cref="AddAdaptiveWeightDecay"/>.</summary>
    /// <param name="learningRate">At least 0. Default 1e-3.</param>
    /// <param name="strength">Of the decay, at least 0. Default 1e-2.</param>
    /// <param name="adam">Betas, ε, amsgrad; null for the defaults of <see cref="ScaleByAdam"/>.</param>
    public static UpdateRule AdamAwd(double learningRate = 1e-3, double strength = 1e-2, ScaleByAdam? adam = null) =>
        new() { LearningRate = learningRate, Links = [adam ?? new ScaleByAdam(), new AddAdaptiveWeightDecay(strength)] };

    /// <summary>Adam with AdaDecay of constrained parameters (arXiv 1907.08931); see <see cref="AddAdaDecay"/>.</summary>
    /// <param name="learningRate">At least 0. Default 1e-3.</param>
    /// <param name="strength">Of the decay, at least 0. Default 1e-2.</param>
    /// <param name="alpha">How sharply an element's decay follows its gradient. Default 4.</param>
    /// <param name="adam">Betas, ε, amsgrad; null for the defaults of <see cref="ScaleByAdam"/>.</param>
    public static UpdateRule AdamAdaDecay(double learningRate = 1e-3, double strength = 1e-2, double alpha = 4, ScaleByAdam? adam = null) =>
        new() { LearningRate = learningRate, Links = [adam ?? new ScaleByAdam(), new AddAdaDecay(strength, alpha)] };

    /// <summary>The constraint of the rule; null when it has none.</summary>
    [JsonIgnore]
    public ConstrainNorm? Constraint => Links.OfType<ConstrainNorm>().FirstOrDefault();

    // What is allowed but known not to work well.
    internal IEnumerable<string> Warnings()
    {
        if (Constraint?.Bound is AtInflectionBound && Links.OfType<ScaleByMomentum>().Any())
        {
            yield return "Bound.AtInflection is known to fail under SGD (paper, section 5.3): the bound may never be set, or be set too "
                + "late. Bound.AfterSteps works.";
        }
    }

    internal IEnumerable<string> Problems()
    {
        if (!(LearningRate >= 0 && double.IsFinite(LearningRate)))
        {
            yield return FormattableString.Invariant(
                $"{nameof(LearningRate)} is {LearningRate}; expected a finite number of at least 0");
        }
        if (Links.IsDefaultOrEmpty) yield return $"{nameof(Links)} is empty; expected at least a base rule such as ScaleByAdam";
        foreach (string problem in Links.IsDefault ? [] : Links.SelectMany(l => l.Problems())) yield return problem;
        if (Links.IsDefault) yield break;
        UpdateLink[] bases = [.. Links.Where(l => l.Stage == UpdateStage.Direction)];
        if (bases.Length != 1)
        {
            yield return $"{nameof(Links)} has {bases.Length} base rules ({string.Join(", ", bases.Select(l => l.GetType().Name))}); "
                + "expected one, such as ScaleByAdam";
        }
        for (int i = 0; i < Links.Length; i++)
        {
            if (Links[i].Stage == UpdateStage.NewParameter && i < Links.Length - 1)
                yield return $"{Links[i].GetType().Name} stands at place {i + 1}; expected it last, since it works on the new parameter";
            if (Links[i].Stage == UpdateStage.Gradient && Links.Take(i).Any(l => l.Stage == UpdateStage.Direction))
            {
                yield return $"{Links[i].GetType().Name} stands at place {i + 1}; expected it before the base rule, since it changes the "
                    + "gradient";
            }
        }
    }
}

/// <summary>An optimizer: one rule a group and what holds for all groups together.</summary>
public sealed record OptimizerOptions
{
    /// <summary>Rules by group index; which parameters a group has is said by <see cref="UpdateRule.Parameters"/>. Default: one group,
    /// AdamCPR with its defaults.</summary>
    public ImmutableArray<UpdateRule> Groups { get; init; } = [UpdateRule.AdamCpr()];

    /// <summary>Learning rates that fall from the head to the input; null for the same everywhere (default).</summary>
    public LayerDecay? LayerDecay { get; init; }

    /// <summary>Clips the global L2 norm of all gradients to this; 0 for no clipping (default). Factor min(1, max/(norm + 1e-6)).</summary>
    public double MaxGradientNorm { get; init; }

    /// <summary>Clips each element of the gradient to ±this, after clipping by the norm; 0 for no clipping (default). There is no kernel
    /// for it: the update runs as standard operators.</summary>
    public double MaxGradientValue { get; init; }

    /// <summary>Skips a step whose gradient norm is NaN or infinite. Default on; costs one pass over the gradients.</summary>
    public bool NonFiniteGuard { get; init; } = true;

    /// <summary>Global rescaling of the weights after each step; null for none (default).</summary>
    public RescaleWeights? Rescaling { get; init; }

    /// <summary>Steps of the learning-rate warm-up, from which some defaults of <see cref="ConstrainNorm"/> follow; 0 for none
    /// (default).</summary>
    public long WarmupSteps { get; init; }

    /// <summary>Steps of the whole run where that is known; null where not (default). A run too short for bounds at the inflection
    /// point, the default, sets them by a warm start; one too short for what the rule says itself is refused.</summary>
    public long? TotalSteps { get; init; }

    /// <summary>What is allowed but known not to work well, and what the length of the run has changed.</summary>
    internal IEnumerable<string> Warnings()
    {
        OptimizerOptions resolved = Resolve();
        foreach (string warning in resolved.Groups.SelectMany(g => g.Warnings()).Distinct()) yield return warning;
        if (TotalSteps is long steps
            && Groups.Where((g, i) => g.Constraint is { IsDefaultBound: true } && resolved.Groups[i].Constraint!.Bound is AfterStepsBound)
            .Any())
        {
            yield return ConstrainNorm.ShortRunWarning(steps);
        }
    }

    /// <summary>The index of the rule that takes a parameter; null when none does.</summary>
    internal int? GroupOf(string parameter)
    {
        int[] groups = [.. Enumerable.Range(0, Groups.Length)];
        return groups.Where(g => Groups[g].Parameters.Any(n => n.Matches(parameter)))
            .Concat(groups.Where(g => Groups[g].Parameters.IsEmpty))
            .Select(g => (int?)g).FirstOrDefault();
    }

    // The same with all defaults written out.
    internal OptimizerOptions Resolve() => this with
    {
        Groups = [.. Groups.Select(g =>
            g with { Links = [.. MaxGradientValue > 0 ? [new ClipGradientValue(MaxGradientValue)] : Array.Empty<UpdateLink>(),
            .. g.Links.Select(l => l is ConstrainNorm c ? c.Resolve(WarmupSteps, TotalSteps) : l)] })],
        MaxGradientValue = 0,
    };

    /// <summary>Names of the scalars that can be scheduled: the learning rate, and those of links that apply to some parameter.</summary>
    internal IReadOnlyList<string> ScheduledScalars(IReadOnlyList<ParameterSpec> parameters) =>
    [
        UpdateRule.LearningRateScalar,
        .. Groups.SelectMany(g => g.Links).Where(l => parameters.Any(l.AppliesTo)).SelectMany(l => l.Schedulable).Select(s => s.Name)
            .Distinct(),
    ];

    /// <summary>A scheduled scalar of each group before any schedule; 0 in groups without that link.</summary>
    internal double[] ScalarOfGroups(string name) =>
    [
        .. Groups.Select(g => name == UpdateRule.LearningRateScalar ? g.LearningRate
            : g.Links.SelectMany(l => l.Schedulable).FirstOrDefault(s => s.Name == name).Value),
    ];

    /// <summary>Checks every property.</summary>
    /// <exception cref="OptionException">Names all that are out of range.</exception>
    public void Validate()
    {
        List<string> problems =
            [.. Groups.IsDefaultOrEmpty ? ["Groups is empty; expected at least one rule"]
            : Groups.SelectMany((g, i) => g.Problems().Select(p => Groups.Length == 1 ? p : $"group {i}: {p}"))];
        if (!(MaxGradientNorm >= 0 && double.IsFinite(MaxGradientNorm)))
        {
            problems.Add(FormattableString.Invariant(
                $"{nameof(MaxGradientNorm)} is {MaxGradientNorm}; expected a finite number of at least 0 (0: no clipping)"));
        }
        if (!(MaxGradientValue >= 0 && double.IsFinite(MaxGradientValue)))
        {
            problems.Add(FormattableString.Invariant(
                $"{nameof(MaxGradientValue)} is {MaxGradientValue}; expected a finite number of at least 0 (0: no clipping)"));
        }
        problems.AddRange(Rescaling?.Problems() ?? []);
        problems.AddRange(LayerDecay?.Problems() ?? []);
        if (WarmupSteps < 0) problems.Add($"{nameof(WarmupSteps)} is {WarmupSteps}; expected at least 0");
        if (TotalSteps < 1) problems.Add($"{nameof(TotalSteps)} is {TotalSteps}; expected at least 1");
        if (problems.Count == 0 && TotalSteps is long steps)
        {
            problems.AddRange(Resolve().Groups.Where((_, i) => Groups[i].Constraint is { IsDefaultBound: false })
                .Select(g => g.Constraint!.Bound.TooShort(steps)).OfType<string>());
        }
        OptionException.ThrowIfAny("The optimizer has options out of range", problems);
    }
}
