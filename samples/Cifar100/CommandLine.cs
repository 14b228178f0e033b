using System.CommandLine;
using OrtCpr.Graph.Optimizers;
using Samples;

namespace Cifar100;

// Options of the authors' script and ours.
internal static class CommandLine
{
    private const long ReducedSteps = 400;
    private const int ReducedBatch = 32;

    private static readonly string[] Optimizers = ["adamcpr", "adamw", "adam_awd", "adam_adadecay", "sgd", "sgdcpr"];

    public static RootCommand Create(Func<Settings, CancellationToken, int> run)
    {
        Settings d = new();
        Option<string> optimizer = SampleProgram.Option("optimizer", "adamcpr, adamw, adam_awd, adam_adadecay, sgd or sgdcpr", d.Optimizer);
        optimizer.AcceptOnlyFromAmong(Optimizers);
        Option<double> lr = SampleProgram.Option("lr", "learning rate", d.Lr), beta1 = SampleProgram.Option("beta1", "Adam", d.Beta1),
            beta2 = SampleProgram.Option("beta2", "Adam", d.Beta2),
            decay = SampleProgram.Option("weight-decay", "of adamw and sgd; strength of adam_awd and adam_adadecay", d.WeightDecay);
        Option<bool> schedule = SampleProgram.Option("schedule-weight-decay", "let the decay fall over the run", false);
        Option<string> scheduleType = SampleProgram.Option("wd-schedule-type", "cosine or linear", d.WdScheduleType);
        Option<double> scale = SampleProgram.Option("wd-scale", "what is left of the decay at the end", d.WdScale),
            alpha = SampleProgram.Option("rescale-alpha", "adamw: multiply the weights by this once and keep their norm; 0: off",
            d.RescaleAlpha);
        Option<string> method =
            SampleProgram.Option("kappa-init-method", "uniform, dependent, warm_start or inflection_point", "warm_start");
        method.AcceptOnlyFromAmong([.. Bound.Methods, "depended"]);
        Option<double> parameter =
            SampleProgram.Option("kappa-init-param", "the bound, its factor, or the step at which it is set", d.KappaInitParam),
            update = SampleProgram.Option("kappa-update", "rate of the multipliers", d.KappaUpdate),
            momentum = SampleProgram.Option("momentum", "sgd", d.Momentum);
        Option<Regularizer> regularizer = SampleProgram.Option("reg-function", "l2, l1, std or huber", d.RegFunction);
        Option<long> interval = SampleProgram.Option("reg-step-size", "inflection_point: steps between samples", d.RegStepSize),
            warmup = SampleProgram.Option("lr-warmup-steps", "", d.LrWarmupSteps),
            evaluate = SampleProgram.Option("eval-interval", "steps between evaluations; 0 for ten in a run", 0L);
        Option<long?> steps = new("--max-train-steps") { Description = "default: 400, or 20000 with --full" };
        Option<int?> batch = new("--batch-size") { Description = "default: 32, or 128 with --full" };
        Option<double> left = SampleProgram.Option("lr-decay-factor", "what the cosine leaves of the learning rate", d.LrDecayFactor);
        Option<int> seed = SampleProgram.Option("seed", "", d.Seed),
            log = SampleProgram.Option("log-interval", "steps between lines of the logs", d.LogInterval),
            threads = SampleProgram.Option("threads", "0 for one a physical core", 0);
        Option<bool> full = SampleProgram.Option("full", "the paper's length and batch", false),
            synthetic = SampleProgram.Option("synthetic", "make and use a learnable stand-in of the data set", false),
            resume = SampleProgram.Option("resume", "go on from the last checkpoint", false);
        Option<bool> adapt = SampleProgram.Option("kappa-adapt", "accepted and without effect, as in the authors' script", false),
            bar = SampleProgram.Option("enable-progress-bar", "accepted; there is one", true);
        Option<string> device = SampleProgram.Option("device", "cpu, cuda, cuda:N or webgpu:PATH", d.Device),
            data = SampleProgram.Option("data-dir", "folder with train.bin and test.bin", d.DataDir),
            output = SampleProgram.Option("output-dir", "", d.OutputDir),
            session = SampleProgram.Option("session", "folder in the output folder", "");
        Option<string> model = SampleProgram.Option("model-name", "only ResNet18", "ResNet18");
        model.AcceptOnlyFromAmong("ResNet18");
        RootCommand root = new("ResNet18 on CIFAR-100 with AdamCPR and its rivals, by the authors' command lines. Without --full a run has "
            + "400 steps of 32 images, and what is counted in steps shrinks with it.");
        foreach (Option option in new Option[] { optimizer, lr, beta1, beta2, decay, schedule, scheduleType, scale, alpha, method,
            parameter, update, momentum, regularizer, interval, warmup, evaluate, steps, batch, left, seed, log, threads, full, synthetic,
            resume, adapt, bar, device, data, output, session, model })
        {
            root.Add(option);
        }

        root.SetAction((r, cancellation) =>
        {
            Settings settings = new()
            {
                Optimizer = r.GetValue(optimizer)!,
                Lr = r.GetValue(lr),
                Beta1 = r.GetValue(beta1),
                Beta2 = r.GetValue(beta2),
                WeightDecay = r.GetValue(decay),
                ScheduleWeightDecay = r.GetValue(schedule),
                WdScheduleType = r.GetValue(scheduleType)!,
                WdScale = r.GetValue(scale),
                RescaleAlpha = r.GetValue(alpha),
                KappaInitMethod = r.GetValue(method)!.Replace("depended", "dependent", StringComparison.Ordinal),
                KappaInitParam = r.GetValue(parameter),
                KappaUpdate = r.GetValue(update),
                Momentum = r.GetValue(momentum),
                RegFunction = r.GetValue(regularizer),
                RegStepSize = r.GetValue(interval),
                LrWarmupSteps = r.GetValue(warmup),
                EvalInterval = r.GetValue(evaluate),
                LrDecayFactor = r.GetValue(left),
                Seed = r.GetValue(seed),
                LogInterval = r.GetValue(log),
                Threads = r.GetValue(threads),
                Synthetic = r.GetValue(synthetic),
                Resume = r.GetValue(resume),
                Device = r.GetValue(device)!,
                DataDir = r.GetValue(data)!,
                OutputDir = Path.Combine(r.GetValue(output)!, r.GetValue(session)!),
            };
            if (settings.RescaleAlpha > 0 && settings.Optimizer != "adamw")
            {
                throw new SampleException("--rescale_alpha is for --optimizer adamw.");
            }
            settings = settings with
            {
                MaxTrainSteps = r.GetValue(steps) ?? Settings.FullSteps,
                BatchSize = r.GetValue(batch) ?? settings.BatchSize
            };
            if (settings.MaxTrainSteps < 1 || settings.BatchSize < 1)
            {
                throw new SampleException("--max_train_steps and --batch_size must be at least 1.");
            }
            long length = r.GetValue(steps) ?? ReducedSteps;
            return Task.FromResult(run(r.GetValue(full) ? settings : settings.Reduced(length, r.GetValue(batch) ?? ReducedBatch),
                cancellation));
        });
        return root;
    }
}
