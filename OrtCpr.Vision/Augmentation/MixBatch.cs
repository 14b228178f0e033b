using OrtCpr.Data;
using OrtCpr.Graph;

namespace OrtCpr.Vision;

/// <summary>Mixup and cutmix: each example is mixed with the one before it in the batch, the first with the last; all by one share, as
/// torchvision does.</summary>
internal sealed class MixBatch(double mixup, double cutmix, ImageLayout layout) : BatchTransform
{
    public override void Check(IReadOnlyList<BatchColumn> columns)
    {
        var problems = new List<string>();
        BatchColumn[] labels = [.. columns.Where(c => c.IsLabel)], pictures = [.. columns.Where(IsPicture)];
        foreach (BatchColumn label in labels.Where(l => l.Type != ElementType.Float || !l.IsFirstAxis))
        {
            problems.Add($"label '{label.Input}' is {label.Type}[{string.Join(',', label.Dimensions)}], one class an example, and mixed "
                + "examples belong to two: take a loss of probabilities, SoftCrossEntropyLoss (soft_cross_entropy), BceWithLogitsLoss "
                + "(bce_with_logits) or KlDivergenceLoss (kl_divergence)");
        }
        if (labels.Length == 0) problems.Add("there is no label to mix");
        if (pictures.Length == 0) problems.Add("no input takes pictures of type Float");
        string option = mixup > 0 ? nameof(ImageAugmentation.Mixup) : nameof(ImageAugmentation.Cutmix);
        OptionException.ThrowIfAny($"{nameof(ImageAugmentation)}.{option} does not fit the job", problems);
    }

    public override void Apply(BatchData batch, SplitMix64 random)
    {
        bool cuts = cutmix > 0 && (mixup == 0 || random.Below(2) == 1);
        double share = Beta(cuts ? cutmix : mixup, random);
        for (int i = 0; i < batch.Columns.Count; i++)
        {
            if (!IsPicture(batch.Columns[i])) continue;
            if (!cuts)
            {
                Blend(batch.Floats(i), batch.Rows, (float)share);
                continue;
            }
            IReadOnlyList<long> dims = batch.Columns[i].Dimensions;
            (int height, int width) = layout == ImageLayout.Nchw ? ((int)dims[1], (int)dims[2]) : ((int)dims[0], (int)dims[1]);
            PixelBox box = Box(width, height, share, random);
            Paste(batch.Floats(i), batch.Rows, width, height, box);
            share = 1 - ((double)box.Width * box.Height / ((double)width * height));
        }
        for (int i = 0; i < batch.Columns.Count; i++)
            if (batch.Columns[i].IsLabel) Blend(batch.Floats(i), batch.Rows, (float)share);
    }

    private static bool IsPicture(BatchColumn column) =>
        column is { IsLabel: false, Type: ElementType.Float, Dimensions.Count: 3, IsFirstAxis: true };

    /// <summary>share · example + (1 − share) · the one before.</summary>
    private static void Blend(Span<float> all, int rows, float share)
    {
        int length = all.Length / rows;
        float[] last = all[((rows - 1) * length)..].ToArray();
        for (int r = rows - 1; r >= 0; r--)
        {
            Span<float> own = all.Slice(r * length, length);
            ReadOnlySpan<float> other = r == 0 ? last : all.Slice((r - 1) * length, length);
            for (int i = 0; i < length; i++) own[i] = (share * own[i]) + ((1 - share) * other[i]);
        }
    }

    private void Paste(Span<float> all, int rows, int width, int height, PixelBox box)
    {
        int length = all.Length / rows, channels = length / (width * height);
        float[] last = all[((rows - 1) * length)..].ToArray();
        // Pixels of a row that lie together: of one channel, or of all.
        (int planes, int unit) = layout == ImageLayout.Nchw ? (channels, 1) : (1, channels);
        for (int r = rows - 1; r >= 0; r--)
        {
            ReadOnlySpan<float> other = r == 0 ? last : all.Slice((r - 1) * length, length);
            for (int line = 0; line < planes * box.Height; line++)
            {
                int y = box.Top + (line % box.Height);
                int at = ((((line / box.Height) * height) + y) * width + box.Left) * unit;
                other.Slice(at, box.Width * unit).CopyTo(all[((r * length) + at)..]);
            }
        }
    }

    /// <summary>A rectangle of 1 − share of the area about a random point, cut off at the edges.</summary>
    private static PixelBox Box(int width, int height, double share, SplitMix64 random)
    {
        int x = random.Below(width), y = random.Below(height);
        double half = 0.5 * Math.Sqrt(1 - share);
        int w = (int)(half * width), h = (int)(half * height);
        int left = Math.Max(0, x - w), top = Math.Max(0, y - h);
        return new PixelBox(left, top, Math.Min(width, x + w) - left, Math.Min(height, y + h) - top);
    }

    /// <summary>Beta(α, α) as x/(x + y) of two numbers of Gamma(α).</summary>
    private static double Beta(double alpha, SplitMix64 random)
    {
        double x = Gamma(alpha, random), y = Gamma(alpha, random);
        // Of a tiny α both may be 0: then it is one or the other.
        return x + y > 0 ? x / (x + y) : random.Below(2);
    }

    /// <summary>Marsaglia and Tsang 2000; below 1 by Gamma(α + 1)·u^(1/α).</summary>
    private static double Gamma(double alpha, SplitMix64 random)
    {
        if (alpha < 1) return Gamma(alpha + 1, random) * Math.Pow(random.NextDouble(), 1 / alpha);
        double d = alpha - (1.0 / 3), c = 1 / Math.Sqrt(9 * d);
        while (true)
        {
            double normal = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
            double v = 1 + (c * normal);
            if (v <= 0) continue;
            v = v * v * v;
            if (Math.Log(1 - random.NextDouble()) < (0.5 * normal * normal) + (d * (1 - v + Math.Log(v)))) return d * v;
        }
    }
}
