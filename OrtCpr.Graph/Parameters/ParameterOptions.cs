using System.Collections.Immutable;

namespace OrtCpr.Graph.Parameters;

/// <summary>The user's word on parameters, by name patterns; it wins over what the graph suggests.</summary>
public sealed record ParameterOptions
{
    /// <summary>Not trained: these keep their values. Wins over <see cref="Train"/>.</summary>
    public ImmutableArray<NamePattern> Freeze { get; init; } = [];

    /// <summary>Trained even where the graph suggests a constant.</summary>
    public ImmutableArray<NamePattern> Train { get; init; } = [];

    /// <summary>When not empty, only these are trained.</summary>
    public ImmutableArray<NamePattern> TrainOnly { get; init; } = [];

    /// <summary>Constrained (bounded, decayed) whatever their role. Wins over <see cref="Unconstrain"/>.</summary>
    public ImmutableArray<NamePattern> Constrain { get; init; } = [];

    /// <summary>Not constrained whatever their role.</summary>
    public ImmutableArray<NamePattern> Unconstrain { get; init; } = [];

    /// <summary>Trains initializers that hold the same numbers, or one the transpose of the other, as one parameter and
    /// exports it everywhere: exporters pull tied weights apart. The first in the file gives the name. Default off,
    /// with a warning where there are such.</summary>
    public bool TieEqual { get; init; }

    /// <summary>Constrains embedding tables too. Default off.</summary>
    public bool RegularizeEmbeddings { get; init; }
}
