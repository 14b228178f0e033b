using SkiaSharp;

namespace Recogniser;

// Test lines with what was read in them before and after.
internal static class Sheet
{
    private const int Gap = 8, Column = 190, Top = 26;

    public static void Save(string path, Displays lines, string[] before, string[] after)
    {
        using SKBitmap first = lines.PictureOf(0);
        int step = first.Height + Gap, width = first.Width + (3 * Gap) + (2 * Column);
        using var sheet = new SKBitmap(width, Top + (before.Length * step));
        using (var canvas = new SKCanvas(sheet))
        {
            canvas.Clear(SKColors.White);
            using var font = new SKFont(SKTypeface.Default, 18);
            using var black = new SKPaint { Color = SKColors.Black, IsAntialias = true };
            int left = first.Width + (2 * Gap);
            canvas.DrawText("read before", left, Top - Gap, font, black);
            canvas.DrawText("read after", left + Column, Top - Gap, font, black);
            for (int i = 0; i < before.Length; i++)
            {
                int top = Top + (i * step);
                using (SKBitmap line = lines.PictureOf(i)) canvas.DrawBitmap(line, Gap, top);
                Write(before[i], left);
                Write(after[i], left + Column);

                void Write(string text, int x)
                {
                    SKColor color = text == lines.TextOf(i) ? SKColors.DarkGreen : SKColors.Firebrick;
                    using var ink = new SKPaint { Color = color, IsAntialias = true };
                    canvas.DrawText(text, x, top + (first.Height * 0.63f), font, ink);
                }
            }
        }
        using SKData png = sheet.Encode(SKEncodedImageFormat.Png, 100);
        File.WriteAllBytes(path, png.ToArray());
    }
}
