using System.Collections.Immutable;
using System.Globalization;
using OrtCpr.Graph.Optimizers;

namespace Grokking;

// Every option of the program, in the order of the help text.
internal static class OptionTable
{
    private const string AtLeastZero = "a number of at least 0", Beta = "a number of at least 0 and below 1";

    // Those that choose the optimizer; --compare chooses for itself.
    public static readonly ImmutableArray<OptionSpec> RecipeOptions =
    [
        OptionSpec.Choice("optimizer", "default adamcpr; adam is adamw without decay", [("adamcpr", OptimizerKind.AdamCpr), ("adamw", OptimizerKind.AdamW), ("adam", OptimizerKind.Adam)],
            (o, value) => o with { Recipe = o.Recipe with { Optimizer = value } }),
        OptionSpec.Number("lr", "learning rate, constant; default 0.001", AtLeastZero, x => x >= 0, (o, x) => o with { Recipe = o.Recipe with { LearningRate = x } }),
        OptionSpec.Number("beta1", "default 0.9", Beta, x => x is >= 0 and < 1, (o, x) => o with { Recipe = o.Recipe with { Beta1 = x } }),
        OptionSpec.Number("beta2", "default 0.98", Beta, x => x is >= 0 and < 1, (o, x) => o with { Recipe = o.Recipe with { Beta2 = x } }),
        new("betas", "X,X", "both at once", "two numbers of at least 0 and below 1", SetBetas),
        OptionSpec.Number("weight_decay", "of adamw; default 0.1", AtLeastZero, x => x >= 0, (o, x) => o with { Recipe = o.Recipe with { WeightDecay = x } }),
        OptionSpec.Number("rescale_alpha", "multiply the weights by this once and keep their total norm; default 0: off", AtLeastZero, x => x >= 0, (o, x) => o with { Recipe = o.Recipe with { RescaleAlpha = x } }),
        OptionSpec.Choice("reg_function", "measure that is bounded; default l2", [("l2", Regularizer.L2), ("l1", Regularizer.L1), ("std", Regularizer.Std), ("huber", Regularizer.Huber)],
            (o, value) => o with { Recipe = o.Recipe with { RegFunction = value } }),
        OptionSpec.Choice("kappa_init_method", "where bounds come from; default dependent", [("uniform", KappaInitMethod.Uniform), ("dependent", KappaInitMethod.Dependent),
            ("depended", KappaInitMethod.Dependent), ("warm_start", KappaInitMethod.WarmStart), ("inflection_point", KappaInitMethod.InflectionPoint)],
            (o, value) => o with { Recipe = o.Recipe with { KappaInitMethod = value } }),
        OptionSpec.Number("kappa_init_param", "uniform: the bound; dependent: factor on the first R (default 0.8); warm_start: steps (default 1000)", AtLeastZero, x => x >= 0,
            (o, x) => o with { Recipe = o.Recipe with { KappaInitParam = x } }),
        OptionSpec.Number("kappa_update", "rate of the multipliers; default 1", AtLeastZero, x => x >= 0, (o, x) => o with { Recipe = o.Recipe with { KappaUpdate = x } }),
        OptionSpec.Whole("reg_step_size", "inflection_point: steps between samples; default 200", 1, (o, n) => o with { Recipe = o.Recipe with { RegStepSize = n } }),
        OptionSpec.Number("reg_ema_decay", "inflection_point: decay of the average over samples; default 0", Beta, x => x is >= 0 and < 1, (o, x) => o with { Recipe = o.Recipe with { RegEmaDecay = x } }),
        OptionSpec.Switch("reg_embedding", "bound or decay embeddings too; default true", (o, on) => o with { Recipe = o.Recipe with { RegEmbedding = on } }),
        OptionSpec.Switch("reg_by_lr", "multiply the constraint's step by the learning rate; default false", (o, on) => o with { Recipe = o.Recipe with { RegByLr = on } }),
        OptionSpec.Switch("kappa_adapt", "accepted and without effect, as in the authors' script", (o, _) => o),
    ];

    public static readonly ImmutableArray<OptionSpec> RunOptions =
    [
        new("seed", "N", "split, first weights and shuffles; default 1", "a whole number", (o, text) => SetSeeds(o, text, 1)),
        new("seeds", "N,N", "several runs, one after the other", "whole numbers with commas between", (o, text) => SetSeeds(o, text, int.MaxValue)),
        new("reference_seed", "1|2", "split, weights and first ten shuffles of the PyTorch reference; 1,2 for both", "1, 2 or 1,2",
            (o, text) => SetSeeds(o, text, 2) is { } set && set.Seeds.All(s => s is 1 or 2) ? set with { FromReference = true } : null),
        OptionSpec.Whole("epochs", "at most so many; default 1000", 1, (o, n) => o with { Epochs = n }),
        OptionSpec.Whole("batch_size", "default 512", 1, (o, n) => o with { BatchSize = n }),
        OptionSpec.Number("p", "modulus; default 113, which the model is made for", "a whole number from 2 to 113", x => x is >= 2 and <= Options.ModelModulus && x == Math.Floor(x), (o, x) => o with { P = (int)x }),
        OptionSpec.Number("train_fraction", "share of the pairs that is trained on; default 0.3", "a number above 0 and below 1", x => x is > 0 and < 1, (o, x) => o with { TrainFraction = x }),
        OptionSpec.Whole("eval_every", "epochs between evaluations; default 0: every epoch up to 50, then every fifth", 0, (o, n) => o with { EvalEvery = n }),
        OptionSpec.Whole("log_interval", "the same, by the authors' name", 0, (o, n) => o with { EvalEvery = n }),
        OptionSpec.Whole("save_every", "epochs between checkpoints; default 50", 1, (o, n) => o with { SaveEvery = n }),
        OptionSpec.Whole("threads", "default 0: one a physical core", 0, (o, n) => o with { Threads = n }),
        new("device", "cpu", "where the graphs run; default cpu", "the name of a device", (o, text) => o with { Device = text }),
        new("out", "DIR", "folder for all files; default grokking", "a folder", (o, text) => o with { Out = text }),
        new("output_dir", "DIR", "the same, by the authors' name", "a folder", (o, text) => o with { Out = text }),
        OptionSpec.Switch("compare", "AdamW with decay 0.1, 0.3 and 1.0, Adam with rescaling, AdamCPR l2 and std in one figure and table", (o, on) => o with { Compare = on }),
        OptionSpec.Switch("resume", "go on from the checkpoint in the folder, bit for bit", (o, on) => o with { Resume = on }),
    ];

    // What the model file and its parameter roles decide (biases are never decayed or bounded, and there are no norms).
    private static readonly ImmutableArray<OptionSpec> ModelOptions =
    [
        OptionSpec.Fixed("exclude_reg", "bias,norm"),
        OptionSpec.Fixed("model_dim", "128"), OptionSpec.Fixed("num_layers", "1"), OptionSpec.Fixed("num_heads", "4"), OptionSpec.Fixed("use_ln", "false"),
        OptionSpec.Fixed("init_type", "sqrt_dim"), OptionSpec.Fixed("train_shuffle", "true"),
    ];

    public static readonly ImmutableArray<OptionSpec> All = [.. RecipeOptions, .. RunOptions, .. ModelOptions];

    private static Options? SetBetas(Options o, string text) =>
        text.Split(',') is [var first, var second] && OptionSpec.TryNumber(first, out double b1) && OptionSpec.TryNumber(second, out double b2) && b1 is >= 0 and < 1 && b2 is >= 0 and < 1
            ? o with { Recipe = o.Recipe with { Beta1 = b1, Beta2 = b2 } } : null;

    private static Options? SetSeeds(Options o, string text, int most)
    {
        var seeds = new List<long>();
        foreach (string part in text.Split(','))
        {
            if (!long.TryParse(part, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long seed) || seeds.Contains(seed)) return null;
            seeds.Add(seed);
        }
        return seeds.Count <= most ? o with { Seeds = [.. seeds] } : null;
    }
}
