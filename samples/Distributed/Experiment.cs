using System.Diagnostics;
using System.Globalization;
using OrtCpr;
using OrtCpr.Data;
using OrtCpr.Distributed;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;

namespace Distributed;

internal static class Experiment
{
    private const int Vocabulary = 256, Tokens = 60_000;

    public static int Run(Settings settings, ICollective processes, CancellationToken cancellation)
    {
        using TrainingDriver driver = TrainingDriver.Create(Path.Combine(AppContext.BaseDirectory, "gpt2_5m.onnx"), new TrainingOptions
        {
            Seed = settings.Seed,
            Optimizer = new OptimizerOptions
            {
                Groups = [UpdateRule.AdamCpr(settings.Lr, constraint: new ConstrainNorm { Bound = Bound.AfterSteps(settings.Warm) })],
                MaxGradientNorm = 1,
            },
        }, new DriverOptions
        {
            Collective = processes,
            Threads = settings.Threads > 0 ? settings.Threads : Math.Max(1, Environment.ProcessorCount / DistributedProgram.LocalSize),
            Device = settings.Device == "cuda" ? $"cuda:{DistributedProgram.LocalRank}" : settings.Device,
            ShardOptimizerState = settings.ShardState,
            OuterOptimizer = settings.OuterInterval == 0 ? null : new OuterOptimizer
            {
                Interval = settings.OuterInterval,
                ExchangeType = settings.HalfExchange ? ElementType.BFloat16 : ElementType.Float,
            },
        });
        int[] text = Text(settings.Seed);
        using DataSource training = DataSource.FromTokens(text[..^6000], settings.SequenceLength),
            validation = DataSource.FromTokens(text[^6000..], settings.SequenceLength);
        var batches = new DataLoader(training, driver.Plan.BatchInputs,
            new DataLoaderOptions { BatchSize = settings.BatchSize, Seed = settings.Seed, DropLast = true });
        var held = new DataLoader(validation, driver.Plan.BatchInputs, new DataLoaderOptions { BatchSize = 16, Shuffle = false });
        var clock = new Stopwatch();
        FitResult result = new Trainer(driver).Fit(batches, new FitOptions
        {
            Epochs = long.MaxValue / batches.BatchCount,
            MaxSteps = settings.Steps,
            // The first step makes what later ones use.
            Callbacks = [new AfterStep(_ => clock.Start())],
        }, cancellation);
        double seconds = clock.Elapsed.TotalSeconds;
        double loss = new Trainer(driver).Evaluate(held, cancellation: cancellation).Loss;
        if (processes.Rank > 0) return 0;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{processes.Size} processes, {settings.BatchSize} windows each: "
            + $"{(settings.Steps - 1) / seconds:F2} steps/s, "
            + $"{(settings.Steps - 1) / seconds * processes.Size * settings.BatchSize:F1} windows/s, validation loss {loss:F4}, "
            + $"memory of rank 0 at its peak {Process.GetCurrentProcess().PeakWorkingSet64 / 1e6:F0} MB, "
            + $"{driver.Plan.Trained.Sum(p => p.ElementCount) / 1e6:F2} M parameters"));
        Console.WriteLine(result.ConstraintSummary);
        driver.ExportModel("distributed.onnx");
        return 0;
    }

    // A made-up language: each letter is one of three that the letter before it allows, or now and then any.
    private static int[] Text(int seed)
    {
        var random = new Random(seed);
        int[] text = new int[Tokens];
        for (int i = 1; i < Tokens; i++)
        {
            int first = text[i - 1] * 37 % Vocabulary;
            text[i] = random.NextDouble() < 0.9 ? (first + (random.Next(3) * 85)) % Vocabulary : random.Next(Vocabulary);
        }
        return text;
    }

    private sealed class AfterStep(Action<StepReport> look) : TrainerCallback
    {
        public override void OnStepEnd(Trainer trainer, StepReport report, FitControl control) => look(report);
    }
}
