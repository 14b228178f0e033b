using System.Collections.Immutable;
using OrtCpr.Data;
using OrtCpr.Graph;
using static System.FormattableString;

namespace OrtCpr.Vision;

/// <summary>Numbers from a least one to a most one.</summary>
/// <param name="Least">The lower end.</param>
/// <param name="Most">The upper end.</param>
public readonly record struct Interval(double Least, double Most)
{
    /// <inheritdoc/>
    public override string ToString() => Invariant($"{Least}..{Most}");
}

/// <summary>What is random about pictures while a model is trained. Nothing by default; what is 0 or null is left out.</summary>
/// <remarks>In this order: crop (or the fit of the <see cref="ImageOptions"/>), flips, rotation, colours, mean and deviation, erasing; then
/// mixup or cutmix of a batch. Everything depends on the seed of the loader, the epoch and the example only, so a run is repeatable, and
/// goes on after a resumption as it would have, whatever the number of workers. Definitions are torchvision's (v2).</remarks>
public sealed record ImageAugmentation
{
    /// <summary>Probability that a picture is mirrored left to right, 0 to 1. Default 0.</summary>
    public double HorizontalFlip { get; init; }

    /// <summary>Probability that a picture is mirrored top to bottom, 0 to 1. Default 0.</summary>
    public double VerticalFlip { get; init; }

    /// <summary>Cuts a random part out and resizes it to the target size: its area as a share of the picture, above 0 and at most 1.
    /// Default null: no random crop. torchvision's default is 0.08 to 1.</summary>
    public Interval? CropArea { get; init; }

    /// <summary>Width/height of the random part, above 0. Default 3/4 to 4/3.</summary>
    public Interval CropAspect { get; init; } = new(3.0 / 4, 4.0 / 3);

    /// <summary>Most that the brightness is changed by: a factor from max(0, 1 − b) to 1 + b. Default 0.</summary>
    public double Brightness { get; init; }

    /// <summary>Most that the contrast is changed by, as <see cref="Brightness"/>. Default 0.</summary>
    public double Contrast { get; init; }

    /// <summary>Most that the saturation is changed by, as <see cref="Brightness"/>. Default 0.</summary>
    public double Saturation { get; init; }

    /// <summary>Most that the hue is turned by, as a share of the circle of colours, 0 to 0.5. Default 0.</summary>
    public double Hue { get; init; }

    /// <summary>Most degrees that a picture is rotated by, to either side, 0 to 180. Bilinear; what comes in from outside is the
    /// <see cref="ImageOptions.Background"/>. Default 0.</summary>
    public double Rotation { get; init; }

    /// <summary>Probability that a random rectangle is erased, 0 to 1. Default 0.</summary>
    public double Erasing { get; init; }

    /// <summary>Area of the rectangle as a share of the picture, above 0 and at most 1. Default 0.02 to 0.33.</summary>
    public Interval ErasingArea { get; init; } = new(0.02, 0.33);

    /// <summary>Height/width of the rectangle, above 0. Default 0.3 to 3.3.</summary>
    public Interval ErasingAspect { get; init; } = new(0.3, 3.3);

    /// <summary>α of mixup (Zhang et al., ICLR 2018): two examples and their labels are mixed by a share drawn from Beta(α, α), one share a
    /// batch. Takes a loss of probabilities. Default 0.</summary>
    public double Mixup { get; init; }

    /// <summary>α of cutmix (Yun et al., ICCV 2019): a rectangle of another example, of an area drawn from Beta(α, α), is put in, and the
    /// labels are mixed by the areas. Where <see cref="Mixup"/> is on too, each batch gets one of the two by a fair coin. Default
    /// 0.</summary>
    public double Cutmix { get; init; }

    /// <summary>What torchvision trains classifiers with: random crops of 0.08 to 1 of the area, and horizontal flips.</summary>
    public static ImageAugmentation Standard { get; } = new() { HorizontalFlip = 0.5, CropArea = new(0.08, 1) };

    /// <summary>The augmentation as a part of a loader's options. For the loader of the training data; that of the validation goes
    /// without.</summary>
    /// <param name="options">What the loader has besides.</param>
    /// <param name="images">The options of the source.</param>
    /// <exception cref="OptionException">A value is out of range; all such are named.</exception>
    public DataLoaderOptions AddTo(DataLoaderOptions options, ImageOptions images)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(images);
        Check();
        if (ChangesExamples)
        {
            options = options with
            {
                Transforms = options.Transforms.SetItem(ImageColumns.Image,
                    [new AugmentPicture(this), .. options.Transforms.GetValueOrDefault(ImageColumns.Image, [])])
            };
        }
        return Mixup > 0 || Cutmix > 0
            ? options with { BatchTransforms = options.BatchTransforms.Add(new MixBatch(Mixup, Cutmix, images.Layout)) } : options;
    }

    private bool ChangesExamples => HorizontalFlip > 0 || VerticalFlip > 0 || CropArea is not null || Brightness > 0 || Contrast > 0
        || Saturation > 0 || Hue > 0 || Rotation > 0 || Erasing > 0;

    /// <summary>All options out of range at once.</summary>
    internal void Check()
    {
        var problems = new List<string>();
        Between(nameof(HorizontalFlip), HorizontalFlip, 1);
        Between(nameof(VerticalFlip), VerticalFlip, 1);
        Between(nameof(Erasing), Erasing, 1);
        Between(nameof(Hue), Hue, 0.5);
        Between(nameof(Rotation), Rotation, 180);
        foreach ((string name, double value) in new[] { (nameof(Brightness), Brightness), (nameof(Contrast), Contrast),
            (nameof(Saturation), Saturation), (nameof(Mixup), Mixup), (nameof(Cutmix), Cutmix) })
        {
            Between(name, value, double.MaxValue);
        }
        if (CropArea is Interval area) Positive(nameof(CropArea), area, 1);
        Positive(nameof(CropAspect), CropAspect, double.MaxValue);
        Positive(nameof(ErasingArea), ErasingArea, 1);
        Positive(nameof(ErasingAspect), ErasingAspect, double.MaxValue);
        OptionException.ThrowIfAny("The augmentation is out of range", problems);

        void Between(string name, double value, double most)
        {
            if (value >= 0 && value <= most) return;
            problems.Add(Invariant($"{nameof(ImageAugmentation)}.{name} is {value}; expected ")
                + (most < double.MaxValue ? Invariant($"0 to {most}") : "a finite number of at least 0"));
        }

        void Positive(string name, Interval value, double most)
        {
            if (value.Least > 0 && value.Least <= value.Most && value.Most <= most) return;
            problems.Add($"{nameof(ImageAugmentation)}.{name} is {value}; expected two numbers above 0"
                + (most == 1 ? " and at most 1" : "") + ", the lower one first");
        }
    }
}
