using System.Runtime.InteropServices;
using OrtCpr.Data;
using OrtCpr.Graph;
using SkiaSharp;

namespace Recogniser;

// Lines of segment displays as a source of data: each is drawn when it is read, and depends on its number only.
internal sealed class Displays : DataSource
{
    private const int Height = 48, Width = 320, MostCharacters = 12;

    private readonly Alphabet _alphabet;
    private readonly long _seed;

    public Displays(Alphabet alphabet, long seed, long count)
    {
        (_alphabet, _seed, Count) = (alphabet, seed, count);
        Columns = [new("x", ElementType.Float, [3, Height, Width]), new("labels", ElementType.Int64, [MostCharacters], true),
            new("label_lengths", ElementType.Int64, [], true)];
    }

    public override long Count { get; }

    public override IReadOnlyList<DataColumn> Columns { get; }

    public override void Read(int column, long row, Span<byte> target)
    {
        SplitMix64 random = SplitMix64.For(_seed, row);
        string text = Text(random);
        Span<long> numbers = column == 0 ? [] : MemoryMarshal.Cast<byte, long>(target);
        switch (column)
        {
            case 0:
                using (SKBitmap bitmap = Draw(text, random)) Write(bitmap, MemoryMarshal.Cast<byte, float>(target));
                break;
            case 1:
                numbers.Clear();
                for (int i = 0; i < text.Length; i++) numbers[i] = _alphabet.ClassOf(text[i]);
                break;
            default:
                numbers[0] = text.Length;
                break;
        }
    }

    public string TextOf(long row)
    {
        SplitMix64 random = SplitMix64.For(_seed, row);
        return Text(random);
    }

    public SKBitmap PictureOf(long row)
    {
        SplitMix64 random = SplitMix64.For(_seed, row);
        return Draw(Text(random), random);
    }

    // Some letters and a number, as HEK 40-17: nothing that a reader could guess.
    private static string Text(SplitMix64 random)
    {
        int letters = 3 + random.Below(4), digits = 1 + random.Below(3);
        string text = "";
        for (int i = 0; i < letters; i++) text += (char)('A' + random.Below(26));
        text += ' ';
        for (int i = 0; i < digits; i++) text += (char)('0' + random.Below(10));
        if (random.Below(2) == 0) text += $"{(random.Below(2) == 0 ? '-' : '+')}{random.Below(10)}";
        return text;
    }

    // Thin slanted segments, bright on dark or dark on bright, under noise.
    private static SKBitmap Draw(string text, SplitMix64 random)
    {
        var bitmap = new SKBitmap(new SKImageInfo(Width, Height, SKColorType.Bgra8888, SKAlphaType.Opaque));
        float size = Between(random, 26, 36), width = size * Between(random, 0.42f, 0.55f);
        float step = Math.Min(width * Between(random, 1.35f, 1.6f), (Width - 20f) / text.Length);
        width = Math.Min(width, step * 0.75f);
        bool isDark = random.Below(2) == 0;
        SKColor ground = Colour(random, isDark ? 0 : 120), ink = Colour(random, isDark ? 120 : 0);
        using (var canvas = new SKCanvas(bitmap))
        {
            canvas.Clear(ground);
            using var paint = new SKPaint
            {
                Color = ink,
                IsAntialias = true,
                Style = SKPaintStyle.Stroke,
                StrokeWidth = Between(random, 1, 2.5f),
                StrokeCap = SKStrokeCap.Butt,
            };
            float gap = Between(random, 0, 2), slant = Between(random, -0.05f, 0.3f), top = Between(random, 4, Height - size - 4);
            float left = 8 + (Math.Max(0, slant) * size);
            foreach (char character in text)
            {
                canvas.Save();
                canvas.Translate(left, top);
                canvas.Skew(-slant, 0);
                if (character != ' ') SegmentFont.Draw(canvas, character, width, size, gap, paint);
                canvas.Restore();
                left += step;
            }
        }
        int noise = 10 + random.Below(61);
        Span<byte> bytes = bitmap.GetPixelSpan();
        for (int i = 0; i < bytes.Length; i++)
        {
            if (i % 4 != 3) bytes[i] = (byte)Math.Clamp(bytes[i] + random.Below((2 * noise) + 1) - noise, 0, 255);
        }
        return bitmap;
    }

    // What PaddleOCR's models take: planes of blue, green and red, -1 to 1.
    private static void Write(SKBitmap bitmap, Span<float> planes)
    {
        ReadOnlySpan<byte> bytes = bitmap.GetPixelSpan();
        for (int i = 0; i < Width * Height; i++)
        {
            for (int c = 0; c < 3; c++) planes[(c * Width * Height) + i] = (bytes[(4 * i) + c] / 127.5f) - 1;
        }
    }

    private static SKColor Colour(SplitMix64 random, int least) =>
        new((byte)(least + random.Below(101)), (byte)(least + random.Below(101)), (byte)(least + random.Below(101)));

    private static float Between(SplitMix64 random, float least, float most) => least + ((most - least) * (float)random.NextDouble());
}
