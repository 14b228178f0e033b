using System.Collections.Concurrent;
using System.Collections.Immutable;
using OrtCpr.Data;

namespace OrtCpr.Vision;

/// <summary>Files and labels, before anybody has looked into the files.</summary>
/// <param name="Origin">The folder or table, for messages.</param>
/// <param name="Paths">A file an example.</param>
/// <param name="Places">Where each is named, for messages; empty where the path says it.</param>
/// <param name="Classes">A class an example; null where there are none.</param>
/// <param name="Numbers">A number an example; null where there are none.</param>
/// <param name="ClassNames">Names of the classes.</param>
/// <param name="IgnoredFiles">Files beside them.</param>
internal sealed record ImageEntries(string Origin, string[] Paths, string[] Places, long[]? Classes, float[]? Numbers,
    ImmutableArray<string> ClassNames, int IgnoredFiles)
{
    private const int MostListed = 20;

    /// <summary>Looks into the files as far as the options ask, and makes the source.</summary>
    public ImageSource Scan(ImageOptions options)
    {
        ImageScan scan = options.Damaged == DamagedImages.Skip ? ImageScan.Pixels : options.Scan;
        var cache = new PictureCache(options);
        cache.Begin(Paths.Length);
        var found = new ConcurrentDictionary<int, string>();
        if (scan != ImageScan.None)
        {
            Parallel.For(0, Paths.Length, i =>
            {
                string? problem = scan == ImageScan.Pixels ? cache.Read(i, Paths[i]).Problem
                    : PictureReader.ProblemOfHeader(Paths[i], options.MaxPixels);
                if (problem is not null) found[i] = problem;
            });
        }
        DamagedImage[] damaged = [.. found.OrderBy(f => f.Key).Select(f => new DamagedImage(Paths[f.Key], f.Value))];
        if (damaged.Length == 0) return new ImageSource(this, options, cache, []);
        if (options.Damaged == DamagedImages.Refuse)
        {
            string list = string.Concat(found.OrderBy(f => f.Key).Take(MostListed).Select(f =>
                $"{Environment.NewLine}  {(Places.Length > 0 ? $"{Places[f.Key]}: " : "")}'{Paths[f.Key]}': {f.Value}"));
            throw new DataFileException($"{Origin} has {damaged.Length} of {Paths.Length} pictures that can't be read:{list}"
                + $"{(damaged.Length > MostListed ? $"{Environment.NewLine}  … and {damaged.Length - MostListed} more" : "")}"
                + $"{Environment.NewLine}Mend or remove the files, or leave such pictures out: set {nameof(ImageOptions)}."
                + $"{nameof(ImageOptions.Damaged)} to {nameof(DamagedImages.Skip)}.");
        }
        int[] rows = [.. Enumerable.Range(0, Paths.Length).Where(i => !found.ContainsKey(i))];
        ImageEntries left = this with
        {
            Paths = [.. rows.Select(r => Paths[r])],
            Places = Places.Length > 0 ? [.. rows.Select(r => Places[r])] : [],
            Classes = Classes is null ? null : [.. rows.Select(r => Classes[r])],
            Numbers = Numbers is null ? null : [.. rows.Select(r => Numbers[r])],
        };
        string[] lost = Classes is null ? [] : [.. Classes.Distinct().Except(left.Classes!).Order()
            .Select(c => c < ClassNames.Length ? $"'{ClassNames[(int)c]}'" : $"{c}")];
        if (rows.Length == 0 || lost.Length > 0)
        {
            throw new DataFileException($"{Origin} has {damaged.Length} of {Paths.Length} pictures that can't be read, and without them "
                + (rows.Length == 0 ? "none is left" : $"class {string.Join(", ", lost)} has none left")
                + $"; the first is '{damaged[0].Path}': {damaged[0].Reason}. Mend the files.");
        }
        cache.Select(rows);
        return new ImageSource(left, options, cache, damaged);
    }
}
