using System.Collections.Immutable;
using OrtCpr.Data;
using OrtCpr.Vision;

namespace Images;

// A set of pictures and the files that they are in, in the same order.
internal sealed record Pictures(DataSource Source, IReadOnlyList<string> Paths)
{
    private static readonly string[] TestNames = ["val", "valid", "validation", "test"];

    // A folder with both sets in it, or one whose every fifth picture of a class is left for the test.
    public static (Pictures Training, Pictures Test) Open(string folder, ImageOptions options)
    {
        string training = Path.Combine(folder, "train");
        string? test = TestNames.Select(n => Path.Combine(folder, n)).FirstOrDefault(Directory.Exists);
        if (Directory.Exists(training) && test is not null)
        {
            ImageSource first = ImageFolder.Open(training, options);
            return (new(first, first.Paths), Of(ImageFolder.Open(test, options with { Classes = first.ClassNames })));
        }
        ImageSource all = ImageFolder.Open(folder, options);
        var counts = new Dictionary<long, int>();
        ILookup<bool, int> rows = Enumerable.Range(0, (int)all.Count).ToLookup(i =>
        {
            long label = LabelOf(all, i);
            counts[label] = counts.GetValueOrDefault(label) + 1;
            return counts[label] % 5 == 0;
        });
        return (Part(rows[false]), Part(rows[true]));

        Pictures Part(IEnumerable<int> part) => new(all.Select([.. part]), [.. part.Select(i => all.Paths[i])]);
        static Pictures Of(ImageSource source) => new(source, source.Paths);
    }

    public ImmutableArray<string> ClassNames => Source.Columns.Single(c => c.Name == ImageSource.LabelColumn).ClassNames;

    public long[] Labels => [.. Enumerable.Range(0, (int)Source.Count).Select(i => LabelOf(Source, i))];

    private static long LabelOf(DataSource source, int row)
    {
        Span<byte> bytes = stackalloc byte[sizeof(long)];
        source.Read(source.Columns.TakeWhile(c => c.Name != ImageSource.LabelColumn).Count(), row, bytes);
        return BitConverter.ToInt64(bytes);
    }
}
