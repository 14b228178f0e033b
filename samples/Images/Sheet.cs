using SkiaSharp;

namespace Images;

// Some test pictures with what was found in them: green where it is right, red with the true class where it is not.
internal static class Sheet
{
    private const int Columns = 8, Rows = 4, Side = 128, Line = 18, Gap = 6;

    public static void Save(string path, Pictures pictures, string[] classes, int[] found)
    {
        long[] truth = pictures.Labels;
        // Mistakes first, and then all classes in turn.
        int[] shown = [.. Enumerable.Range(0, truth.Length).GroupBy(i => truth[i])
            .SelectMany(c => c.OrderBy(i => found[i] == truth[i]).Select((i, place) => (Row: i, Place: place)))
            .OrderBy(p => found[p.Row] == truth[p.Row]).ThenBy(p => p.Place).Take(Columns * Rows).Select(p => p.Row)];
        int lines = (shown.Length + Columns - 1) / Columns;
        using var sheet = new SKBitmap((Columns * (Side + Gap)) + Gap, (lines * (Side + Line + Gap)) + Gap);
        using (var canvas = new SKCanvas(sheet))
        {
            canvas.Clear(SKColors.White);
            for (int i = 0; i < shown.Length; i++)
            {
                int row = shown[i], left = Gap + (i % Columns * (Side + Gap)), top = Gap + (i / Columns * (Side + Line + Gap));
                bool isRight = found[row] == truth[row];
                using var ink = new SKPaint { Color = isRight ? SKColors.DarkGreen : SKColors.Firebrick, IsAntialias = true };
                using (SKBitmap picture = SKBitmap.Decode(pictures.Paths[row]))
                using (SKImage image = SKImage.FromBitmap(picture))
                {
                    canvas.DrawImage(image, new SKRect(left, top, left + Side, top + Side), new SKSamplingOptions(SKFilterMode.Linear));
                }
                using var font = new SKFont(SKTypeface.Default, 12);
                canvas.DrawText(isRight ? classes[found[row]] : $"{classes[found[row]]}, is {classes[truth[row]]}", left, top + Side + 13,
                    font, ink);
                ink.Style = SKPaintStyle.Stroke;
                ink.StrokeWidth = 3;
                canvas.DrawRect(left, top, Side, Side, ink);
            }
        }
        using SKData png = sheet.Encode(SKEncodedImageFormat.Png, 100);
        File.WriteAllBytes(path, png.ToArray());
    }
}
