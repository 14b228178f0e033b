using OrtCpr;

namespace Browser;

// Pictures of 16 × 16 bytes, 255 where the pen was, with what they show. The page makes the same of what is drawn there (raster.js).
internal sealed record Drawings(byte[][] Images, int[] Labels)
{
    public const int Side = 16, Classes = 10;

    // The drawing fits into Box × Box; ink is whole up to Whole pixels from the pen's line and fades over one pixel.
    private const double Box = 12, Whole = 0.3;

    public int Count => Labels.Length;

    public static Drawings Make(Random random, int count, Func<int, bool> isOther)
    {
        (int Digit, (double X, double Y)[][] Lines)[] drawn = [.. Enumerable.Range(0, count).Select(i => Strokes.Draw(random, isOther(i)))];
        return new([.. drawn.Select(d => Raster(d.Lines))], [.. drawn.Select(d => d.Digit)]);
    }

    public Batch ToBatch(int start, int count)
    {
        float[] ink = [.. Enumerable.Range(start, count).SelectMany(i => Images[i]).Select(b => b / 255f)];
        return new Batch().Add("image", ink, count, 1, Side, Side)
            .Add("labels", Labels.Skip(start).Take(count).Select(l => (long)l).ToArray(), count);
    }

    private static byte[] Raster((double X, double Y)[][] lines)
    {
        (double X, double Y)[] points = [.. lines.SelectMany(l => l)];
        double left = points.Min(p => p.X), top = points.Min(p => p.Y), width = points.Max(p => p.X) - left,
            height = points.Max(p => p.Y) - top;
        double scale = Box / Math.Max(Math.Max(width, height), 1e-6);
        double dx = (Side / 2.0) - ((left + (width / 2)) * scale), dy = (Side / 2.0) - ((top + (height / 2)) * scale);
        (double X, double Y)[][] placed = [.. lines.Select(l => l.Select(p => ((p.X * scale) + dx, (p.Y * scale) + dy)).ToArray())];
        byte[] image = new byte[Side * Side];
        for (int i = 0; i < image.Length; i++)
        {
            (double x, double y) = ((i % Side) + 0.5, (i / Side) + 0.5);
            double nearest = placed.Min(l => Enumerable.Range(0, l.Length).Min(j => Distance(x, y, l[Math.Max(0, j - 1)], l[j])));
            image[i] = (byte)Math.Round(255 * Math.Clamp(1 + Whole - nearest, 0, 1));
        }
        return image;
    }

    // Of a point from the line between two others.
    private static double Distance(double x, double y, (double X, double Y) a, (double X, double Y) b)
    {
        double dx = b.X - a.X, dy = b.Y - a.Y, length = (dx * dx) + (dy * dy);
        double t = length == 0 ? 0 : Math.Clamp((((x - a.X) * dx) + ((y - a.Y) * dy)) / length, 0, 1);
        return Math.Sqrt(Math.Pow(a.X + (t * dx) - x, 2) + Math.Pow(a.Y + (t * dy) - y, 2));
    }
}
