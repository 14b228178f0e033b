using System.Collections.Immutable;
using OrtCpr.Data;
using OrtCpr.Graph;

namespace OrtCpr.Vision;

/// <summary>A picture that was left out.</summary>
/// <param name="Path">The file.</param>
/// <param name="Reason">Why it can't be read.</param>
public sealed record DamagedImage(string Path, string Reason);

/// <summary>Pictures in files, decoded when they are read. Columns: <c>image</c>, Float (or UInt8, see
/// <see cref="ImageOptions.Scale"/>) of the shape that the options say, and, where there are labels, <c>labels</c>: Int64 for classes,
/// Float [1] for numbers.</summary>
/// <remarks><see cref="ImageFolder"/> and <see cref="ImageTable"/> make one. Files are opened while they are read only. Reading is
/// thread-safe: <see cref="DataLoaderOptions.Workers"/> decodes on several threads. A picture that can't be read then is a
/// <see cref="DataFileException"/> that names it.</remarks>
public sealed class ImageSource : DataSource
{
    /// <summary>Name of the column with the pictures.</summary>
    public const string ImageColumn = ImageColumns.Image;

    /// <summary>Name of the column with the labels.</summary>
    public const string LabelColumn = ImageColumns.Labels;

    private readonly string[] _paths;
    private readonly long[]? _classes;
    private readonly float[]? _numbers;
    private readonly PictureCache _cache;

    internal ImageSource(ImageEntries entries, ImageOptions options, PictureCache cache, IReadOnlyList<DamagedImage> skipped)
    {
        (_paths, _classes, _numbers) = (entries.Paths, entries.Classes, entries.Numbers);
        (Options, IgnoredFiles, _cache, Skipped) = (options, entries.IgnoredFiles, cache, skipped);
        ClassNames = entries.ClassNames;
        var columns = new List<DataColumn>
        {
            new(ImageColumn, options.IsBytes ? ElementType.UInt8 : ElementType.Float, options.Dimensions),
        };
        if (_classes is not null) columns.Add(new(LabelColumn, ElementType.Int64, [], true) { ClassNames = ClassNames });
        if (_numbers is not null) columns.Add(new(LabelColumn, ElementType.Float, [1], true));
        Columns = columns;
    }

    /// <inheritdoc/>
    public override long Count => _paths.Length;

    /// <inheritdoc/>
    public override IReadOnlyList<DataColumn> Columns { get; }

    /// <summary>What becomes of each picture.</summary>
    public ImageOptions Options { get; }

    /// <summary>The file of each example.</summary>
    public IReadOnlyList<string> Paths => _paths;

    /// <summary>Names of the classes 0, 1 …; empty where the labels are numbers.</summary>
    public ImmutableArray<string> ClassNames { get; }

    /// <summary>Pictures that were left out since they can't be read (<see cref="DamagedImages.Skip"/>).</summary>
    public IReadOnlyList<DamagedImage> Skipped { get; }

    /// <summary>Files beside the pictures that are of another kind, or in no folder of a class, or hidden. They are left out.</summary>
    public int IgnoredFiles { get; }

    /// <inheritdoc/>
    public override void Read(int column, long row, Span<byte> target)
    {
        if (column == 0) PictureSteps.Write(PictureSteps.Fit(Picture(row), Options), Options, target);
        else if (_classes is not null) BitConverter.TryWriteBytes(target, _classes[row]);
        else BitConverter.TryWriteBytes(target, _numbers![row]);
    }

    /// <inheritdoc/>
    public override bool CanApply(int column, Transform transform) => column == 0 && transform is AugmentPicture;

    /// <inheritdoc/>
    public override void Read(int column, long row, Transform transform, SplitMix64 random, Span<byte> target)
    {
        if (!CanApply(column, transform)) base.Read(column, row, transform, random, target);
        ((AugmentPicture)transform).Write(Picture(row), Options, random, target);
    }

    private Picture Picture(long row)
    {
        (Picture? picture, string? problem) = _cache.Read((int)row, _paths[row]);
        return picture ?? throw new DataFileException($"Picture '{_paths[row]}' can't be read: {problem}. Mend or remove the file, or "
            + $"leave such pictures out: set {nameof(ImageOptions)}.{nameof(ImageOptions.Damaged)} to {nameof(DamagedImages.Skip)}.");
    }
}
