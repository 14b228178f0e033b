using System.Collections.Immutable;
using OrtCpr;
using OrtCpr.Data;
using OrtCpr.Text;

namespace Texts;

// Sentences with their topics: two thirds of each topic to train on, a third to test.
internal sealed class Topics : IDisposable
{
    private readonly TextSource _all;

    public Topics(Settings settings, MiniLm encoder)
    {
        _all = TextSource.FromCsv(settings.Data ?? Path.Combine(AppContext.BaseDirectory, "sentences.csv"), new TextOptions
        {
            Tokenizer = TextTokenizer.Open(encoder.Vocabulary),
            Text = settings.Text,
            Label = settings.Label,
            IsClass = true,
            MaxLength = 128,
        }.For(TextModel.Open(encoder.Model)));
        (Training, Test) = _all.SplitByClass(2 / 3.0);
        int most = (int)Classes(_all).Max();
        ImmutableArray<string> names = _all.Columns.Single(c => c.IsLabel).ClassNames;
        Names = names.Length > most ? names
            : [.. Enumerable.Range(0, most + 1).Select(c => c.ToString(System.Globalization.CultureInfo.InvariantCulture))];
        Console.WriteLine($"{Training.Count} sentences to train on, {Test.Count} to test: {string.Join(", ", Names)}");
    }

    public DataSource Training { get; }

    public DataSource Test { get; }

    public ImmutableArray<string> Names { get; }

    public long[] TestClasses => Classes(Test);

    // In the order of the source.
    public DataLoader TestBatches(TrainingDriver driver) => Batches(Test, driver);

    public static DataLoader Batches(DataSource source, TrainingDriver driver) =>
        new(source, driver.Plan.BatchInputs, new DataLoaderOptions { Shuffle = false });

    public static long[] Classes(DataSource source)
    {
        int column = source.Columns.Select((c, i) => (c, i)).Single(c => c.c.IsLabel).i;
        byte[] bytes = new byte[sizeof(long)];
        long[] classes = new long[source.Count];
        for (int row = 0; row < classes.Length; row++)
        {
            source.Read(column, row, bytes);
            classes[row] = BitConverter.ToInt64(bytes);
        }
        return classes;
    }

    public void Dispose() => _all.Dispose();
}
