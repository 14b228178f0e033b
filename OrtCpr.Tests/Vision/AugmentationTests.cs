using OrtCpr.Data;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Vision;

namespace OrtCpr.Tests.Vision;

[TestClass]
public sealed class AugmentationTests
{
    private static Planes Of(int width, params float[] red)
    {
        var planes = new Planes(red.Length / width, width);
        for (int c = 0; c < 3; c++) red.CopyTo(planes.Plane(c));
        return planes;
    }

    private static void AreClose(ReadOnlySpan<float> found, params float[] expected)
    {
        Assert.AreEqual(expected.Length, found.Length);
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], found[i], 2e-3f, $"element {i}");
    }

    [TestMethod]
    public void Flips_AndQuarterTurns_ByHand()
    {
        Planes planes = Of(3, 1, 2, 3, 4, 5, 6, 7, 8, 9);
        Geometry.FlipAcross(planes);
        AreClose(planes.Plane(1), 3, 2, 1, 6, 5, 4, 9, 8, 7);
        Geometry.FlipDown(planes);
        AreClose(planes.Plane(2), 9, 8, 7, 6, 5, 4, 3, 2, 1);
        planes = Of(3, 1, 2, 3, 4, 5, 6, 7, 8, 9);
        AreClose(Geometry.Rotate(planes, 90, ImageColor.White).Plane(0), 3, 6, 9, 2, 5, 8, 1, 4, 7);
        AreClose(Geometry.Rotate(planes, -180, ImageColor.White).Plane(0), 9, 8, 7, 6, 5, 4, 3, 2, 1);
        // A row turned by 90° stands upright: what was beside it is background.
        AreClose(Geometry.Rotate(Of(3, 10, 20, 30), 90, new(7, 7, 7)).Plane(0), 7, 20, 7);
    }

    // Grey of (200, 100, 0): 0.2989·200 + 0.587·100 = 118.48.
    [TestMethod]
    public void Colours_ByTheirFormulas()
    {
        Planes Color(float r, float g, float b)
        {
            var planes = new Planes(1, 1);
            (planes.Plane(0)[0], planes.Plane(1)[0], planes.Plane(2)[0]) = (r, g, b);
            return planes;
        }

        Planes planes = Color(200, 100, 0);
        ColorJitter.Brightness(planes, 1.5f);
        AreClose(planes.Values, 255, 150, 0);
        planes = Color(200, 100, 0);
        ColorJitter.Saturation(planes, 0.5f);
        AreClose(planes.Values, 159.24f, 109.24f, 59.24f);
        planes = Color(200, 100, 0);
        ColorJitter.Saturation(planes, 0);
        AreClose(planes.Values, 118.48f, 118.48f, 118.48f);
        planes = Of(2, 100, 200);
        ColorJitter.Contrast(planes, 2);
        // The weights sum to 0.9999, so the mean grey is 149.985.
        AreClose(planes.Plane(0), 149.985f - (2 * 49.985f), 149.985f + (2 * 50.015f));
        // A third of the circle: red to green to blue.
        planes = Color(200, 100, 0);
        ColorJitter.Hue(planes, 1 / 3f);
        AreClose(planes.Values, 0, 200, 100);
        ColorJitter.Hue(planes, -2 / 3f);
        AreClose(planes.Values, 100, 0, 200);
        planes = Color(50, 50, 50);
        ColorJitter.Hue(planes, 0.3f);
        AreClose(planes.Values, 50, 50, 50);
    }

    // torchvision's rules: the area and the aspect stay in their ranges up to rounding, every place comes up.
    [TestMethod]
    public void Crops_StayInTheirRanges()
    {
        var random = SplitMix64.For(1, 1);
        double least = 1, most = 0;
        var corners = new HashSet<(int, int)>();
        for (int i = 0; i < 2000; i++)
        {
            PixelBox box = RandomBox.Crop(400, 300, new(0.08, 1), new(0.75, 4.0 / 3), random);
            Assert.IsTrue(box is { Left: >= 0, Top: >= 0, Width: >= 1, Height: >= 1 } && box.Left + box.Width <= 400
                && box.Top + box.Height <= 300, $"{box}");
            double share = box.Width * box.Height / 120000.0, aspect = (double)box.Width / box.Height;
            Assert.IsTrue(aspect is > 0.73 and < 1.36, $"{box}");
            (least, most) = (Math.Min(least, share), Math.Max(most, share));
            corners.Add((box.Left * 4 / 400, box.Top * 4 / 300));
        }
        Assert.IsTrue(least is > 0.078 and < 0.1 && most is > 0.9 and <= 1, $"{least} {most}");
        Assert.IsGreaterThanOrEqualTo(9, corners.Count);
        // Where no try can fit: the largest centre of an allowed aspect.
        Assert.AreEqual(new PixelBox(43, 0, 13, 10), RandomBox.Crop(100, 10, new(0.9, 1), new(0.75, 4.0 / 3), random));
        Assert.AreEqual(new PixelBox(0, 43, 10, 13), RandomBox.Crop(10, 100, new(0.9, 1), new(0.75, 4.0 / 3), random));
        for (int i = 0; i < 200; i++)
        {
            PixelBox box = RandomBox.Erasing(20, 30, new(0.02, 0.33), new(0.3, 3.3), random)!.Value;
            Assert.IsTrue(box.Left + box.Width <= 20 && box.Top + box.Height <= 30 && box.Width * box.Height <= 0.36 * 600, $"{box}");
        }
    }

    private static readonly BatchInput[] Inputs =
    [
        new() { Name = "x", Type = ElementType.Float, Dimensions = ["batch", "3", "16", "16"] },
        new() { Name = "labels", Type = ElementType.Int64, Dimensions = ["batch"], IsLabel = true },
    ];

    private static readonly BatchInput[] Soft =
    [
        Inputs[0], new() { Name = "target", Type = ElementType.Float, Dimensions = ["batch", "5"], IsLabel = true },
    ];

    private static readonly ImageAugmentation Everything = new()
    {
        HorizontalFlip = 0.5,
        VerticalFlip = 0.5,
        CropArea = new(0.3, 1),
        Brightness = 0.3,
        Contrast = 0.3,
        Saturation = 0.3,
        Hue = 0.1,
        Rotation = 20,
        Erasing = 0.5,
    };

    private static double[] Values(IEnumerable<Batch> batches, string name)
    {
        var all = new List<double>();
        foreach (Batch batch in batches)
        {
            using (batch) all.AddRange(Device.ReadOnHost(batch.Tensors[name]).ToDoubles());
        }
        return [.. all];
    }

    // What is random depends on seed, epoch and example: not on threads, not on where an epoch begins.
    [TestMethod]
    public void Batches_AreTheSame_WithAnyNumberOfWorkers_AndFromAnyBatchOn()
    {
        using var folder = new TemporaryFolder();
        ShapePictures.Draw(folder.FolderPath, 5);
        using ImageSource source = ImageFolder.Open(folder.FolderPath, ImageOptions.Unit with { Height = 16, Width = 16 });
        DataLoader Loader(int workers, int prefetch, long seed = 3) => new(source, Soft,
            (Everything with { Mixup = 0.4, Cutmix = 1 }).AddTo(
            new DataLoaderOptions { BatchSize = 4, Seed = seed, Workers = workers, Prefetch = prefetch }, source.Options));
        double[] alone = Values(Loader(1, 0).Batches(2), "x");
        Assert.HasCount(25 * 3 * 256, alone);
        CollectionAssert.AreEqual(alone, Values(Loader(4, 3).Batches(2), "x"));
        CollectionAssert.AreEqual(alone, Values(Loader(0, 1).Batches(2), "x"));
        CollectionAssert.AreEqual(alone.Skip(8 * 768).ToArray(), Values(Loader(3, 2).Batches(2, 2), "x"));
        CollectionAssert.AreNotEqual(alone, Values(Loader(1, 0).Batches(3), "x"));
        CollectionAssert.AreNotEqual(alone, Values(Loader(1, 0, 4).Batches(2), "x"));
        // The source itself stays what it was.
        double[] plain = Values(new DataLoader(source, Inputs, new DataLoaderOptions { Shuffle = false, Workers = 2 }).Batches(), "x");
        CollectionAssert.AreEqual(plain, Values(new DataLoader(source, Inputs, new DataLoaderOptions { Shuffle = false }).Batches(), "x"));
    }

    [TestMethod]
    public void EachStep_ChangesPictures_InEveryLayout()
    {
        using var folder = new TemporaryFolder();
        ShapePictures.Draw(folder.FolderPath, 4);
        foreach (ImageOptions options in new[] { ImageOptions.Unit, ImageOptions.Raw,
            ImageOptions.Unit with { Layout = ImageLayout.Nhwc, Channels = ImageChannels.Grey } })
        {
            using ImageSource source = ImageFolder.Open(folder.FolderPath, options with { Height = 16, Width = 16 });
            string[] dims = ["batch", .. source.Columns[0].Dimensions.Select(d => $"{d}")];
            BatchInput[] inputs = [Inputs[0] with { Dimensions = dims }, Inputs[1]];
            double[] plain = Values(new DataLoader(source, inputs, new DataLoaderOptions { Shuffle = false }).Batches(), "x");
            foreach (ImageAugmentation one in new ImageAugmentation[] { new() { HorizontalFlip = 1 }, new() { VerticalFlip = 1 },
                new() { CropArea = new(0.2, 0.5) }, new() { Brightness = 0.4 }, new() { Contrast = 0.4 }, new() { Rotation = 30 },
                new() { Erasing = 1 } })
            {
                double[] changed = Values(new DataLoader(source, inputs,
                    one.AddTo(new DataLoaderOptions { Shuffle = false, Seed = 5 }, source.Options)).Batches(), "x");
                int size = plain.Length / 20, different = Enumerable.Range(0, 20)
                    .Count(e => !plain.AsSpan(e * size, size).SequenceEqual(changed.AsSpan(e * size, size)));
                Assert.IsGreaterThan(17, different, $"{one}");
                double top = options.Scale ? 1 : 255;
                Assert.IsTrue(changed.All(v => v >= 0 && v <= top), $"{one}");
                for (int row = 0; row < (one.HorizontalFlip == 1 && options.Layout == ImageLayout.Nchw ? 16 : 0); row++)
                    CollectionAssert.AreEqual(plain.Skip(row * 16).Take(16).Reverse().ToArray(), changed.Skip(row * 16).Take(16).ToArray());
            }
        }
    }

    // Mixup: one share for pictures and labels, of two neighbours. Cutmix: labels by the pixels.
    [TestMethod]
    public void MixedBatches_HaveMixedLabels()
    {
        using var folder = new TemporaryFolder();
        ShapePictures.Draw(folder.FolderPath, 4);
        using ImageSource source = ImageFolder.Open(folder.FolderPath, ImageOptions.Unit with { Height = 16, Width = 16 });
        var options = new DataLoaderOptions { Shuffle = false, BatchSize = 20 };
        double[] plain = Values(new DataLoader(source, Soft, options).Batches(), "x");
        double[] hot = Values(new DataLoader(source, Soft, options).Batches(), "target");
        CollectionAssert.AreEqual(Enumerable.Range(0, 100).Select(i => i % 5 == i / 20 ? 1.0 : 0).ToArray(), hot);
        var shares = new List<double>();
        for (int epoch = 0; epoch < 40; epoch++)
        {
            foreach (bool cuts in new[] { false, true })
            {
                var loader = new DataLoader(source, Soft, new ImageAugmentation { Mixup = cuts ? 0 : 1, Cutmix = cuts ? 1 : 0 }
                    .AddTo(options, source.Options));
                double[] x = Values(loader.Batches(epoch), "x"), y = Values(loader.Batches(epoch), "target");
                // Example 4 is the first of its class, the one before it the last of the class before.
                double share = y[(4 * 5) + 1];
                Assert.AreEqual(1 - share, y[4 * 5], 1e-6);
                Assert.AreEqual(1, y[..5].Sum(), 1e-6);
                if (!cuts) shares.Add(share);
                int own = 0, other = 0, same = 0;
                for (int i = 4 * 768; i < 5 * 768; i++)
                {
                    if (!cuts)
                    {
                        Assert.AreEqual((share * plain[i]) + ((1 - share) * plain[i - 768]), x[i], 1e-5);
                    }
                    else
                    {
                        Assert.IsTrue(x[i] == plain[i] || x[i] == plain[i - 768], $"epoch {epoch}, element {i} is of neither picture");
                        same += plain[i] == plain[i - 768] ? 1 : 0;
                        own += x[i] == plain[i] && plain[i] != plain[i - 768] ? 1 : 0;
                        other += x[i] != plain[i] ? 1 : 0;
                    }
                }
                if (cuts) Assert.AreEqual(1 - share, (double)other / (own + other), ((double)same / 768) + 1e-6);
            }
        }
        // Beta(1, 1) is uniform: mean 1/2 within four deviations of 40 draws.
        Assert.AreEqual(0.5, shares.Average(), 4 * Math.Sqrt(1 / 12.0 / 40));
    }

    [TestMethod]
    public void Mixing_RefusesClasses_AndNamesTheLossesThatTakeIt()
    {
        using var folder = new TemporaryFolder();
        ShapePictures.Draw(folder.FolderPath, 1);
        using ImageSource source = ImageFolder.Open(folder.FolderPath, ImageOptions.Unit with { Height = 16, Width = 16 });
        DataLoaderOptions options = new ImageAugmentation { Mixup = 0.2 }.AddTo(new DataLoaderOptions(), source.Options);
        string message = Assert.ThrowsExactly<OptionException>(() => new DataLoader(source, Inputs, options)).Message;
        StringAssert.Contains(message, "label 'labels' is Int64[]");
        StringAssert.Contains(message, "SoftCrossEntropyLoss (soft_cross_entropy)");
        using DataSource other = DataSource.FromTensors(new Dictionary<string, TensorData>
        {
            ["image"] = TensorData.From<float>(new float[768], 1, 3, 16, 16),
            ["labels"] = TensorData.From<long>([0], 1),
        });
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() =>
            new DataLoader(other, Inputs, Everything.AddTo(new DataLoaderOptions(), source.Options))).Message, "which the source applies");
        message = Assert.ThrowsExactly<OptionException>(() => new ImageAugmentation
        {
            HorizontalFlip = 2,
            Hue = 0.6,
            Brightness = -1,
            CropArea = new(0.5, 0.2),
            CropAspect = new(0, 1),
        }.AddTo(new DataLoaderOptions(), source.Options)).Message;
        foreach (string part in new[] { "HorizontalFlip is 2", "Hue is 0.6; expected 0 to 0.5", "Brightness is -1", "CropArea is 0.5..0.2",
            "CropAspect is 0..1" })
        {
            StringAssert.Contains(message, part);
        }
    }
}
