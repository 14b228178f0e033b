using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tool.Verify;

/// <summary>Update rules by the names that recorded runs use.</summary>
internal static class RecordedRule
{
    private static readonly Dictionary<string, string> Methods = Bound.Methods.ToDictionary(m => m);

    private static readonly Dictionary<string, Regularizer> Measures = Enum.GetValues<Regularizer>()
        .ToDictionary(ConstrainNorm.RegularizerName);

    /// <summary>Adam or SGD with the weight decay of its kind: decoupled in AdamW, coupled in Adam and SGD.</summary>
    /// <param name="config">The settings.</param>
    /// <param name="name"><c>Adam</c>, <c>AdamW</c> or <c>SGD</c>.</param>
    public static UpdateLink[] Base(CaseConfig config, string name)
    {
        SayNothingOfConstraints(config);
        double decay = config.Number("weight_decay", 0);
        // In these files a group's decay holds for all of its parameters.
        UpdateLink[] coupled = decay == 0 || name == "AdamW" ? [] : [new AddCoupledDecay(decay, OnlyConstrained: false)];
        UpdateLink[] decoupled = decay == 0 || name != "AdamW" ? [] : [new AddDecayedWeights(decay, OnlyConstrained: false)];
        return [.. coupled, name == "SGD" ? Momentum(config) : Adam(config), .. decoupled];
    }

    /// <summary>Lets the constraint's settings stand that configs write out for every optimizer. The method is not among them: who names
    /// one means a constraint.</summary>
    public static void SayNothingOfConstraints(CaseConfig config) => config.Describes("kappa_init_param", "kappa_update", "reg_function");

    /// <summary>The constraint after the base rule.</summary>
    /// <param name="config">The settings.</param>
    /// <param name="isAdaptive">Whether the algorithm's name says AdaCPR.</param>
    public static ConstrainNorm Constraint(CaseConfig config, bool isAdaptive = false)
    {
        string method = config.Choice("kappa_init_method", Methods);
        bool inflects = method == AtInflectionBound.MethodName;
        // The package has these three for every method; they do something for one.
        if (!inflects) config.Describes("reg_step_size", "reg_ema_decay", "max_wait_steps");
        var choices = new Dictionary<string, bool> { ["reduce"] = true, ["true"] = true, ["false"] = false };
        bool adapts = config.Choice("kappa_adapt", choices, isAdaptive ? "reduce" : "false");
        if (isAdaptive && !adapts) throw new CaseException("the algorithm is AdaCPR, but 'kappa_adapt' of the config is off");
        return new ConstrainNorm
        {
            Bound = Bound.Of(
                method,
                inflects ? null : config.Number("kappa_init_param"),
                inflects ? config.Whole("reg_step_size", AtInflectionBound.DefaultInterval) : null,
                inflects ? config.Number("reg_ema_decay", 0) : 0,
                inflects ? config.Whole("max_wait_steps", 0) : 0,
                config.Choice("kappa_scale", new Dictionary<string, KappaScale> { ["sum"] = KappaScale.Sum, ["mean"] = KappaScale.Mean },
                    "sum")),
            Regularizer = config.Choice("reg_function", Measures),
            KappaUpdate = config.Number("kappa_update", 1),
            Adaptive = adapts,
            EvaluateAt = config.Choice("evaluate_at",
                new Dictionary<string, EvaluateAt> { ["updated"] = EvaluateAt.Updated, ["previous"] = EvaluateAt.Previous }, "updated"),
            RegularizeByLearningRate = config.Flag("reg_by_lr"),
        };
    }

    /// <summary>Adam's moments.</summary>
    public static ScaleByAdam Adam(CaseConfig config)
    {
        double[] betas = config.Numbers("betas", 0.9, 0.999);
        return new ScaleByAdam
        {
            Beta1 = betas[0],
            Beta2 = betas[1],
            Epsilon = config.Number("eps", 1e-8),
            AmsGrad = config.Flag("amsgrad")
        };
    }

    private static ScaleByMomentum Momentum(CaseConfig config)
    {
        // These are written out for every optimizer too; SGD has none of them.
        config.Describes("betas", "eps");
        return new ScaleByMomentum(config.Number("momentum", 0), config.Number("dampening", 0), config.Flag("nesterov"));
    }
}
