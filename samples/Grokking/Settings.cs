using System.Collections.Immutable;
using System.Globalization;
using OrtCpr.Tool.Figures;
using Samples;

namespace Grokking;

/// <summary>One run of an experiment, with the folder of its checkpoint, logs and model.</summary>
internal sealed record Run(Recipe Recipe, long Seed, string Folder)
{
    public RunLog Log => RunLog.Read(Folder, "log.csv") with { Name = Recipe.Name };
}

/// <summary>What the command line asks for. Biases are never decayed or bounded in any model, and this one has no norms.</summary>
[FixedOption("exclude-reg", "bias,norm"), FixedOption("model-dim", "128"), FixedOption("num-layers", "1"), FixedOption("num-heads", "4"),
    FixedOption("use-ln", "false False"), FixedOption("init-type", "sqrt_dim"), FixedOption("train-shuffle", "true True")]
internal sealed record Settings
{
    private const int ModelModulus = 113;

    public Recipe Recipe { get; init; } = new();

    [Option("split, first weights and shuffles; several, as 1,2, are runs one after the other", "seed")]
    public ImmutableArray<long> Seeds { get; init; } = [1];

    [Option("1, 2 or 1,2: split, weights and first ten shuffles of the PyTorch reference")]
    public ImmutableArray<long> ReferenceSeed
    {
        get => FromReference ? Seeds : [];
        init => (Seeds, FromReference) = (value, true);
    }

    public bool FromReference { get; init; }

    [Option("at most so many", Least = 1)] public int Epochs { get; init; } = 1000;
    [Option("examples a batch", Least = 1)] public int BatchSize { get; init; } = 512;
    [Option("modulus", Least = 2, Most = ModelModulus)] public int P { get; init; } = ModelModulus;
    [Option("share of the pairs that is trained on")] public double TrainFraction { get; init; } = 0.3;
    [Option("epochs between evaluations; 0: every epoch up to 50, then every fifth", "log-interval", Least = 0)]
    public int EvalEvery { get; init; }
    [Option("epochs between checkpoints", Least = 1)] public int SaveEvery { get; init; } = 50;
    [Option("0 for one a physical core")] public int Threads { get; init; }
    [Option("cpu, cuda, cuda:N or webgpu:PATH")] public string Device { get; init; } = "cpu";
    [Option("folder for all files", "output-dir")] public string Out { get; init; } = "grokking";
    [Option("AdamW with decay 0.1, 0.3 and 1.0, Adam with rescaling, AdamCPR l2 and std in one figure and table")]
    public bool Compare { get; init; }
    [Option("go on from the checkpoint in the folder, bit for bit")] public bool Resume { get; init; }
    [Option("accepted and without effect, as in the authors' script")] public bool KappaAdapt { get; init; }

    /// <summary>All runs, in the order in which they are made; several have a folder each.</summary>
    public Run[] Runs => [.. (Compare ? Recipe.Compared : [Recipe]).SelectMany(recipe => Seeds.Select(seed =>
        new Run(recipe, seed, Compare || Seeds.Length > 1 ? Path.Combine(Out, $"{recipe.Name}-seed{seed}") : Out)))];

    /// <summary>Whether there is an evaluation after an epoch, counted from 1.</summary>
    public bool EvaluatesAfter(long epoch) =>
        epoch == 1 || epoch == Epochs || (EvalEvery > 0 ? epoch % EvalEvery == 0 : epoch <= 50 || epoch % 5 == 0);

    /// <summary>Reads a command line and does what it asks for; gives the exit code.</summary>
    public static int Run(string[] words, Func<Settings, CancellationToken, int> run) => RecordOptions.Run<Settings>(
        "Trains a small transformer on (x + y) mod 113 until it groks, by the authors' command lines.", words, run,
        (settings, given, problems) => problems.AddRange(settings.Problems(given)));

    private IEnumerable<string> Problems(string[] given)
    {
        if (given.Contains("--seeds") && FromReference) yield return "give one of --seed and --reference_seed";
        string chosen = string.Join(", ", given.Where(RecordOptions.Texts(Recipe).ContainsKey));
        if (Compare && chosen.Length > 0) yield return $"--compare chooses the optimizers itself; leave out {chosen}";
        if (Recipe.Optimizer == "adam" && given.Contains("--weight_decay") && Recipe.WeightDecay != 0)
            yield return "--optimizer adam has no weight decay; take adamw, or leave out --weight_decay";
        if (!(TrainFraction is > 0 and < 1) || ModularAddition.TrainingCount(P, TrainFraction) < 1)
        {
            yield return string.Create(CultureInfo.InvariantCulture,
                $"--train_fraction is {TrainFraction}; expected a number between 0 and 1 that leaves some of the {P * P} pairs");
        }
        if (Seeds.Distinct().Count() < Seeds.Length) yield return "a seed is named twice";
        if (!FromReference) yield break;
        if (Seeds.Any(n => n is not (1 or 2))) yield return "--reference_seed: expected 1, 2 or 1,2";
        if ((P, TrainFraction, BatchSize) != (ModelModulus, 0.3, 512))
            yield return "--reference_seed goes with the reference's task only: leave out --p, --train_fraction and --batch_size";
    }
}
