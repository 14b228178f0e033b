namespace OrtCpr.Vision;

/// <summary>Decoded pictures that are kept as long as they fit. None is thrown out for another: in a random order no picture is more
/// likely to be the next than any other.</summary>
internal sealed class PictureCache(ImageOptions options)
{
    private Picture?[] _kept = [];
    private long _left = options.CacheBytes;

    /// <summary>The picture of a file, or why there is none.</summary>
    /// <param name="row">Its example.</param>
    /// <param name="path">The file.</param>
    public (Picture? Picture, string? Problem) Read(int row, string path)
    {
        if (row < _kept.Length && Volatile.Read(ref _kept[row]) is Picture known) return (known, null);
        (Picture? picture, string? problem) = PictureReader.Read(path, options.MaxPixels, options.Background);
        if (picture is not null && row < _kept.Length) Keep(row, picture);
        return (picture, problem);
    }

    /// <summary>Makes room for the pictures of so many examples.</summary>
    public void Begin(int count) => _kept = options.CacheBytes > 0 ? new Picture?[count] : [];

    /// <summary>Leaves out examples.</summary>
    /// <param name="rows">Those that stay, in order.</param>
    public void Select(IReadOnlyList<int> rows) => _kept = _kept.Length == 0 ? [] : [.. rows.Select(r => _kept[r])];

    private void Keep(int row, Picture picture)
    {
        if (Interlocked.Add(ref _left, -picture.Pixels.Length) >= 0
            && Interlocked.CompareExchange(ref _kept[row], picture, null) is null)
        {
            return;
        }
        // It does not fit, or another thread was faster.
        Interlocked.Add(ref _left, picture.Pixels.Length);
    }
}
