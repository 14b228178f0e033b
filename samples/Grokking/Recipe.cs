using System.Collections.Immutable;
using System.Globalization;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;

namespace Grokking;

/// <summary>How a run optimizes: the authors' options by the authors' names, with the defaults of their script.</summary>
internal sealed record Recipe
{
    private const double DefaultFactor = 0.8;

    /// <summary><c>adamcpr</c>, <c>adamw</c>, or <c>adam</c>, which is adamw without decay.</summary>
    public string Optimizer { get; init; } = "adamcpr";

    public double Lr { get; init; } = 1e-3;

    public double Beta1 { get; init; } = 0.9;

    public double Beta2 { get; init; } = 0.98;

    public double WeightDecay { get; init; } = 0.1;

    /// <summary>Factor of the rescaling; 0 for none.</summary>
    public double RescaleAlpha { get; init; }

    public Regularizer RegFunction { get; init; } = Regularizer.L2;

    /// <summary>One of <see cref="Bound.Methods"/>.</summary>
    public string KappaInitMethod { get; init; } = "dependent";

    /// <summary>Null for the default of the method: 0.8 of the first R for dependent, 1000 steps for warm_start.</summary>
    public double? KappaInitParam { get; init; }

    public double KappaUpdate { get; init; } = 1;

    public long RegStepSize { get; init; } = 200;

    public double RegEmaDecay { get; init; }

    public bool RegEmbedding { get; init; } = true;

    public bool RegByLr { get; init; }

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

    /// <summary>The same for the library.</summary>
    /// <param name="seed">Of the first weights.</param>
    /// <param name="weights">First weights where they are given.</param>
    /// <param name="steps">Steps of the run, by which bounds out of reach are refused.</param>
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
        return new TrainingOptions
        {
            Optimizer = new OptimizerOptions
            {
                Groups = [rule],
                Rescaling = RescaleAlpha > 0 ? new RescaleWeights(RescaleAlpha) : null,
                TotalSteps = steps
            },
            Parameters = new ParameterOptions { RegularizeEmbeddings = RegEmbedding },
            Seed = seed,
            InitialParameters = weights,
        };
    }

    // As short as it can be, but with a decimal place where the number is small: 0.1, 1.0, 1000.
    private static string Number(double value)
    {
        string exact = value.ToString("R", CultureInfo.InvariantCulture);
        return value < 10 && value == Math.Floor(value) ? $"{exact}.0" : exact;
    }
}
