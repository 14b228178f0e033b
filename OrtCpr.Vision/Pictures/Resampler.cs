using System.Buffers;

namespace OrtCpr.Vision;

/// <summary>Resizes pictures by a separable filter whose width grows where the picture shrinks, as Pillow's <c>resize</c> and torchvision
/// with antialiasing do. Skia has bilinear sampling with mipmaps only, which gives other pixels.</summary>
internal static class Resampler
{
    /// <summary>Resizes a part of a picture and keeps a part of what comes out.</summary>
    /// <param name="picture">The picture.</param>
    /// <param name="box">The part that is resized; nothing beside it is looked at.</param>
    /// <param name="width">Width that the part is resized to.</param>
    /// <param name="height">Height that the part is resized to.</param>
    /// <param name="kept">The part of the result that is computed.</param>
    /// <param name="interpolation">The filter.</param>
    /// <param name="target">Gets it, from (<paramref name="left"/>, <paramref name="top"/>) on. Values from 0 to 255.</param>
    /// <param name="left">First column.</param>
    /// <param name="top">First row.</param>
    public static void Resize(Picture picture, PixelBox box, int width, int height, PixelBox kept, ImageInterpolation interpolation,
        Planes target, int left = 0, int top = 0)
    {
        var across = Taps.Of(box.Width, width, kept.Left, kept.Width, interpolation);
        var down = Taps.Of(box.Height, height, kept.Top, kept.Height, interpolation);
        int first = down.First[0], rows = down.First[^1] + down.Count[^1] - first, stride = kept.Width * 3;
        float[] lines = ArrayPool<float>.Shared.Rent(rows * stride);
        for (int row = 0; row < rows; row++)
        {
            ReadOnlySpan<byte> line = picture.Pixels.AsSpan((((box.Top + first + row) * picture.Width) + box.Left) * 3, box.Width * 3);
            Across(line, across, lines.AsSpan(row * stride, stride));
        }
        for (int y = 0; y < kept.Height; y++)
        {
            ReadOnlySpan<float> weights = down.WeightsOf(y);
            int start = down.First[y] - first, at = ((top + y) * target.Width) + left;
            for (int x = 0; x < kept.Width; x++)
            {
                float r = 0, g = 0, b = 0;
                int from = (start * stride) + (x * 3);
                foreach (float weight in weights)
                {
                    r += weight * lines[from];
                    g += weight * lines[from + 1];
                    b += weight * lines[from + 2];
                    from += stride;
                }
                // A bicubic filter goes beyond the values that there are.
                target.Plane(0)[at + x] = Math.Clamp(r, 0, 255);
                target.Plane(1)[at + x] = Math.Clamp(g, 0, 255);
                target.Plane(2)[at + x] = Math.Clamp(b, 0, 255);
            }
        }
        ArrayPool<float>.Shared.Return(lines);
    }

    private static void Across(ReadOnlySpan<byte> line, Taps taps, Span<float> target)
    {
        for (int x = 0; x < taps.First.Length; x++)
        {
            float r = 0, g = 0, b = 0;
            int from = taps.First[x] * 3;
            foreach (float weight in taps.WeightsOf(x))
            {
                r += weight * line[from];
                g += weight * line[from + 1];
                b += weight * line[from + 2];
                from += 3;
            }
            (target[x * 3], target[(x * 3) + 1], target[(x * 3) + 2]) = (r, g, b);
        }
    }

    /// <summary>For each pixel of one axis of a result: the first pixel that it is made of, how many, and their weights.</summary>
    private sealed record Taps(int[] First, int[] Count, float[] Weights, int Most)
    {
        public ReadOnlySpan<float> WeightsOf(int place) => Weights.AsSpan(place * Most, Count[place]);

        public static Taps Of(int from, int to, int start, int count, ImageInterpolation interpolation)
        {
            double step = (double)from / to, reach = Math.Max(1, step);
            double support = reach * (interpolation == ImageInterpolation.Bicubic ? 2 : 1);
            int most = ((int)Math.Ceiling(support) * 2) + 1;
            int[] first = new int[count], counts = new int[count];
            float[] weights = new float[count * most];
            for (int i = 0; i < count; i++)
            {
                double centre = (start + i + 0.5) * step, sum = 0;
                int low = Math.Max(0, (int)(centre - support + 0.5)), high = Math.Min(from, (int)(centre + support + 0.5));
                (first[i], counts[i]) = (low, high - low);
                for (int k = low; k < high; k++)
                {
                    double weight = Filter((k - centre + 0.5) / reach, interpolation);
                    weights[(i * most) + k - low] = (float)weight;
                    sum += weight;
                }
                for (int k = 0; k < counts[i]; k++) weights[(i * most) + k] = (float)(weights[(i * most) + k] / sum);
            }
            return new Taps(first, counts, weights, most);
        }

        /// <summary>A triangle, or Keys' cubic convolution with a = −0.5.</summary>
        private static double Filter(double x, ImageInterpolation interpolation)
        {
            x = Math.Abs(x);
            if (interpolation == ImageInterpolation.Bilinear) return Math.Max(0, 1 - x);
            const double a = -0.5;
            if (x < 1) return ((((a + 2) * x) - (a + 3)) * x * x) + 1;
            return x < 2 ? ((((x - 5) * x) + 8) * x - 4) * a : 0;
        }
    }
}
