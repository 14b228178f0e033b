using OrtCpr.Data;

namespace OrtCpr.Vision;

/// <summary>Changes pictures at random while a source reads them: before they have their size, where that matters.</summary>
internal sealed class AugmentPicture(ImageAugmentation augmentation) : Transform
{
    public override bool ActsInSource => true;

    public override void Apply(Span<float> example, IReadOnlyList<long> dimensions, SplitMix64 random) =>
        throw new NotSupportedException("The source applies it.");

    /// <summary>Writes the example that is made of a picture.</summary>
    public void Write(Picture picture, ImageOptions options, SplitMix64 random, Span<byte> target)
    {
        Planes planes;
        if (augmentation.CropArea is Interval area)
        {
            PixelBox box = RandomBox.Crop(picture.Width, picture.Height, area, augmentation.CropAspect, random);
            planes = new Planes(options.Height, options.Width);
            Resampler.Resize(picture, box, options.Width, options.Height, new PixelBox(0, 0, options.Width, options.Height),
                options.Interpolation, planes);
        }
        else
        {
            planes = PictureSteps.Fit(picture, options);
        }
        if (random.NextDouble() < augmentation.HorizontalFlip) Geometry.FlipAcross(planes);
        if (random.NextDouble() < augmentation.VerticalFlip) Geometry.FlipDown(planes);
        if (augmentation.Rotation > 0)
            planes = Geometry.Rotate(planes, ((2 * random.NextDouble()) - 1) * augmentation.Rotation, options.Background);
        ColorJitter.Apply(planes, augmentation, random);
        PictureSteps.Write(planes, options, target);
        if (random.NextDouble() < augmentation.Erasing) Erase(options, random, target);
    }

    /// <summary>The rectangle gets 0, which is the mean of the channels; where there is no mean, it is black.</summary>
    private void Erase(ImageOptions options, SplitMix64 random, Span<byte> target)
    {
        PixelBox? found = RandomBox.Erasing(options.Width, options.Height, augmentation.ErasingArea, augmentation.ErasingAspect, random);
        if (found is not PixelBox box) return;
        int size = options.IsBytes ? 1 : sizeof(float);
        for (int y = box.Top; y < box.Top + box.Height; y++)
        {
            int start = (y * options.Width) + box.Left;
            if (options.Layout == ImageLayout.Nhwc)
            {
                target.Slice(start * options.ChannelCount * size, box.Width * options.ChannelCount * size).Clear();
                continue;
            }
            for (int c = 0; c < options.ChannelCount; c++)
                target.Slice(((c * options.Height * options.Width) + start) * size, box.Width * size).Clear();
        }
    }
}

/// <summary>Random parts of pictures by torchvision's rules.</summary>
internal static class RandomBox
{
    private const int Tries = 10;

    /// <summary>RandomResizedCrop: ten tries at an area and a logarithmically uniform aspect; then the largest centre whose aspect is
    /// allowed.</summary>
    public static PixelBox Crop(int width, int height, Interval area, Interval aspect, SplitMix64 random)
    {
        for (int i = 0; i < Tries; i++)
        {
            double pixels = Uniform(area, random) * width * height;
            double ratio = Math.Exp(Uniform(new(Math.Log(aspect.Least), Math.Log(aspect.Most)), random));
            int w = (int)Math.Round(Math.Sqrt(pixels * ratio)), h = (int)Math.Round(Math.Sqrt(pixels / ratio));
            if (w < 1 || h < 1 || w > width || h > height) continue;
            int top = random.Below(height - h + 1);
            return new PixelBox(random.Below(width - w + 1), top, w, h);
        }
        double own = (double)width / height;
        int keptWidth = own > aspect.Most ? Math.Clamp((int)Math.Round(height * aspect.Most), 1, width) : width;
        int keptHeight = own < aspect.Least ? Math.Clamp((int)Math.Round(width / aspect.Least), 1, height) : height;
        return new PixelBox((width - keptWidth) / 2, (height - keptHeight) / 2, keptWidth, keptHeight);
    }

    /// <summary>RandomErasing: ten tries; null where none fits into the picture.</summary>
    public static PixelBox? Erasing(int width, int height, Interval area, Interval aspect, SplitMix64 random)
    {
        for (int i = 0; i < Tries; i++)
        {
            double pixels = Uniform(area, random) * width * height;
            double ratio = Math.Exp(Uniform(new(Math.Log(aspect.Least), Math.Log(aspect.Most)), random));
            int h = (int)Math.Round(Math.Sqrt(pixels * ratio)), w = (int)Math.Round(Math.Sqrt(pixels / ratio));
            if (w < 1 || h < 1 || w >= width || h >= height) continue;
            int top = random.Below(height - h + 1);
            return new PixelBox(random.Below(width - w + 1), top, w, h);
        }
        return null;
    }

    public static double Uniform(Interval interval, SplitMix64 random) =>
        interval.Least + ((interval.Most - interval.Least) * random.NextDouble());
}
