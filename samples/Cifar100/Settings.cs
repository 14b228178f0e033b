using System.Globalization;
using OrtCpr.Graph;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Passes;
using OrtCpr.Schedules;

namespace Cifar100;

// One run: the authors' options by the authors' names, with the defaults of their script.
internal sealed record Settings
{
    public const long FullSteps = 20_000;

    public string Optimizer { get; init; } = "adamcpr";

    public double Lr { get; init; } = 1e-3;

    public double Beta1 { get; init; } = 0.9;

    public double Beta2 { get; init; } = 0.98;

    public double WeightDecay { get; init; } = 0.1;

    public bool ScheduleWeightDecay { get; init; }

    public string WdScheduleType { get; init; } = "cosine";

    public double WdScale { get; init; } = 0.1;

    public double RescaleAlpha { get; init; }

    public string KappaInitMethod { get; init; } = "warm_start";

    public double KappaInitParam { get; init; } = 1000;

    public Regularizer RegFunction { get; init; } = Regularizer.L2;

    public double KappaUpdate { get; init; } = 1;

    // The paper's interval of samples on this task; the authors' package has 200.
    public long RegStepSize { get; init; } = 50;

    public double Momentum { get; init; } = 0.9;

    public long MaxTrainSteps { get; init; } = FullSteps;

    public int BatchSize { get; init; } = 128;

    public long LrWarmupSteps { get; init; } = 200;

    public double LrDecayFactor { get; init; } = 0.1;

    public int Seed { get; init; } = 1;

    public int LogInterval { get; init; } = 10;

    public long EvalInterval { get; init; }

    public int Threads { get; init; }

    public string Device { get; init; } = "cpu";

    public string DataDir { get; init; } = "data/cifar-100-binary";

    public string OutputDir { get; init; } = "cifar100";

    public bool Synthetic { get; init; }

    public bool Resume { get; init; }

    // The steps of a shorter run, in proportion: what the options count in steps of the whole one.
    public Settings Reduced(long steps, int batch) => this with
    {
        MaxTrainSteps = steps,
        BatchSize = batch,
        LrWarmupSteps = Share(LrWarmupSteps, steps),
        RegStepSize = Share(RegStepSize, steps),
        KappaInitParam = KappaInitMethod == "warm_start" ? Share((long)KappaInitParam, steps) : KappaInitParam,
    };

    public string Name => Optimizer is "adamcpr" or "sgdcpr"
        ? string.Create(CultureInfo.InvariantCulture, $"{Optimizer}_{KappaInitMethod}"
            + $"{(KappaInitMethod == "inflection_point" ? "" : $"_{KappaInitParam}")}_{RegFunction.ToString().ToLowerInvariant()}"
            + $"_l{Lr}_seed{Seed}")
        : string.Create(CultureInfo.InvariantCulture, $"{Optimizer}_w{WeightDecay}{(RescaleAlpha > 0 ? $"_re{RescaleAlpha}" : "")}"
            + $"{(ScheduleWeightDecay ? $"_swd{WdScheduleType}{WdScale}" : "")}_l{Lr}_seed{Seed}");

    public TrainingOptions ToTraining() => new()
    {
        Loss = new CrossEntropyLoss { LabelSmoothing = 0.1 },
        BatchNormalization = BatchNormalizationMode.Training,
        UnbiasedRunningVariance = true,
        Seed = Seed,
        Optimizer = new OptimizerOptions
        {
            Groups = [Rule()],
            Rescaling = RescaleAlpha > 0 ? new RescaleWeights(RescaleAlpha) : null,
            TotalSteps = MaxTrainSteps
        },
    };

    public Schedule LearningRate => Schedule.Cosine(MaxTrainSteps, LrWarmupSteps, LrDecayFactor);

    public Schedule? Decay => !ScheduleWeightDecay ? null : WdScheduleType == "linear" ? Schedule.Linear(MaxTrainSteps, 0, WdScale)
        : Schedule.Cosine(MaxTrainSteps, 0, WdScale);

    private UpdateRule Rule()
    {
        ScaleByAdam adam = new() { Beta1 = Beta1, Beta2 = Beta2 };
        ConstrainNorm constraint = new()
        {
            Regularizer = RegFunction,
            Bound = Bound.Of(KappaInitMethod, KappaInitParam, RegStepSize),
            KappaUpdate = KappaUpdate,
        };
        return Optimizer switch
        {
            "adamcpr" => UpdateRule.AdamCpr(Lr, adam, constraint),
            "adamw" => UpdateRule.AdamW(Lr, WeightDecay, adam),
            "adam_awd" => UpdateRule.AdamAwd(Lr, WeightDecay, adam),
            "adam_adadecay" => UpdateRule.AdamAdaDecay(Lr, WeightDecay, adam: adam),
            "sgd" => UpdateRule.Sgd(Lr, new ScaleByMomentum(Momentum), WeightDecay),
            _ => UpdateRule.Sgd(Lr, new ScaleByMomentum(Momentum), 0, constraint),
        };
    }

    private static long Share(long steps, long of) => Math.Max(1, steps * of / FullSteps);
}
