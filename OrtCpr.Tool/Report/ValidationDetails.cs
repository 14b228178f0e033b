using System.Collections.Immutable;
using System.Numerics.Tensors;
using System.Text.Json;
using OrtCpr.Graph;
using OrtCpr.Metrics;
using SkiaSharp;

namespace OrtCpr.Tool.Report;

// An example that the model gets wrong, or is least sure of. Picture: a PNG where the example is one.
internal sealed record WorstExample(long Row, int Truth, int Found, double Loss, byte[]? Picture);

// What a report tells of an evaluation beside its figures: which classes are taken for which, and the examples with the largest losses.
// Counts: a row for each true class. Kept in validation.json of a run's folder.
internal sealed record ValidationDetails(ImmutableArray<string> ClassNames, long[][] Counts, ImmutableArray<WorstExample> Worst)
{
    private const string Name = "validation.json";
    private const int Most = 24, LargestSide = 96;

    public ConfusionMatrix Matrix
    {
        get
        {
            long[,] counts = new long[Counts.Length, Counts.Length];
            for (int t = 0; t < Counts.Length; t++)
            {
                for (int f = 0; f < Counts.Length; f++) counts[t, f] = Counts[t][f];
            }
            return new ConfusionMatrix(counts, ClassNames);
        }
    }

    // Null where the job has no classes, one for each example. names: of the classes; empty for numbers. examples: the batches of some rows
    // as they were before any features of them were computed.
    public static ValidationDetails? Collect(TrainingDriver driver, BatchSource validation, ImmutableArray<string> names,
        Func<IReadOnlyList<int>, BatchSource> examples, CancellationToken cancellation)
    {
        LossTerm? term = driver.Plan.LossTerms.FirstOrDefault(t => t is { IgnoredLabel: not null, Output: not null, Labels.Count: 1 });
        if (term is null) return null;
        long[][]? counts = null;
        var worst = new PriorityQueue<WorstExample, double>();
        int row = 0;
        foreach (Batch batch in validation.Batches())
        {
            using (batch)
            {
                cancellation.ThrowIfCancellationRequested();
                using Evaluation evaluation = driver.EvalStep(batch, term.Output!);
                TensorData scores = Devices.Device.ReadOnHost(evaluation[term.Output!]),
                    labels = Devices.Device.ReadOnHost(batch.Tensors[term.Labels[0]]);
                if (scores.Dimensions.Count != 2 || labels.Dimensions.Count != 1 || labels.Type != ElementType.Int64) return null;
                int classes = (int)scores.Dimensions[1];
                counts ??= [.. Enumerable.Range(0, classes).Select(_ => new long[classes])];
                double[] all = scores.ToDoubles();
                long[] truths = labels.ToInt64s();
                for (int i = 0; i < truths.Length; i++, row++)
                {
                    if (truths[i] == term.IgnoredLabel) continue;
                    ReadOnlySpan<double> own = all.AsSpan(i * classes, classes);
                    int found = TensorPrimitives.IndexOfMax(own);
                    counts[truths[i]][found]++;
                    double loss = LossOf(own, (int)truths[i]);
                    if (worst.Count == Most && worst.TryPeek(out _, out double least) && loss <= least) continue;
                    worst.Enqueue(new(row, (int)truths[i], found, loss, null), loss);
                    if (worst.Count > Most) worst.Dequeue();
                }
            }
        }
        if (counts is null) return null;
        WorstExample[] shown = [.. worst.UnorderedItems.Select(w => w.Element).OrderByDescending(w => w.Loss).ThenBy(w => w.Row)];
        byte[]?[] pictures = shown.Length == 0 ? []
            : [.. examples([.. shown.Select(w => (int)w.Row)]).Batches().SelectMany(b => Pictures(b, term.Labels[0]))];
        return new(names.Length == counts.Length ? names : [], counts,
            [.. shown.Zip(pictures, (example, picture) => example with { Picture = picture })]);
    }

    public void Save(string folder) => File.WriteAllText(Path.Combine(folder, Name), JsonSerializer.Serialize(this));

    // Null where the run has none.
    public static ValidationDetails? Read(string folder)
    {
        string path = Path.Combine(folder, Name);
        if (!File.Exists(path)) return null;
        try
        {
            return JsonSerializer.Deserialize<ValidationDetails>(File.ReadAllText(path));
        }
        catch (Exception error) when (error is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new ToolException($"'{path}' can't be read: {error.Message} Delete it for a report without it.");
        }
    }

    // −log of the probability of the true class, of scores or of logarithms of probabilities.
    private static double LossOf(ReadOnlySpan<double> scores, int truth)
    {
        double highest = TensorPrimitives.Max(scores), sum = 0;
        foreach (double z in scores) sum += Math.Exp(z - highest);
        return highest + Math.Log(sum) - scores[truth];
    }

    // Of each row of a batch, which is disposed of: the first input that is a picture, [batch, 1 or 3, height, width], or channels last.
    // What was normalised is stretched to the range of its values again.
    private static byte[]?[] Pictures(Batch batch, string label)
    {
        using Batch read = batch;
        foreach ((string name, Microsoft.ML.OnnxRuntime.OrtValue value) in batch.Tensors)
        {
            long[] shape = value.GetTensorTypeAndShape().Shape;
            if (name == label || shape.Length != 4 || shape.Skip(1).Any(d => d < 1)) continue;
            bool isFirst = shape[1] is 1 or 3, isLast = !isFirst && shape[3] is 1 or 3;
            if (!isFirst && !isLast) continue;
            (int channels, int height, int width) = isFirst ? ((int)shape[1], (int)shape[2], (int)shape[3])
                : ((int)shape[3], (int)shape[1], (int)shape[2]);
            if (height < 4 || width < 4) continue;
            return [.. Devices.Device.ReadOnHost(value).ToDoubles().Chunk(channels * height * width)
                .Select(pixels => Encode(pixels, channels, height, width, isFirst))];
        }
        return new byte[batch.Rows][];
    }

    private static byte[] Encode(double[] pixels, int channels, int height, int width, bool isFirst)
    {
        double low = pixels.Min(), range = Math.Max(1e-12, pixels.Max() - low);
        using var bitmap = new SKBitmap(width, height);
        byte At(int c, int y, int x)
        {
            c = Math.Min(c, channels - 1);
            int at = isFirst ? (((c * height) + y) * width) + x : (((y * width) + x) * channels) + c;
            return (byte)(255 * (pixels[at] - low) / range);
        }
        for (int y = 0; y < height; y++)
        {
            for (int x = 0; x < width; x++) bitmap.SetPixel(x, y, new SKColor(At(0, y, x), At(1, y, x), At(2, y, x)));
        }
        double scale = Math.Min(1, (double)LargestSide / Math.Max(width, height));
        using SKBitmap small = scale == 1 ? bitmap.Copy() : bitmap.Resize(
            new SKImageInfo(Math.Max(1, (int)(width * scale)), Math.Max(1, (int)(height * scale))),
            new SKSamplingOptions(SKFilterMode.Linear, SKMipmapMode.Linear));
        using SKData data = small.Encode(SKEncodedImageFormat.Png, 100);
        return data.ToArray();
    }
}
