using System.CommandLine;
using System.Globalization;
using OrtCpr.Data;
using OrtCpr.Vision;

namespace OrtCpr.Tool.Train;

// Pictures as data: which size and numbers the model gets, and what is done about bad files.
internal sealed class PictureOptions
{
    private static readonly string[] TrainNames = ["train", "training"], ValidationNames = ["val", "valid", "validation", "test"];

    private readonly Option<string?> _size = new("--image-size")
    {
        Description = "Pictures: N, or HEIGHTxWIDTH, in pixels; by default what the model takes, or where it takes any that of the preset.",
    };
    private readonly Option<string> _preset = new("--image-preset")
    {
        Description = $"Pictures: {string.Join(", ", ImageOptions.Presets.Keys)}: mean, deviation, crop, interpolation and channels.",
        DefaultValueFactory = _ => "imagenet",
    };
    private readonly Option<string?> _fit = new("--image-fit")
    {
        Description = "Pictures: center-crop, squash or pad to the size; by default as the preset.",
    };
    private readonly Option<double?> _crop = new("--image-crop")
    {
        Description = "Pictures: the centre as a share of what a picture is resized to, as 0.875; by default as the preset.",
    };
    private readonly Option<string?> _channels = new("--image-channels")
    {
        Description = "Pictures: rgb, bgr or grey; by default as the preset and the model.",
    };
    private readonly Option<string?> _layout = new("--image-layout")
    {
        Description = "Pictures: nchw or nhwc; by default what the model's input tells.",
    };
    private readonly Option<string?> _column = new("--image-column")
    {
        Description = "A CSV file of pictures: the column with their paths, relative to the file; --label names that of the labels.",
    };
    private readonly Option<string> _labels = new("--image-labels")
    {
        Description = "A CSV file of pictures: auto, classes or numbers.",
        DefaultValueFactory = _ => "auto",
    };
    private readonly Option<string> _damaged = new("--damaged")
    {
        Description = "Pictures that can't be read: refuse, or skip, which decodes all once before the run.",
        DefaultValueFactory = _ => "refuse",
    };
    private readonly Option<string> _scan = new("--image-scan")
    {
        Description = "Pictures: none, headers, or pixels: what is looked at before the run.",
        DefaultValueFactory = _ => "headers",
    };
    private readonly Option<long?> _pixels = new("--image-max-pixels") { Description = "Pictures: most pixels that one may have." };
    private readonly Option<int> _cache = new("--image-cache") { Description = "Pictures: MiB of memory in which decoded ones are kept." };
    private readonly Option<string?> _augmentation = new("--augmentation")
    {
        Description = $"Pictures: what is random while training, with commas between, as flip,crop=0.35..1,brightness=0.2: "
            + $"{AugmentationText.Expected}. --augment alone is flip,crop=0.08..1.",
    };

    // How pictures are read, as a run and its evaluation do alike.
    public static readonly string[] Reading = ["--image-size", "--image-preset", "--image-fit", "--image-crop", "--image-channels",
        "--image-layout", "--image-column", "--image-labels", "--image-max-pixels"];

    public void AddTo(Command command, bool training)
    {
        foreach (Option option in new Option[] { _size, _preset, _fit, _crop, _channels, _layout, _column, _labels, _damaged, _scan,
            _pixels, _cache })
        {
            command.Add(option);
        }
        if (training) command.Add(_augmentation);
    }

    public bool IsTable(ParseResult r) => r.GetValue(_column) is not null;

    // The parts of a folder that has one to train on and one to evaluate on, and nothing else but perhaps another.
    public static (string Train, string Validation)? Parts(string folder)
    {
        string[] names = Directory.Exists(folder) ? [.. Directory.EnumerateDirectories(folder).Select(d => Path.GetFileName(d))] : [];
        string? train = Array.Find(TrainNames, names.Contains), validation = Array.Find(ValidationNames, names.Contains);
        return train is null || validation is null || names.Except(TrainNames).Except(ValidationNames).Any() ? null
            : (Path.Combine(folder, train), Path.Combine(folder, validation));
    }

    public ImageSource Open(ParseResult r, string path, PictureModel model, string? label, double[] mean, double[] deviation, bool scale)
    {
        ImageOptions options = Read(r, model) with { Classes = model.ClassNames };
        if (mean.Length > 0) options = options with { Mean = [.. mean.Select(v => (float)v)] };
        if (deviation.Length > 0) options = options with { Deviation = [.. deviation.Select(v => (float)v)] };
        if (!scale) options = options with { Scale = false };
        return r.GetValue(_column) is string column ? ImageTable.Open(path, column, label, options) : ImageFolder.Open(path, options);
    }

    // What is random; null for nothing.
    public ImageAugmentation? Augmentation(ParseResult r, bool standard, bool arePictures)
    {
        string? text = r.GetValue(_augmentation);
        if (text is not null && !arePictures)
            throw new ToolException("--augmentation is for folders and tables of pictures; images of other files have --augment.");
        if (!arePictures) return null;
        return text is not null ? AugmentationText.Parse(text) : standard ? ImageAugmentation.Standard : null;
    }

    public static void Announce(ImageSource source)
    {
        ImageOptions options = source.Options;
        string kind = $"{(options.Channels == ImageChannels.Grey ? "grey" : $"{options.Channels}".ToUpperInvariant())}, "
            + $"{$"{options.Layout}".ToUpperInvariant()}";
        string classes = source.ClassNames.Length == 0 ? "" : $" of {source.ClassNames.Length} classes ("
            + string.Join(", ", source.ClassNames.Take(5)) + (source.ClassNames.Length > 5 ? ", …)" : ")");
        Console.Error.WriteLine($"{source.Count} pictures{classes}, each {options.Height} × {options.Width} {kind}");
        if (source.IgnoredFiles > 0) Console.Error.WriteLine($"{source.IgnoredFiles} files of other kinds are ignored");
        Warn(source);
    }

    // Tells which pictures were left out.
    public static void Warn(DataSource source)
    {
        if (source is not ImageSource { Skipped: { Count: > 0 } skipped }) return;
        Console.Error.WriteLine($"warning: {skipped.Count} pictures can't be read and are left out:");
        foreach (DamagedImage image in skipped.Take(10)) Console.Error.WriteLine($"  '{image.Path}': {image.Reason}");
        if (skipped.Count > 10) Console.Error.WriteLine($"  … and {skipped.Count - 10} more");
    }

    private ImageOptions Read(ParseResult r, PictureModel model)
    {
        ImageOptions preset = RuleOptions.Choose(ImageOptions.Presets, r.GetValue(_preset)!, "--image-preset");
        ImageChannels? channels = Named<ImageChannels>(r.GetValue(_channels), "--image-channels");
        ImageLayout? layout = Named<ImageLayout>(r.GetValue(_layout), "--image-layout");
        (int Height, int Width)? size = r.GetValue(_size) is string text ? Size(text) : null;
        if (size is not null) preset = preset with { Height = size.Value.Height, Width = size.Value.Width };
        // Whoever says layout, channels and size needs no model that tells them.
        ImageOptions options = layout is not null && channels is not null && size is not null ? preset
            : ImageOptions.For(model.Inputs, preset);
        if (size is not null && (options.Height, options.Width) != size.Value)
        {
            throw new ToolException($"--image-size is {r.GetValue(_size)}, and the model takes pictures of {options.Height} × "
                + $"{options.Width} only. Leave it out, or export the model with open sizes.");
        }
        return options with
        {
            Channels = channels ?? options.Channels,
            Layout = layout ?? options.Layout,
            Fit = Named<ImageFit>(r.GetValue(_fit)?.Replace("-", "", StringComparison.Ordinal), "--image-fit") ?? options.Fit,
            CropFraction = r.GetValue(_crop) ?? options.CropFraction,
            Labels = Named<ImageLabels>(r.GetValue(_labels), "--image-labels")!.Value,
            Damaged = Named<DamagedImages>(r.GetValue(_damaged), "--damaged")!.Value,
            Scan = Named<ImageScan>(r.GetValue(_scan), "--image-scan")!.Value,
            MaxPixels = r.GetValue(_pixels) ?? options.MaxPixels,
            CacheBytes = r.GetValue(_cache) * 1048576L,
        };
    }

    private static (int Height, int Width) Size(string text)
    {
        string[] parts = text.Split('x', 'X', '×');
        int[] sizes = [.. parts.Select(p => int.TryParse(p, NumberStyles.None, CultureInfo.InvariantCulture, out int n) ? n : 0)];
        return sizes.All(n => n > 0) && sizes.Length is 1 or 2 ? (sizes[0], sizes[^1])
            : throw new ToolException($"--image-size '{text}': expected N or HEIGHTxWIDTH in pixels, as 224 or 192x256.");
    }

    private static T? Named<T>(string? text, string option) where T : struct, Enum => text is null ? null
        : RuleOptions.Choose(Enum.GetValues<T>().ToDictionary(v => v.ToString().ToLowerInvariant(), v => v, StringComparer.Ordinal),
            text.ToLowerInvariant(), option);
}
