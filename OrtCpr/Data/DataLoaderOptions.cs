using System.Collections.Immutable;
using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>How a loader makes batches of a source.</summary>
public sealed record DataLoaderOptions
{
    /// <summary>Examples a batch, at least 1. Default 32.</summary>
    public int BatchSize { get; init; } = 32;

    /// <summary>Whether each epoch has an order of its own. Default on.</summary>
    public bool Shuffle { get; init; } = true;

    /// <summary>The examples of an epoch, counted from 0, in order, in place of a shuffle: a curriculum, say, or an
    /// order that was recorded. As many as the source has; one may come more than once. Null (default) for <see
    /// cref="Shuffle"/>'s order.</summary>
    public Func<long, IReadOnlyList<int>>? Order { get; init; }

    /// <summary>Seed of shuffles and transforms. Default 0.</summary>
    public long Seed { get; init; }

    /// <summary>Whether a last batch that is not full is left out. Default off.</summary>
    public bool DropLast { get; init; }

    /// <summary>Batches that are made ahead, in the background; 0 makes each when it is asked for. Default 2.</summary>
    public int Prefetch { get; init; } = 2;

    /// <summary>Threads that read the examples of a batch and change them, at least 1; 0 for one a processor. Batches do not depend on it.
    /// More than one pays where reading an example is work, as decoding a picture is. Default 1.</summary>
    public int Workers { get; init; } = 1;

    /// <summary>What is done, in order, to the examples of a batch together. Default none.</summary>
    public ImmutableArray<BatchTransform> BatchTransforms { get; init; } = [];

    /// <summary>Padded columns are cut to a multiple of this, or to their whole size; 8 suits devices that compute in tiles.
    /// At least 1. Default 1: the longest example of the batch.</summary>
    public int LengthMultiple { get; init; } = 1;

    /// <summary>So many batches of a shuffled order are taken together and their examples dealt out by length, so that those
    /// of a batch are about equally long and little of it is padding; which batch comes when stays random. Depends on seed
    /// and epoch alone. 0 (default) for none; 50 is a good number.</summary>
    public int SimilarLengths { get; init; }

    /// <summary>Source columns by the input that takes them, where names differ and it is not plain which belong together.</summary>
    public ImmutableDictionary<string, string> Columns { get; init; } = ImmutableDictionary.Create<string, string>(StringComparer.Ordinal);

    /// <summary>Inputs that are the same for every batch, and no column of the source: a sampling rate, say. A value with a
    /// size of 1 where the input has its batch is repeated for each example.</summary>
    public ImmutableDictionary<string, TensorData> Constants { get; init; } =
        ImmutableDictionary.Create<string, TensorData>(StringComparer.Ordinal);

    /// <summary>What is done, in order, to each example of a source column, by the column's name.</summary>
    public ImmutableDictionary<string, ImmutableArray<Transform>> Transforms { get; init; } =
        ImmutableDictionary.Create<string, ImmutableArray<Transform>>(StringComparer.Ordinal);
}
