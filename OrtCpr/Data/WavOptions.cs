using System.Collections.Immutable;

namespace OrtCpr.Data;

/// <summary>How WAV files become examples.</summary>
public sealed record WavOptions
{
    /// <summary>Samples a second of an example, in Hz, at least 1. Default 16000.</summary>
    public int SampleRate { get; init; } = 16000;

    /// <summary>Whether files of another rate are refused; else they are resampled by a windowed sinc. Default off.</summary>
    public bool RefuseOtherRates { get; init; }

    /// <summary>Samples of an example: longer files are cut at the end, shorter ones filled with silence. Null (default) for the
    /// longest file's, with an axis that loaders cut to the longest example of a batch.</summary>
    public int? Samples { get; init; }

    /// <summary>Whether channels are kept, and examples are [channels, samples]; else their mean is taken, and examples are
    /// [samples]. Default off.</summary>
    public bool KeepChannels { get; init; }

    /// <summary>Whether the mean of the channels is [1, samples] in place of [samples]. Default off.</summary>
    public bool ChannelAxis { get; init; }

    /// <summary>CSV: the column with the files' paths, relative to the CSV file's folder or absolute. Default
    /// <c>path</c>.</summary>
    public string PathColumn { get; init; } = "path";

    /// <summary>CSV: the column with the class; null for none. Default <c>label</c>.</summary>
    public string? Label { get; init; } = "label";

    /// <summary>Names of the classes in their order, as another source has them (<see cref="DataColumn.ClassNames"/>): a class that
    /// is none of them is refused. Empty (default) for those that there are, in ordinal order.</summary>
    public ImmutableArray<string> Classes { get; init; } = [];

    /// <summary>Whether there may be one class only, as in data to evaluate on. Default off.</summary>
    public bool AllowOneClass { get; init; }
}
