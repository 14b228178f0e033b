using System.Collections.Immutable;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Graph.Adapters;

/// <summary>Which weights get low-rank adapters (Hu et al., LoRA, ICLR 2022), and of what size.</summary>
public sealed record LoraOptions
{
    /// <summary>Columns of A and rows of B, at least 1. Default 8.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>The adapter's product is scaled by this over <see cref="Rank"/>. Above 0. Default 16.</summary>
    public double Alpha { get; init; } = 16;

    /// <summary>Weights by name. Default: all that can have one.</summary>
    public ImmutableArray<NamePattern> Targets { get; init; } = ["*"];

    /// <summary>Seed of A, which is drawn uniformly from ±1/√inputs; B begins at 0. Default 0.</summary>
    public long Seed { get; init; }

    internal void Validate()
    {
        var problems = new List<string>();
        if (Rank < 1) problems.Add($"{nameof(Rank)} is {Rank}; expected at least 1");
        if (!(Alpha > 0 && double.IsFinite(Alpha)))
            problems.Add(FormattableString.Invariant($"{nameof(Alpha)} is {Alpha}; expected a finite number above 0"));
        if (Targets.IsDefaultOrEmpty) problems.Add($"{nameof(Targets)} is empty; expected at least one pattern");
        OptionException.ThrowIfAny("The adapters have options out of range", problems);
    }
}
