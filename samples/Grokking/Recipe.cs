using System.Collections.Immutable;
using System.Globalization;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;

namespace Grokking;

internal enum OptimizerKind
{
    Adam,
    AdamW,
    AdamCpr,
}

// How a run optimizes: the authors' options by the authors' names, with the defaults of their script.
internal sealed record Recipe
{
    public const double DefaultFactor = 0.8;

    public OptimizerKind Optimizer { get; init; } = OptimizerKind.AdamCpr;

    public double LearningRate { get; init; } = 1e-3;

    public double Beta1 { get; init; } = 0.9;

    public double Beta2 { get; init; } = 0.98;

    public double WeightDecay { get; init; } = 0.1;

    // 0 for no rescaling.
    public double RescaleAlpha { get; init; }

    public Regularizer RegFunction { get; init; } = Regularizer.L2;

    public KappaInitMethod KappaInitMethod { get; init; } = KappaInitMethod.Dependent;

    // Null for the default of the method: 0.8 of the first R for dependent, 1000 steps for warm_start.
    public double? KappaInitParam { get; init; }

    public double KappaUpdate { get; init; } = 1;

    public long RegStepSize { get; init; } = 200;

    public double RegEmaDecay { get; init; }

    public bool RegEmbedding { get; init; } = true;

    public bool RegByLr { get; init; }

    // Short name of the run in files, figures and tables; the names of the reference where the settings are the reference's.
    public string Name
    {
        get
        {
            string name = Optimizer switch
            {
                OptimizerKind.AdamCpr => $"adamcpr-{Lower(RegFunction)}{KappaSuffix}",
                OptimizerKind.AdamW when WeightDecay > 0 => WeightDecay == 0.1 ? "adamw" : $"adamw-{Number(WeightDecay)}",
                _ => "adam",
            };
            return RescaleAlpha == 0 ? name : $"{name}-rescale{(RescaleAlpha == DefaultFactor ? "" : $"-{Number(RescaleAlpha)}")}";
        }
    }

    // Everything that decides what the run computes, by option name; a resumed run must agree.
    public IEnumerable<(string Option, string Value)> Settings
    {
        get
        {
            yield return ("optimizer", Optimizer.ToString().ToLowerInvariant());
            yield return ("lr", Number(LearningRate));
            yield return ("betas", $"{Number(Beta1)},{Number(Beta2)}");
            yield return ("rescale_alpha", Number(RescaleAlpha));
            yield return ("reg_embedding", RegEmbedding ? "true" : "false");
            if (Optimizer == OptimizerKind.AdamW) yield return ("weight_decay", Number(WeightDecay));
            if (Optimizer != OptimizerKind.AdamCpr) yield break;
            yield return ("reg_function", Lower(RegFunction));
            yield return ("kappa_init_method", MethodName(KappaInitMethod));
            if (KappaParam is double param) yield return ("kappa_init_param", Number(param));
            yield return ("kappa_update", Number(KappaUpdate));
            yield return ("reg_by_lr", RegByLr ? "true" : "false");
            if (KappaInitMethod != KappaInitMethod.InflectionPoint) yield break;
            yield return ("reg_step_size", Number(RegStepSize));
            yield return ("reg_ema_decay", Number(RegEmaDecay));
        }
    }

    public double? KappaParam => KappaInitMethod switch
    {
        KappaInitMethod.Dependent => KappaInitParam ?? DefaultFactor,
        KappaInitMethod.WarmStart => KappaInitParam ?? 1000,
        KappaInitMethod.Uniform => KappaInitParam,
        _ => null,
    };

    private string KappaSuffix => (KappaInitMethod, KappaParam) is (KappaInitMethod.Dependent, DefaultFactor) ? ""
        : $"-{MethodName(KappaInitMethod)}{(KappaParam is double param ? $"-{Number(param)}" : "")}";

    public TrainingOptions ToTrainingOptions(long seed, ImmutableDictionary<string, TensorData> weights) => new()
    {
        Optimizer = ToOptimizerOptions(),
        Parameters = new ParameterOptions { RegularizeEmbeddings = RegEmbedding },
        Seed = seed,
        InitialParameters = weights,
    };

    public static string MethodName(KappaInitMethod method) => method switch
    {
        KappaInitMethod.WarmStart => "warm_start",
        KappaInitMethod.InflectionPoint => "inflection_point",
        _ => method.ToString().ToLowerInvariant(),
    };

    private OptimizerOptions ToOptimizerOptions()
    {
        ScaleByAdam adam = new() { Beta1 = Beta1, Beta2 = Beta2 };
        UpdateRule rule = Optimizer switch
        {
            OptimizerKind.AdamCpr => UpdateRule.AdamCpr(LearningRate, adam, new ConstrainNorm
            {
                Regularizer = RegFunction,
                KappaInitMethod = KappaInitMethod,
                KappaInitParam = KappaParam,
                KappaUpdate = KappaUpdate,
                RegularizeByLearningRate = RegByLr,
                SampleInterval = RegStepSize,
                SampleDecay = RegEmaDecay,
            }),
            OptimizerKind.AdamW when WeightDecay > 0 => UpdateRule.AdamW(LearningRate, WeightDecay, adam),
            _ => UpdateRule.Adam(LearningRate, adam),
        };
        return new OptimizerOptions { Groups = [rule], Rescaling = RescaleAlpha > 0 ? new RescaleWeights(RescaleAlpha) : null };
    }

    private static string Lower(Regularizer regularizer) => regularizer.ToString().ToLowerInvariant();

    // As short as it can be, but with a decimal place where the number is small: 0.1, 1.0, 1000.
    private static string Number(double value)
    {
        string exact = value.ToString("R", CultureInfo.InvariantCulture);
        return value < 10 && value == Math.Floor(value) ? $"{exact}.0" : exact;
    }
}
