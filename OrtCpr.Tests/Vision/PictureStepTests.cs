using System.Runtime.InteropServices;
using OrtCpr.Graph;
using OrtCpr.Vision;

namespace OrtCpr.Tests.Vision;

// Pixels by hand.
[TestClass]
public sealed class PictureStepTests
{
    private static Picture Grey(int width, params byte[] values) =>
        new(width, values.Length / width, [.. values.SelectMany(v => new[] { v, v, v })]);

    private static float[] Resized(Picture picture, int width, int height, ImageInterpolation interpolation = ImageInterpolation.Bilinear)
    {
        var target = new Planes(height, width);
        Resampler.Resize(picture, new(0, 0, picture.Width, picture.Height), width, height, new(0, 0, width, height), interpolation, target);
        return target.Plane(0).ToArray();
    }

    private static void AreClose(float[] expected, float[] found)
    {
        Assert.HasCount(expected.Length, found);
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], found[i], 1e-3f, $"element {i}");
    }

    // A triangle of half width 2 about the middle of two pixels: weights 1/8, 3/8, 3/8, 1/8; at the edge 3/7, 3/7, 1/7.
    [TestMethod]
    public void Halving_IsATriangle_WithoutAliasing()
    {
        float[] found = Resized(Grey(8, 0, 80, 160, 240, 80, 0, 40, 200), 4, 1);
        AreClose([(0 * 3 + 80 * 3 + 160) / 7f, (80 + 160 * 3 + 240 * 3 + 80) / 8f, (240 + 80 * 3 + 0 * 3 + 40) / 8f,
            (0 + 40 * 3 + 200 * 3) / 7f], found);
        // A pattern of single columns is grey afterwards, not black or white.
        float[] stripes = Resized(Grey(64, [.. Enumerable.Range(0, 64).Select(i => (byte)(i % 2 == 0 ? 0 : 255))]), 16, 1);
        foreach (float value in stripes[1..^1]) Assert.AreEqual(127.5f, value, 1e-3f);
    }

    // Doubling: 1/4 and 3/4 of neighbours; Keys' cubic at ±1/4: −0.0703125, 0.8671875, 0.2265625, −0.0234375.
    [TestMethod]
    public void Doubling_IsBilinear_OrCubic()
    {
        AreClose([0, 25, 75, 125, 175, 200], Resized(Grey(3, 0, 100, 200), 6, 1));
        AreClose([0, 0, 25, 25, 75, 75, 100, 100], Resized(Grey(1, 0, 100), 2, 4));
        float[] cubic = Resized(Grey(6, 10, 20, 50, 90, 60, 30), 12, 1, ImageInterpolation.Bicubic);
        Assert.AreEqual((20 * -0.0234375f) + (50 * 0.2265625f) + (90 * 0.8671875f) + (60 * -0.0703125f), cubic[6], 1e-3f);
        // What the filter makes beyond 255 is cut off.
        Assert.AreEqual(255, Resized(Grey(4, 0, 255, 255, 0), 8, 1, ImageInterpolation.Bicubic).Max());
    }

    private static float[] Example(Picture picture, ImageOptions options)
    {
        byte[] bytes = new byte[4 * options.Height * options.Width * options.ChannelCount];
        PictureSteps.Write(PictureSteps.Fit(picture, options), options, bytes);
        return MemoryMarshal.Cast<byte, float>(bytes).ToArray();
    }

    // 8 × 4 to a shorter side of 4 and the middle 2 × 2; squashed; padded above and below.
    [TestMethod]
    public void AFit_IsTheCentre_OrSquashed_OrPadded()
    {
        Picture picture = Grey(8, [.. Enumerable.Range(0, 32).Select(i => (byte)((i % 8 * 10) + (i / 8)))]);
        ImageOptions options =
            ImageOptions.Raw with { Height = 2, Width = 2, CropFraction = 0.5, Channels = ImageChannels.Grey, Mean = [1] };
        AreClose([30, 40, 31, 41], Example(picture, options));
        // Each output is the middle of four columns, and of two rows; weights of triangles are symmetric there.
        float[] squashed = Example(picture, options with { Fit = ImageFit.Squash });
        Assert.AreEqual(squashed[1] - squashed[0], squashed[3] - squashed[2], 1e-3f);
        Assert.AreEqual(35 + 1.5f - 1, squashed.Average(), 1e-3f);
        float[] padded = Example(picture, options with { Fit = ImageFit.Pad, Height = 8, Width = 8, Background = new(7, 7, 7) });
        AreClose([.. Enumerable.Repeat(6f, 16)], padded[..16]);
        AreClose([.. picture.Pixels.Where((_, i) => i % 3 == 0).Select(v => v - 1f)], padded[16..48]);
        AreClose([.. Enumerable.Repeat(6f, 16)], padded[48..]);
    }

    [TestMethod]
    public void Centre_IsTorchvisions()
    {
        // Resize(256) of 375 × 500 gives 256 × 341; CenterCrop(224) begins at (16, round(58.5) = 58).
        byte[] values = [.. Enumerable.Range(0, 375 * 500).Select(i => (byte)(i % 500 / 2))];
        var target = new Planes(224, 224);
        Picture picture = Grey(500, values);
        Resampler.Resize(picture, new(0, 0, 500, 375), 341, 256, new(58, 16, 224, 224), ImageInterpolation.Bilinear, target);
        CollectionAssert.AreEqual(target.Values, PictureSteps.Fit(picture, ImageOptions.ImageNet).Values);
    }

    [TestMethod]
    public void Numbers_AreChannels_Layout_AndNormalisation()
    {
        var picture = new Picture(2, 1, [255, 0, 51, 102, 204, 0]);
        ImageOptions options = ImageOptions.Unit with { Height = 1, Width = 2, Fit = ImageFit.Squash };
        AreClose([1, 0.4f, 0, 0.8f, 0.2f, 0], Example(picture, options));
        AreClose([0.2f, 0, 0, 0.8f, 1, 0.4f], Example(picture, options with { Channels = ImageChannels.Bgr }));
        AreClose([1, 0, 0.2f, 0.4f, 0.8f, 0], Example(picture, options with { Layout = ImageLayout.Nhwc }));
        AreClose([0.299f + 0.0228f, 0.1196f + 0.4696f], Example(picture, options with { Channels = ImageChannels.Grey }));
        AreClose([1, -0.2f, -1, 0.6f, -0.6f, -1], Example(picture, options with { Mean = [0.5f], Deviation = [0.5f] }));
        // Means are of red, green and blue, whatever the order of the channels.
        AreClose([(0.2f - 0.3f) / 0.4f, -0.75f, -0.1f / 0.2f, 0.7f / 0.2f, 9, 3],
            Example(picture, options with { Channels = ImageChannels.Bgr, Mean = [0.1f, 0.1f, 0.3f], Deviation = [0.1f, 0.2f, 0.4f] }));
        byte[] raw = new byte[6];
        ImageOptions bytes = ImageOptions.Raw with { Height = 1, Width = 2, Fit = ImageFit.Squash };
        PictureSteps.Write(PictureSteps.Fit(picture, bytes), bytes, raw);
        CollectionAssert.AreEqual(new byte[] { 255, 102, 0, 204, 51, 0 }, raw);
        AreClose([255, 102, 0, 204, 51, 0], Example(picture, options with { Scale = false, Mean = [0] }));
    }

    private static BatchInput Input(string name, ElementType type, params string[] dims) =>
        new() { Name = name, Type = type, Dimensions = dims };

    [TestMethod]
    public void AModelsInput_TellsSizeLayoutAndChannels()
    {
        ImageOptions first = ImageOptions.For([Input("x", ElementType.Float, "batch", "3", "32", "48"),
            Input("n", ElementType.Float, "1")]);
        Assert.AreEqual(ImageOptions.ImageNet with { Height = 32, Width = 48 }, first);
        ImageOptions last = ImageOptions.For([Input("x", ElementType.Float, "n", "h", "w", "1")], ImageOptions.Clip);
        Assert.AreEqual(ImageOptions.Clip with { Layout = ImageLayout.Nhwc, Channels = ImageChannels.Grey }, last);
        Assert.AreEqual(ElementType.UInt8, Opened(ImageOptions.For([Input("x", ElementType.UInt8, "n", "4", "4", "3")])));
        foreach ((BatchInput[] inputs, string part) in new (BatchInput[], string)[]
        {
            ([Input("x", ElementType.Float, "n", "3", "8", "3")], "has 1 or 3 on its second and on its last axis"),
            ([Input("x", ElementType.Float, "n", "4", "8", "8")], "has neither 1 nor 3 on its second or its last axis"),
            ([Input("x", ElementType.Float, "n", "c", "h", "w")], "has neither 1 nor 3"),
            ([Input("x", ElementType.Float, "n", "10")], "The model has no input for pictures"),
            ([Input("x", ElementType.Float, "n", "3", "8", "8"), Input("y", ElementType.Float, "n", "3", "8", "8")], "several inputs"),
        })
        {
            StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => ImageOptions.For(inputs)).Message, part);
        }
    }

    private static ElementType Opened(ImageOptions options)
    {
        using var folder = new TemporaryFolder();
        ShapePictures.Draw(folder.FolderPath, 1);
        using ImageSource source = ImageFolder.Open(folder.FolderPath, options);
        return source.Columns[0].Type;
    }

    [TestMethod]
    public void Options_OutOfRange_AreNamedAtOnce()
    {
        string message = Assert.ThrowsExactly<OptionException>(() => (ImageOptions.ImageNet with
        {
            Height = 0,
            CropFraction = 1.5,
            Mean = [1, 2],
            Deviation = [0],
            MaxPixels = 0,
            CacheBytes = -1,
            Classes = ["a", "a"],
        }).Check()).Message;
        foreach (string part in new[] { "Height and Width are 0", "CropFraction is 1.5", "Mean is 1, 2", "Deviation is 0", "MaxPixels is 0",
            "CacheBytes is -1", "'a' more than once" })
        {
            StringAssert.Contains(message, part);
        }
    }
}
