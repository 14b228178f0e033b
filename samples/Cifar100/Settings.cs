using System.Globalization;
using OrtCpr.Graph;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Passes;
using OrtCpr.Schedules;
using Samples;

namespace Cifar100;

// One run: the authors' options by the authors' names, with the defaults of their script.
[FixedOption("model-name", "ResNet18")]
internal sealed record Settings
{
    public const long FullSteps = 20_000;

    private const long ReducedSteps = 400;
    private const int FullBatch = 128, ReducedBatch = 32;

    [Option("adamcpr, adamw, adam_awd, adam_adadecay, sgd or sgdcpr", Choices = "adamcpr adamw adam_awd adam_adadecay sgd sgdcpr")]
    public string Optimizer { get; init; } = "adamcpr";
    [Option("learning rate")] public double Lr { get; init; } = 1e-3;
    [Option("Adam")] public double Beta1 { get; init; } = 0.9;
    [Option("Adam")] public double Beta2 { get; init; } = 0.98;
    [Option("of adamw and sgd; strength of adam_awd and adam_adadecay")] public double WeightDecay { get; init; } = 0.1;
    [Option("let the decay fall over the run")] public bool ScheduleWeightDecay { get; init; }
    [Option("cosine or linear")] public string WdScheduleType { get; init; } = "cosine";
    [Option("what is left of the decay at the end")] public double WdScale { get; init; } = 0.1;
    [Option("adamw: multiply the weights by this once and keep their norm; 0: off")] public double RescaleAlpha { get; init; }
    [Option("uniform, dependent, warm_start or inflection_point", Choices = "uniform dependent depended warm_start inflection_point")]
    public string KappaInitMethod { get; init => field = value == "depended" ? "dependent" : value; } = "warm_start";
    [Option("the bound, its factor, or the step at which it is set")] public double KappaInitParam { get; init; } = 1000;
    [Option("l2, l1, std or huber")] public Regularizer RegFunction { get; init; } = Regularizer.L2;
    [Option("rate of the multipliers")] public double KappaUpdate { get; init; } = 1;
    // The paper's interval of samples on this task; the authors' package has 200.
    [Option("inflection_point: steps between samples")] public long RegStepSize { get; init; } = 50;
    [Option("sgd")] public double Momentum { get; init; } = 0.9;
    [Option("default: 400, or 20000 with --full", Least = 1)] public long MaxTrainSteps { get; init; }
    [Option("default: 32, or 128 with --full", Least = 1)] public int BatchSize { get; init; }
    [Option("steps in which the learning rate rises")] public long LrWarmupSteps { get; init; } = 200;
    [Option("what the cosine leaves of the learning rate")] public double LrDecayFactor { get; init; } = 0.1;
    [Option("first weights and shuffles")] public int Seed { get; init; } = 1;
    [Option("steps between lines of the logs")] public int LogInterval { get; init; } = 10;
    [Option("steps between evaluations; 0 for ten in a run")] public long EvalInterval { get; init; }
    [Option("0 for one a physical core")] public int Threads { get; init; }
    [Option("cpu, cuda, cuda:N or webgpu:PATH")] public string Device { get; init; } = "cpu";
    [Option("folder with train.bin and test.bin")] public string DataDir { get; init; } = "data/cifar-100-binary";
    [Option("folder for all runs")] public string OutputDir { get; init; } = "cifar100";
    [Option("folder in the output folder")] public string Session { get; init; } = "";
    [Option("the paper's length and batch")] public bool Full { get; init; }
    [Option("make and use a learnable stand-in of the data set")] public bool Synthetic { get; init; }
    [Option("go on from the last checkpoint")] public bool Resume { get; init; }
    [Option("accepted and without effect, as in the authors' script")] public bool KappaAdapt { get; init; }
    [Option("accepted; there is one")] public bool EnableProgressBar { get; init; } = true;

    // Reads a command line and does what it asks for.
    public static int Run(string[] words, Func<Settings, CancellationToken, int> run) => RecordOptions.Run<Settings>(
        "ResNet18 on CIFAR-100 with AdamCPR and its rivals, by the authors' command lines. Without --full a run has 400 steps of 32 "
        + "images, and what is counted in steps shrinks with it.", words, (settings, cancellation) => run(settings.Sized(), cancellation),
        (settings, _, problems) =>
        {
            if (settings.RescaleAlpha > 0 && settings.Optimizer != "adamw") problems.Add("--rescale_alpha is for --optimizer adamw");
        });

    private Settings Sized()
    {
        long steps = MaxTrainSteps > 0 ? MaxTrainSteps : Full ? FullSteps : ReducedSteps;
        int batch = BatchSize > 0 ? BatchSize : Full ? FullBatch : ReducedBatch;
        Settings whole = this with { OutputDir = Path.Combine(OutputDir, Session), MaxTrainSteps = steps, BatchSize = batch };
        return Full ? whole : whole.Reduced(steps);
    }

    // The steps of a shorter run, in proportion: what the options count in steps of the whole one.
    private Settings Reduced(long steps) => this with
    {
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
