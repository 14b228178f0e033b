using System.Buffers;
using OrtCpr.Graph;
using SkiaSharp;

namespace OrtCpr.Vision;

/// <summary>Reads picture files with Skia. Everything native lives inside a call.</summary>
internal static class PictureReader
{
    /// <summary>Endings of files that are taken for pictures.</summary>
    public static readonly IReadOnlySet<string> Endings =
        new HashSet<string>(StringComparer.OrdinalIgnoreCase) { ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif" };

    /// <summary>Why a file is no picture that can be read, as far as its header tells; null where nothing is wrong.</summary>
    public static string? ProblemOfHeader(string path, long maxPixels)
    {
        try
        {
            // The codec closes the stream.
            FileStream stream = File.OpenRead(path);
            long length = stream.Length;
            using SKCodec? codec = SKCodec.Create(stream, out SKCodecResult result);
            if (codec is null) stream.Dispose();
            return codec is null ? NoPicture(result, length) : TooLarge(codec.Info, maxPixels);
        }
        catch (Exception error) when (FileAccessException.IsFileError(error))
        {
            return CannotRead(path, error);
        }
    }

    /// <summary>A decoded picture, upright and without transparency, or why there is none. Of an animation the first frame.</summary>
    public static (Picture? Picture, string? Problem) Read(string path, long maxPixels, ImageColor background)
    {
        byte[] file;
        try
        {
            file = File.ReadAllBytes(path);
        }
        catch (Exception error) when (FileAccessException.IsFileError(error))
        {
            return (null, CannotRead(path, error));
        }
        using SKData data = SKData.CreateCopy(file);
        using SKCodec? codec = SKCodec.Create(data);
        if (codec is null) return (null, NoPicture(SKCodecResult.InvalidInput, file.Length));
        if (TooLarge(codec.Info, maxPixels) is string tooLarge) return (null, tooLarge);
        // Colours stay as the file has them: training data of others were not converted either.
        var info = new SKImageInfo(codec.Info.Width, codec.Info.Height, SKColorType.Rgba8888, SKAlphaType.Unpremul);
        byte[] rgba = ArrayPool<byte>.Shared.Rent(checked(info.Width * info.Height * 4));
        try
        {
            SKCodecResult result = Decode(codec, info, rgba);
            return result == SKCodecResult.Success ? (Upright(rgba, info.Width, info.Height, codec.EncodedOrigin, background), null)
                : (null, $"its pixels can't be decoded ({Reason(result)})");
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rgba);
        }
    }

    private static unsafe SKCodecResult Decode(SKCodec codec, SKImageInfo info, byte[] rgba)
    {
        fixed (byte* pixels = rgba) return codec.GetPixels(info, (nint)pixels);
    }

    /// <summary>Pixels over the background, turned as the EXIF tag asks.</summary>
    private static Picture Upright(byte[] rgba, int width, int height, SKEncodedOrigin origin, ImageColor background)
    {
        bool turned = origin is SKEncodedOrigin.LeftTop or SKEncodedOrigin.RightTop or SKEncodedOrigin.RightBottom
            or SKEncodedOrigin.LeftBottom;
        (int outWidth, int outHeight) = turned ? (height, width) : (width, height);
        byte[] pixels = GC.AllocateUninitializedArray<byte>(checked(outWidth * outHeight * 3));
        // A turn is linear: where the first pixel goes, and how far each step to the right and down leads from there.
        int start = Place(0, 0), right = Place(1, 0) - start, down = Place(0, 1) - start;
        for (int y = 0, from = 0; y < height; y++)
        {
            int to = start + (y * down);
            for (int x = 0; x < width; x++, from += 4, to += right)
            {
                int alpha = rgba[from + 3];
                pixels[to] = Over(rgba[from], background.Red, alpha);
                pixels[to + 1] = Over(rgba[from + 1], background.Green, alpha);
                pixels[to + 2] = Over(rgba[from + 2], background.Blue, alpha);
            }
        }
        return new Picture(outWidth, outHeight, pixels);

        int Place(int x, int y)
        {
            (int toX, int toY) = origin switch
            {
                SKEncodedOrigin.TopRight => (width - 1 - x, y),
                SKEncodedOrigin.BottomRight => (width - 1 - x, height - 1 - y),
                SKEncodedOrigin.BottomLeft => (x, height - 1 - y),
                SKEncodedOrigin.LeftTop => (y, x),
                SKEncodedOrigin.RightTop => (height - 1 - y, x),
                SKEncodedOrigin.RightBottom => (height - 1 - y, width - 1 - x),
                SKEncodedOrigin.LeftBottom => (y, width - 1 - x),
                _ => (x, y),
            };
            return ((toY * outWidth) + toX) * 3;
        }
    }

    private static byte Over(byte value, byte background, int alpha) =>
        alpha == 255 ? value : (byte)(((value * alpha) + (background * (255 - alpha)) + 127) / 255);

    private static string? TooLarge(SKImageInfo info, long maxPixels)
    {
        long pixels = (long)info.Width * info.Height;
        // An array of its bytes must be possible too.
        long most = Math.Min(maxPixels, Array.MaxLength / 4);
        if (pixels < 1) return "it has no pixels";
        return pixels <= most ? null : $"it has {info.Width} × {info.Height} = {pixels} pixels; at most {most} are allowed "
            + $"({nameof(ImageOptions)}.{nameof(ImageOptions.MaxPixels)})";
    }

    private static string NoPicture(SKCodecResult result, long bytes) =>
        bytes == 0 ? "the file is empty" : $"it is no JPEG, PNG, WebP, BMP or GIF file ({Reason(result)})";

    private static string Reason(SKCodecResult result) => result switch
    {
        SKCodecResult.IncompleteInput => "the file is cut off",
        SKCodecResult.ErrorInInput => "the data are damaged",
        SKCodecResult.InvalidInput or SKCodecResult.Unimplemented => "its first bytes are of no known format, or it is cut off",
        _ => $"Skia says {result}",
    };

    private static string CannotRead(string path, Exception error) =>
        File.Exists(path) || Directory.Exists(path) ? $"the file can't be read: {error.Message}" : "there is no such file";
}
