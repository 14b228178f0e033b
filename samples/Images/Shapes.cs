using SkiaSharp;

namespace Images;

// Draws pictures of five shapes, in any colour, size, place and turn, on a ground of noise.
internal static class Shapes
{
    private static readonly string[] Classes = ["circle", "cross", "square", "star", "triangle"];

    // FOLDER/circle/000.png and so on.
    public static void Draw(string folder, int each, int side, int seed)
    {
        var random = new Random(seed);
        foreach (string shape in Classes)
        {
            string target = Path.Combine(folder, shape);
            // What an earlier run with more pictures has left would be trained on.
            if (Directory.Exists(target)) Directory.Delete(target, recursive: true);
            Directory.CreateDirectory(target);
            for (int i = 0; i < each; i++)
            {
                using SKBitmap picture = Draw(shape, side, random);
                using SKData png = picture.Encode(SKEncodedImageFormat.Png, 100);
                File.WriteAllBytes(Path.Combine(target, $"{i:D3}.png"), png.ToArray());
            }
        }
    }

    private static SKBitmap Draw(string shape, int side, Random random)
    {
        var bitmap = new SKBitmap(new SKImageInfo(side, side, SKColorType.Bgra8888, SKAlphaType.Opaque));
        SKColor ground = Colour(random), ink = Colour(random);
        while (Distance(ground, ink) < 60) ink = Colour(random);
        using (var canvas = new SKCanvas(bitmap))
        {
            canvas.Clear(ground);
            float radius = side * Between(random, 0.05f, 0.2f);
            canvas.Translate(Between(random, radius, side - radius), Between(random, radius, side - radius));
            canvas.RotateDegrees(Between(random, -25, 25));
            using var paint = new SKPaint { Color = ink, IsAntialias = true };
            if (random.Next(2) == 0)
            {
                // An outline only.
                paint.Style = SKPaintStyle.Stroke;
                paint.StrokeWidth = radius * 0.15f;
            }
            using SKPath path = PathOf(shape, radius);
            canvas.DrawPath(path, paint);
        }
        AddNoise(bitmap, random.Next(20, 100), random);
        return bitmap;
    }

    private static SKPath PathOf(string shape, float r)
    {
        var path = new SKPath();
        switch (shape)
        {
            case "circle":
                path.AddCircle(0, 0, r);
                break;
            case "square":
                path.AddRect(new SKRect(-0.85f * r, -0.85f * r, 0.85f * r, 0.85f * r));
                break;
            case "cross":
                float thin = r * 0.28f;
                path.AddPoly([new(-thin, -r), new(thin, -r), new(thin, -thin), new(r, -thin), new(r, thin), new(thin, thin), new(thin, r),
                    new(-thin, r), new(-thin, thin), new(-r, thin), new(-r, -thin), new(-thin, -thin)]);
                break;
            default:
                int corners = shape == "star" ? 10 : 3;
                path.AddPoly([.. Enumerable.Range(0, corners).Select(i =>
                {
                    float angle = (2 * MathF.PI * i / corners) - (MathF.PI / 2), reach = corners == 10 && i % 2 == 1 ? r * 0.42f : r;
                    return new SKPoint(reach * MathF.Cos(angle), reach * MathF.Sin(angle));
                })]);
                break;
        }
        return path;
    }

    private static void AddNoise(SKBitmap bitmap, int strength, Random random)
    {
        Span<byte> bytes = bitmap.GetPixelSpan();
        for (int i = 0; i < bytes.Length; i++)
        {
            if (i % 4 != 3) bytes[i] = (byte)Math.Clamp(bytes[i] + random.Next(-strength, strength + 1), 0, 255);
        }
    }

    private static SKColor Colour(Random random) => new((byte)random.Next(256), (byte)random.Next(256), (byte)random.Next(256));

    private static double Distance(SKColor a, SKColor b) =>
        Math.Sqrt(Math.Pow(a.Red - b.Red, 2) + Math.Pow(a.Green - b.Green, 2) + Math.Pow(a.Blue - b.Blue, 2));

    private static float Between(Random random, float least, float most) => least + ((most - least) * random.NextSingle());
}
