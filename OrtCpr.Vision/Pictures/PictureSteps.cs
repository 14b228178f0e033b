using System.Runtime.InteropServices;

namespace OrtCpr.Vision;

/// <summary>What becomes of a picture: its size, and the numbers of an example.</summary>
internal static class PictureSteps
{
    /// <summary>A picture at the size of an example, as <see cref="ImageOptions.Fit"/> says.</summary>
    public static Planes Fit(Picture picture, ImageOptions options)
    {
        var all = new PixelBox(0, 0, picture.Width, picture.Height);
        var whole = new PixelBox(0, 0, options.Width, options.Height);
        var target = new Planes(options.Height, options.Width);
        if (options.Fit == ImageFit.Squash)
        {
            Resampler.Resize(picture, all, options.Width, options.Height, whole, options.Interpolation, target);
            return target;
        }
        if (options.Fit == ImageFit.Pad)
        {
            double scale = Math.Min((double)options.Width / picture.Width, (double)options.Height / picture.Height);
            int w = Math.Clamp((int)Math.Round(picture.Width * scale), 1, options.Width);
            int h = Math.Clamp((int)Math.Round(picture.Height * scale), 1, options.Height);
            Fill(target, options.Background);
            Resampler.Resize(picture, all, w, h, new PixelBox(0, 0, w, h), options.Interpolation, target, (options.Width - w) / 2,
                (options.Height - h) / 2);
            return target;
        }
        // Of a square target this is torchvision's Resize(size / fraction) and CenterCrop(size), with its roundings.
        int leastHeight = (int)(options.Height / options.CropFraction), leastWidth = (int)(options.Width / options.CropFraction);
        double grown = Math.Max((double)leastHeight / picture.Height, (double)leastWidth / picture.Width);
        bool byHeight = (double)leastHeight / picture.Height >= (double)leastWidth / picture.Width;
        int height = byHeight ? leastHeight : Math.Max(leastHeight, (int)(picture.Height * grown));
        int width = byHeight ? Math.Max(leastWidth, (int)(picture.Width * grown)) : leastWidth;
        var kept = new PixelBox((int)Math.Round((width - options.Width) / 2.0), (int)Math.Round((height - options.Height) / 2.0),
            options.Width, options.Height);
        Resampler.Resize(picture, all, width, height, kept, options.Interpolation, target);
        return target;
    }

    public static void Fill(Planes planes, ImageColor color)
    {
        planes.Plane(0).Fill(color.Red);
        planes.Plane(1).Fill(color.Green);
        planes.Plane(2).Fill(color.Blue);
    }

    /// <summary>Mean and deviation of a channel of an example, in its own units.</summary>
    public static (float Mean, float Deviation) Normal(ImageOptions options, int channel)
    {
        return (Of(options.Mean, 0), Of(options.Deviation, 1));

        float Of(System.Collections.Immutable.ImmutableArray<float> values, float fallback) => values.IsDefaultOrEmpty ? fallback
            : values.Length == 1 ? values[0]
            : options.Channels == ImageChannels.Grey ? values.Average()
                : values[options.Channels == ImageChannels.Bgr ? 2 - channel : channel];
    }

    /// <summary>The numbers of an example: channels, scaling, mean and deviation, layout.</summary>
    public static void Write(Planes planes, ImageOptions options, Span<byte> target)
    {
        int pixels = planes.Height * planes.Width, channels = options.ChannelCount;
        Span<float> floats = options.IsBytes ? default : MemoryMarshal.Cast<byte, float>(target);
        ReadOnlySpan<float> red = planes.Plane(0), green = planes.Plane(1), blue = planes.Plane(2);
        for (int c = 0; c < channels; c++)
        {
            ReadOnlySpan<float> plane = planes.Plane(options.Channels == ImageChannels.Bgr ? 2 - c : c);
            (float mean, float deviation) = Normal(options, c);
            float scale = options.Scale ? 255 : 1;
            for (int i = 0; i < pixels; i++)
            {
                float value = options.Channels == ImageChannels.Grey ? (0.299f * red[i]) + (0.587f * green[i]) + (0.114f * blue[i])
                    : plane[i];
                int at = options.Layout == ImageLayout.Nchw ? (c * pixels) + i : (i * channels) + c;
                if (options.IsBytes) target[at] = (byte)Math.Clamp((int)MathF.Round(value), 0, 255);
                else floats[at] = ((value / scale) - mean) / deviation;
            }
        }
    }
}
