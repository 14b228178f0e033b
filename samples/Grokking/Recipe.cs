using System.Collections.Immutable;
using System.Globalization;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;
using Samples;

namespace Grokking;

/// <summary>How a run optimizes: the authors' options by the authors' names, with the defaults of their script.</summary>
internal sealed record Recipe
{
    private const double DefaultFactor = 0.8;

    [Option("adamcpr, adamw, or adam, which is adamw without decay", Choices = "adamcpr adamw adam")]
    public string Optimizer { get; init; } = "adamcpr";
    [Option("learning rate, constant")] public double Lr { get; init; } = 1e-3;
    [Option("Adam")] public double Beta1 { get; init; } = 0.9;
    [Option("Adam")] public double Beta2 { get; init; } = 0.98;
    [Option("both at once", Count = 2)]
    public ImmutableArray<double> Betas { get => [Beta1, Beta2]; init => (Beta1, Beta2) = (value[0], value[1]); }
    [Option("of adamw")] public double WeightDecay { get; init; } = 0.1;
    [Option("multiply the weights by this once and keep their total norm; 0: off")] public double RescaleAlpha { get; init; }
    [Option("measure that is bounded: l2, l1, std or huber")] public Regularizer RegFunction { get; init; } = Regularizer.L2;
    [Option("where bounds come from: uniform, dependent, warm_start or inflection_point",
        Choices = "uniform dependent depended warm_start inflection_point")]
    public string KappaInitMethod { get; init => field = value == "depended" ? "dependent" : value; } = "dependent";
    [Option("uniform: the bound; dependent: factor on the first R (default 0.8); warm_start: steps (default 1000)")]
    public double? KappaInitParam { get; init; }
    [Option("rate of the multipliers")] public double KappaUpdate { get; init; } = 1;
    [Option("inflection_point: steps between samples")] public long RegStepSize { get; init; } = 200;
    [Option("inflection_point: decay of the average over samples")] public double RegEmaDecay { get; init; }
    [Option("bound or decay embeddings too")] public bool RegEmbedding { get; init; } = true;
    [Option("multiply the constraint's step by the learning rate")] public bool RegByLr { get; init; }

    /// <summary>What <c>--compare</c> runs, in the order of its table.</summary>
    public static readonly ImmutableArray<Recipe> Compared =
    [
        new() { Optimizer = "adamw" },
        new() { Optimizer = "adamw", WeightDecay = 0.3 },
        new() { Optimizer = "adamw", WeightDecay = 1.0 },
        new() { Optimizer = "adam", RescaleAlpha = DefaultFactor },
        new(),
        new() { RegFunction = Regularizer.Std },
    ];

    private double? KappaParam => KappaInitMethod switch
    {
        "inflection_point" => null,
        "dependent" => KappaInitParam ?? DefaultFactor,
        "warm_start" => KappaInitParam ?? 1000,
        _ => KappaInitParam,
    };

    /// <summary>Short name of the run in files, figures and tables; the names of the reference where the settings are the
    /// reference's.</summary>
    public string Name
    {
        get
        {
            string bound = (KappaInitMethod, KappaParam) is ("dependent", DefaultFactor) ? ""
                : $"-{KappaInitMethod}{(KappaParam is double param ? $"-{Number(param)}" : "")}";
            string name = Optimizer switch
            {
                "adamcpr" => $"adamcpr-{RegFunction.ToString().ToLowerInvariant()}{bound}",
                "adamw" when WeightDecay > 0 => WeightDecay == 0.1 ? "adamw" : $"adamw-{Number(WeightDecay)}",
                _ => "adam",
            };
            return RescaleAlpha == 0 ? name : $"{name}-rescale{(RescaleAlpha == DefaultFactor ? "" : $"-{Number(RescaleAlpha)}")}";
        }
    }

    /// <summary>The same for the library. By the steps of the run bounds out of reach are refused.</summary>
    public TrainingOptions ToTrainingOptions(long seed, ImmutableDictionary<string, TensorData> weights, long? steps = null)
    {
        ScaleByAdam adam = new() { Beta1 = Beta1, Beta2 = Beta2 };
        UpdateRule rule = Optimizer switch
        {
            "adamcpr" => UpdateRule.AdamCpr(Lr, adam, new ConstrainNorm
            {
                Regularizer = RegFunction,
                Bound = Bound.Of(KappaInitMethod, KappaParam, RegStepSize, RegEmaDecay),
                KappaUpdate = KappaUpdate,
                RegularizeByLearningRate = RegByLr,
            }),
            "adamw" when WeightDecay > 0 => UpdateRule.AdamW(Lr, WeightDecay, adam),
            _ => UpdateRule.Adam(Lr, adam),
        };
        RescaleWeights? rescaling = RescaleAlpha > 0 ? new RescaleWeights(RescaleAlpha) : null;
        return new TrainingOptions
        {
            Optimizer = new OptimizerOptions { Groups = [rule], Rescaling = rescaling, TotalSteps = steps },
            Parameters = new ParameterOptions { RegularizeEmbeddings = RegEmbedding },
            Seed = seed,
            InitialParameters = weights,
        };
    }

    // As short as it can be, but with a decimal place where the number is small: 0.1, 1.0, 1000.
    private static string Number(double value) =>
        value.ToString(value < 10 && value == Math.Floor(value) ? "F1" : "R", CultureInfo.InvariantCulture);
}
