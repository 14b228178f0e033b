using System.Collections.Immutable;

namespace Grokking;

// What the command line asks for.
internal sealed record Options
{
    public const int ModelModulus = 113;

    public Recipe Recipe { get; init; } = new();

    public int P { get; init; } = ModelModulus;

    public double TrainFraction { get; init; } = 0.3;

    public int BatchSize { get; init; } = 512;

    public ImmutableArray<long> Seeds { get; init; } = [1];

    // The seeds are those of the reference's runs, with its split, weights and first shuffles.
    public bool FromReference { get; init; }

    public int Epochs { get; init; } = 1000;

    // 0: every epoch up to the 50th, then every fifth.
    public int EvalEvery { get; init; }

    public int SaveEvery { get; init; } = 50;

    public int Threads { get; init; }

    public string Device { get; init; } = "cpu";

    public string Out { get; init; } = "grokking";

    public bool Compare { get; init; }

    public bool Resume { get; init; }

    public bool EvaluatesAt(int epoch) => epoch == 1 || epoch == Epochs || (EvalEvery > 0 ? epoch % EvalEvery == 0 : epoch <= 50 || epoch % 5 == 0);
}
