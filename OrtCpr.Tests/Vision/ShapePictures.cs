using SkiaSharp;

namespace OrtCpr.Tests.Vision;

// Pictures that are drawn for a test.
internal static class ShapePictures
{
    public static readonly string[] Classes = ["circle", "cross", "square", "star", "triangle"];

    // FOLDER/circle/000.png …: shapes of random colour, place and size on a light ground.
    public static void Draw(string folder, int each, int seed = 1, int size = 48)
    {
        var random = new Random(seed);
        foreach (string name in Classes)
        {
            Directory.CreateDirectory(Path.Combine(folder, name));
            for (int i = 0; i < each; i++)
            {
                int width = size + random.Next(size / 2), height = size + random.Next(size / 2);
                using var bitmap = new SKBitmap(width, height);
                using (var canvas = new SKCanvas(bitmap))
                {
                    canvas.Clear(new SKColor(Light(), Light(), Light()));
                    using var paint = new SKPaint { Color = new SKColor(Dark(), Dark(), Dark()), IsAntialias = true };
                    float radius = size * (0.22f + (0.12f * random.NextSingle()));
                    using SKPath path = Shape(name, (width / 2f) + (size * 0.2f * (random.NextSingle() - 0.5f)),
                        (height / 2f) + (size * 0.2f * (random.NextSingle() - 0.5f)), radius);
                    canvas.DrawPath(path, paint);
                }
                (SKEncodedImageFormat format, string ending) = (i % 3) switch
                {
                    0 => (SKEncodedImageFormat.Png, "png"),
                    1 => (SKEncodedImageFormat.Jpeg, "jpg"),
                    _ => (SKEncodedImageFormat.Webp, "webp"),
                };
                Save(bitmap, Path.Combine(folder, name, $"{i:D3}.{ending}"), format);
            }
        }

        byte Light() => (byte)(190 + random.Next(66));
        byte Dark() => (byte)random.Next(120);
    }

    public static void Save(SKBitmap bitmap, string path, SKEncodedImageFormat format = SKEncodedImageFormat.Png)
    {
        using SKData data = bitmap.Encode(format, 100);
        File.WriteAllBytes(path, data.ToArray());
    }

    // A picture of given pixels, row by row.
    public static void Save(string path, int width, params uint[] argb)
    {
        using var bitmap = new SKBitmap(new SKImageInfo(width, argb.Length / width, SKColorType.Bgra8888, SKAlphaType.Unpremul));
        for (int i = 0; i < argb.Length; i++) bitmap.SetPixel(i % width, i / width, new SKColor(argb[i]));
        Save(bitmap, path);
    }

    // A JPEG file with an EXIF tag of an orientation, 1 to 8.
    public static void SaveTurned(string path, SKBitmap bitmap, byte orientation)
    {
        using SKData data = bitmap.Encode(SKEncodedImageFormat.Jpeg, 100);
        byte[] jpeg = data.ToArray();
        byte[] exif = [0xFF, 0xE1, 0, 34, .. "Exif\0\0"u8, .. "II*\0"u8, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0,
            0, 0, 0, 0];
        File.WriteAllBytes(path, [.. jpeg[..2], .. exif, .. jpeg[2..]]);
    }

    // 24 bits a pixel, rows from the bottom, as Windows writes it.
    public static void SaveBmp(string path, int width, params uint[] rgb)
    {
        int height = rgb.Length / width, stride = ((width * 3) + 3) / 4 * 4;
        byte[] file = new byte[54 + (stride * height)];
        "BM"u8.CopyTo(file);
        BitConverter.TryWriteBytes(file.AsSpan(2), file.Length);
        file[10] = 54;
        file[14] = 40;
        BitConverter.TryWriteBytes(file.AsSpan(18), width);
        BitConverter.TryWriteBytes(file.AsSpan(22), height);
        file[26] = 1;
        file[28] = 24;
        for (int i = 0; i < rgb.Length; i++)
        {
            int at = 54 + ((height - 1 - (i / width)) * stride) + (i % width * 3);
            (file[at], file[at + 1], file[at + 2]) = ((byte)rgb[i], (byte)(rgb[i] >> 8), (byte)(rgb[i] >> 16));
        }
        File.WriteAllBytes(path, file);
    }

    private static SKPath Shape(string name, float x, float y, float r)
    {
        var path = new SKPath();
        switch (name)
        {
            case "circle":
                path.AddCircle(x, y, r);
                break;
            case "square":
                path.AddRect(new SKRect(x - r, y - r, x + r, y + r));
                break;
            case "cross":
                path.AddRect(new SKRect(x - r, y - (r / 4), x + r, y + (r / 4)));
                path.AddRect(new SKRect(x - (r / 4), y - r, x + (r / 4), y + r));
                break;
            default:
                int corners = name == "star" ? 10 : 3;
                SKPoint[] points = [.. Enumerable.Range(0, corners).Select(i => (Angle: (2 * MathF.PI * i / corners) - (MathF.PI / 2),
                    Reach: name == "star" && i % 2 == 1 ? r * 0.4f : r))
                    .Select(p => new SKPoint(x + (p.Reach * MathF.Cos(p.Angle)), y + (p.Reach * MathF.Sin(p.Angle))))];
                path.AddPoly(points);
                break;
        }
        return path;
    }
}
