using System.Text.Json;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tool.Verify;

// The config of an optimizer-trajectory case as optimizer options: a key of a group wins over the same key of the run.
internal sealed class OptimizerConfig
{
    private readonly JsonElement _run;

    public OptimizerConfig(JsonElement run)
    {
        _run = run;
        Groups = [.. run.GetProperty("groups").EnumerateArray()];
        Options = new OptimizerOptions
        {
            Groups = [.. Groups.Select(Rule)],
            // The recorded runs have neither guard nor clipping.
            NonFiniteGuard = false,
            Rescaling = Algorithm == "Adam+Rescaling" ? new RescaleWeights(Number(_run, "rescale_alpha") ?? 0.8) : null,
        };
    }

    public JsonElement[] Groups { get; }

    public OptimizerOptions Options { get; }

    public bool IsDouble => _run.GetProperty("dtype").GetString() == "float64";

    private string Algorithm => _run.GetProperty("algorithm").GetString()!;

    private static JsonElement? Get(JsonElement from, string key) => from.TryGetProperty(key, out JsonElement v) && v.ValueKind != JsonValueKind.Null ? v : null;

    private static double? Number(JsonElement from, string key) => Get(from, key)?.GetDouble();

    private JsonElement? Value(JsonElement group, string key) => Get(group, key) ?? Get(_run, key);

    private double Number(JsonElement group, string key, double fallback) => Value(group, key)?.GetDouble() ?? fallback;

    private bool Flag(JsonElement group, string key) => Value(group, key)?.GetBoolean() ?? false;

    private UpdateRule Rule(JsonElement group)
    {
        double decay = Number(group, "weight_decay", 0);
        double[] betas = [.. Value(group, "betas")?.EnumerateArray().Select(b => b.GetDouble()) ?? [0.9, 0.999]];
        var adam = new ScaleByAdam { Beta1 = betas[0], Beta2 = betas[1], Epsilon = Number(group, "eps", 1e-8), AmsGrad = Flag(group, "amsgrad") };
        // In these files a group's decay holds for all of its parameters.
        UpdateLink[] decoupled = decay == 0 ? [] : [new AddDecayedWeights(decay, OnlyConstrained: false)];
        UpdateLink[] coupled = decay == 0 ? [] : [new AddCoupledDecay(decay, OnlyConstrained: false)];
        var momentum = new ScaleByMomentum(Number(group, "momentum", 0), Number(group, "dampening", 0), Flag(group, "nesterov"));
        UpdateLink[] links = Algorithm switch
        {
            "AdamCPR" or "AdaCPR" => [adam, Constraint(group)],
            "AdamW+CPR" => [adam, .. decoupled, Constraint(group)],
            "AdamW" => [adam, .. decoupled],
            "Adam" => [.. coupled, adam],
            "SGD" => [.. coupled, momentum],
            "SGD+CPR" => [.. coupled, momentum, Constraint(group)],
            "Adam+AWD" => [adam, new AddAdaptiveWeightDecay(Number(group, "awd_lambda", 0))],
            "Adam+AdaDecay" => [adam, new AddAdaDecay(Number(group, "adadecay_lambda", 0), Number(group, "adadecay_alpha", 4))],
            "Adam+Rescaling" => [adam],
            _ => throw new CaseException($"algorithm '{Algorithm}' is not supported; supported: AdamCPR, AdaCPR, AdamW+CPR, AdamW, Adam, SGD, SGD+CPR, Adam+Rescaling, Adam+AWD, Adam+AdaDecay"),
        };
        return new UpdateRule { LearningRate = Number(group, "lr", 1e-3), Maximize = Flag(group, "maximize"), Links = [.. links] };
    }

    private ConstrainNorm Constraint(JsonElement group)
    {
        KappaInitMethod method = Value(group, "kappa_init_method")?.GetString() switch
        {
            "uniform" => KappaInitMethod.Uniform,
            "dependent" => KappaInitMethod.Dependent,
            "warm_start" => KappaInitMethod.WarmStart,
            "inflection_point" => KappaInitMethod.InflectionPoint,
            string other => throw new CaseException($"kappa_init_method '{other}' is not known"),
            null => throw new CaseException("kappa_init_method is missing"),
        };
        return new ConstrainNorm
        {
            KappaInitMethod = method,
            KappaInitParam = method == KappaInitMethod.InflectionPoint ? null : Number(group, "kappa_init_param", double.NaN),
            Regularizer = Enum.TryParse(Value(group, "reg_function")?.GetString(), ignoreCase: true, out Regularizer r) ? r
                : throw new CaseException($"reg_function '{Value(group, "reg_function")}' is not known"),
            KappaUpdate = Number(group, "kappa_update", 1),
            Adaptive = Value(group, "kappa_adapt") is JsonElement adapt && (adapt.ValueKind == JsonValueKind.True || (adapt.ValueKind == JsonValueKind.String && adapt.GetString() is "reduce")),
            KappaScale = Value(group, "kappa_scale")?.GetString() is "mean" ? KappaScale.Mean : KappaScale.Sum,
            EvaluateAt = Value(group, "evaluate_at")?.GetString() is "previous" ? EvaluateAt.Previous : EvaluateAt.Updated,
            RegularizeByLearningRate = Flag(group, "reg_by_lr"),
            SampleInterval = (long)Number(group, "reg_step_size", 200),
            SampleDecay = Number(group, "reg_ema_decay", 0),
            MaxWaitSteps = (long)Number(group, "max_wait_steps", 0),
        };
    }
}
