using System.Collections.Immutable;

namespace Grokking;

/// <summary>What the command line asks for.</summary>
internal sealed record Settings
{
    /// <summary>The modulus that the model file is made for.</summary>
    public const int ModelModulus = 113;

    public Recipe Recipe { get; init; } = new();

    public int P { get; init; } = ModelModulus;

    public double TrainFraction { get; init; } = 0.3;

    public int BatchSize { get; init; } = 512;

    public ImmutableArray<long> Seeds { get; init; } = [1];

    /// <summary>Whether the seeds are those of the reference's runs, with its split, weights and first shuffles.</summary>
    public bool FromReference { get; init; }

    public int Epochs { get; init; } = 1000;

    /// <summary>Epochs between evaluations; 0 for each one up to the 50th, then each fifth.</summary>
    public int EvalEvery { get; init; }

    public int SaveEvery { get; init; } = 50;

    public int Threads { get; init; }

    public string Device { get; init; } = "cpu";

    public string Out { get; init; } = "grokking";

    public bool Compare { get; init; }

    public bool Resume { get; init; }

    /// <summary>All runs, in the order in which they are made.</summary>
    public (Recipe Recipe, long Seed)[] Runs =>
        [.. (Compare ? Recipe.Compared : [Recipe]).SelectMany(recipe => Seeds.Select(seed => (recipe, seed)))];

    /// <summary>The folder of a run's checkpoint and model.</summary>
    public string FolderOf(Recipe recipe, long seed) => Runs.Length > 1 ? Path.Combine(Out, $"{recipe.Name}-seed{seed}") : Out;

    /// <summary>Whether there is an evaluation after an epoch, counted from 1.</summary>
    public bool EvaluatesAfter(long epoch) =>
        epoch == 1 || epoch == Epochs || (EvalEvery > 0 ? epoch % EvalEvery == 0 : epoch <= 50 || epoch % 5 == 0);
}
