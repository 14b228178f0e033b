using System.Collections.Immutable;
using OrtCpr.Graph;
using static System.FormattableString;

namespace OrtCpr.Vision;

/// <summary>What becomes of a picture on its way to the model. The default is <see cref="ImageNet"/>.</summary>
public sealed record ImageOptions
{
    /// <summary>Height of an example in pixels, at least 1. Default 224.</summary>
    public int Height { get; init; } = 224;

    /// <summary>Width of an example in pixels, at least 1. Default 224.</summary>
    public int Width { get; init; } = 224;

    /// <summary>How a picture comes to that size. Default <see cref="ImageFit.CenterCrop"/>.</summary>
    public ImageFit Fit { get; init; } = ImageFit.CenterCrop;

    /// <summary>With <see cref="ImageFit.CenterCrop"/>: height and width of the centre as a share of what the picture is resized to,
    /// above 0 and at most 1. Default 0.875: 224 of 256 pixels.</summary>
    public double CropFraction { get; init; } = 0.875;

    /// <summary>How pixels are computed. Default bilinear, without aliasing.</summary>
    public ImageInterpolation Interpolation { get; init; }

    /// <summary>What the channels are. Default red, green, blue.</summary>
    public ImageChannels Channels { get; init; }

    /// <summary>The order of the axes. Default [channels, height, width].</summary>
    public ImageLayout Layout { get; init; }

    /// <summary>Whether values go from 0 to 1. Off: 0 to 255, and whole bytes (UInt8) where there is no <see cref="Mean"/> and no
    /// <see cref="Deviation"/> either. Default on.</summary>
    public bool Scale { get; init; } = true;

    /// <summary>What is subtracted from each channel after the scaling: one number for all, or three for red, green and blue, whatever the
    /// order of the channels (for grey their mean is taken); empty for 0. Default ImageNet's.</summary>
    public ImmutableArray<float> Mean { get; init; } = ImageNetMean;

    /// <summary>What is divided by then; as <see cref="Mean"/>, above 0; empty for 1. Default ImageNet's.</summary>
    public ImmutableArray<float> Deviation { get; init; } = ImageNetDeviation;

    /// <summary>Stands behind transparent pixels and beside pictures that are padded or rotated. Default white.</summary>
    public ImageColor Background { get; init; } = ImageColor.White;

    /// <summary>What is done about pictures that can't be read. Default: an error.</summary>
    public DamagedImages Damaged { get; init; }

    /// <summary>What is looked at when the source is opened. Default: the headers.</summary>
    public ImageScan Scan { get; init; } = ImageScan.Headers;

    /// <summary>Most pixels that a picture may have, at least 1; more are refused before they are decoded. Default 100 million.</summary>
    public long MaxPixels { get; init; } = 100_000_000;

    /// <summary>Bytes of memory for decoded pictures, three for each pixel of a file: what fits is decoded once and not again. Default 0:
    /// no picture is kept.</summary>
    public long CacheBytes { get; init; }

    /// <summary>Names of the classes 0, 1 …; empty to take them from the data, in order of their names. A class of the data that is not
    /// among them is refused. Default empty.</summary>
    public ImmutableArray<string> Classes { get; init; } = [];

    /// <summary>What the labels of a table are. Default: what they look like.</summary>
    public ImageLabels Labels { get; init; }

    private static ImmutableArray<float> ImageNetMean => [0.485f, 0.456f, 0.406f];

    private static ImmutableArray<float> ImageNetDeviation => [0.229f, 0.224f, 0.225f];

    /// <summary>torchvision's evaluation of models trained on ImageNet: the centre 224 × 224 of a picture whose shorter side is 256,
    /// bilinear, with ImageNet's mean and deviation.</summary>
    public static ImageOptions ImageNet { get; } = new();

    /// <summary>CLIP: shorter side to 224, the centre, bicubic, with CLIP's mean and deviation.</summary>
    public static ImageOptions Clip { get; } = new()
    {
        CropFraction = 1,
        Interpolation = ImageInterpolation.Bicubic,
        Mean = [0.48145466f, 0.4578275f, 0.40821073f],
        Deviation = [0.26862954f, 0.26130258f, 0.27577711f],
    };

    /// <summary>Values from −1 to 1: the centre 299 × 299 of a picture whose shorter side is 341. Inception, and MobileNet and ViT of
    /// TensorFlow.</summary>
    public static ImageOptions Inception { get; } = new() { Height = 299, Width = 299, Mean = [0.5f], Deviation = [0.5f] };

    /// <summary>Values from 0 to 1, without mean and deviation.</summary>
    public static ImageOptions Unit { get; } = new() { Mean = [], Deviation = [] };

    /// <summary>Bytes from 0 to 255, for models that scale by themselves.</summary>
    public static ImageOptions Raw { get; } = new() { Scale = false, Mean = [], Deviation = [] };

    /// <summary>PaddleOCR's classifiers and recognizers: blue, green, red; from −1 to 1; fitted into the size and padded.</summary>
    public static ImageOptions PaddleOcr { get; } = new()
    {
        Fit = ImageFit.Pad,
        Channels = ImageChannels.Bgr,
        Mean = [0.5f],
        Deviation = [0.5f],
        Background = ImageColor.Black,
    };

    /// <summary>The presets by the names that a command line has for them.</summary>
    internal static IReadOnlyDictionary<string, ImageOptions> Presets { get; } =
        new Dictionary<string, ImageOptions>(StringComparer.Ordinal)
        {
            ["imagenet"] = ImageNet,
            ["clip"] = Clip,
            ["inception"] = Inception,
            ["unit"] = Unit,
            ["raw"] = Raw,
            ["paddleocr"] = PaddleOcr,
        };

    /// <summary>A preset with the size, the layout and the number of channels that a model takes.</summary>
    /// <param name="inputs">What a batch holds, as <see cref="TrainingPlan.BatchInputs"/>. One of them must be a picture: [batch, 3 or 1,
    /// height, width] or [batch, height, width, 3 or 1], of a floating type or UInt8.</param>
    /// <param name="preset">What the model does not tell, and the size where the model leaves it open; null for
    /// <see cref="ImageNet"/>.</param>
    /// <exception cref="OptionException">No input is a picture, or several are, or layout and channels are not plain.</exception>
    public static ImageOptions For(IReadOnlyList<BatchInput> inputs, ImageOptions? preset = null) =>
        ImageInput.Fit(inputs, preset ?? ImageNet);

    internal int ChannelCount => Channels == ImageChannels.Grey ? 1 : 3;

    /// <summary>Whether examples are bytes as they are.</summary>
    internal bool IsBytes => !Scale && Mean.IsDefaultOrEmpty && Deviation.IsDefaultOrEmpty;

    /// <summary>Shape of an example.</summary>
    internal long[] Dimensions => Layout == ImageLayout.Nchw ? [ChannelCount, Height, Width] : [Height, Width, ChannelCount];

    /// <summary>All options out of range at once.</summary>
    internal void Check()
    {
        var problems = new List<string>();
        if (Height < 1 || Width < 1 || (long)Height * Width > 1 << 27)
        {
            problems.Add($"{nameof(Height)} and {nameof(Width)} are {Height} and {Width}; expected at least 1 each, and at most {1 << 27} "
                + "pixels");
        }
        if (!(CropFraction is > 0 and <= 1))
        {
            problems.Add(Invariant(
                $"{nameof(ImageOptions)}.{nameof(CropFraction)} is {CropFraction}; expected a number above 0 and at most 1"));
        }
        if (MaxPixels < 1) problems.Add($"{nameof(ImageOptions)}.{nameof(MaxPixels)} is {MaxPixels}; expected at least 1");
        if (CacheBytes < 0) problems.Add($"{nameof(ImageOptions)}.{nameof(CacheBytes)} is {CacheBytes}; expected at least 0");
        Numbers(nameof(Mean), Mean, v => float.IsFinite(v), "finite numbers");
        Numbers(nameof(Deviation), Deviation, v => v > 0 && float.IsFinite(v), "numbers above 0");
        string[] twice = [.. Classes.GroupBy(c => c, StringComparer.Ordinal).Where(g => g.Count() > 1).Select(g => $"'{g.Key}'")];
        if (twice.Length > 0) problems.Add($"{nameof(Classes)} has {string.Join(", ", twice)} more than once");
        OptionException.ThrowIfAny($"{nameof(ImageOptions)} are out of range", problems);

        void Numbers(string name, ImmutableArray<float> values, Func<float, bool> fits, string expected)
        {
            if (values.IsDefaultOrEmpty) return;
            if (values.Length is 1 or 3 && values.All(fits)) return;
            problems.Add(Invariant(
                $"{nameof(ImageOptions)}.{name} is {string.Join(", ", values)}; expected one or three {expected}, or none"));
        }
    }
}
