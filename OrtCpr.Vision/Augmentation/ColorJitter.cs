using OrtCpr.Data;

namespace OrtCpr.Vision;

/// <summary>torchvision's ColorJitter: brightness, contrast, saturation and hue in random order, each clipped to 0 … 255.</summary>
internal static class ColorJitter
{
    public static void Apply(Planes planes, ImageAugmentation augmentation, SplitMix64 random)
    {
        foreach (int step in random.Permutation(4))
        {
            double most = step switch
            {
                0 => augmentation.Brightness,
                1 => augmentation.Contrast,
                2 => augmentation.Saturation,
                _ => augmentation.Hue,
            };
            if (most == 0) continue;
            float factor = (float)RandomBox.Uniform(step == 3 ? new(-most, most) : new(Math.Max(0, 1 - most), 1 + most), random);
            switch (step)
            {
                case 0: Brightness(planes, factor); break;
                case 1: Contrast(planes, factor); break;
                case 2: Saturation(planes, factor); break;
                default: Hue(planes, factor); break;
            }
        }
    }

    public static void Brightness(Planes planes, float factor)
    {
        foreach (ref float value in planes.Values.AsSpan()) value = Clip(value * factor);
    }

    /// <summary>Away from, or towards, the mean grey of the picture.</summary>
    public static void Contrast(Planes planes, float factor)
    {
        double sum = 0;
        int pixels = planes.Width * planes.Height;
        for (int i = 0; i < pixels; i++) sum += Grey(planes, i);
        float mean = (float)(sum / pixels);
        foreach (ref float value in planes.Values.AsSpan()) value = Clip(mean + ((value - mean) * factor));
    }

    /// <summary>Away from, or towards, the grey of each pixel.</summary>
    public static void Saturation(Planes planes, float factor)
    {
        for (int i = 0; i < planes.Width * planes.Height; i++)
        {
            float grey = Grey(planes, i);
            for (int c = 0; c < 3; c++)
            {
                ref float value = ref planes.Plane(c)[i];
                value = Clip(grey + ((value - grey) * factor));
            }
        }
    }

    /// <summary>Turns the hue of each pixel in the model of hue, saturation and value; 1 is the whole circle.</summary>
    public static void Hue(Planes planes, float turn)
    {
        Span<float> red = planes.Plane(0), green = planes.Plane(1), blue = planes.Plane(2);
        for (int i = 0; i < red.Length; i++)
        {
            float r = red[i], g = green[i], b = blue[i];
            float most = Math.Max(r, Math.Max(g, b)), range = most - Math.Min(r, Math.Min(g, b));
            // Grey has no hue.
            if (range == 0) continue;
            float sixth = most == r ? (g - b) / range : most == g ? 2 + ((b - r) / range) : 4 + ((r - g) / range);
            sixth += turn * 6;
            red[i] = Channel(5, sixth, most, range);
            green[i] = Channel(3, sixth, most, range);
            blue[i] = Channel(1, sixth, most, range);
        }
    }

    /// <summary>V − V·S·max(0, min(k, 4 − k, 1)) with k = (n + hue in sixths) modulo 6.</summary>
    private static float Channel(int n, float sixth, float most, float range)
    {
        float k = (n + sixth) % 6;
        if (k < 0) k += 6;
        return most - (range * Math.Clamp(Math.Min(k, 4 - k), 0, 1));
    }

    private static float Grey(Planes planes, int i) =>
        (0.2989f * planes.Plane(0)[i]) + (0.587f * planes.Plane(1)[i]) + (0.114f * planes.Plane(2)[i]);

    private static float Clip(float value) => Math.Clamp(value, 0, 255);
}
