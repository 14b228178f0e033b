namespace OrtCpr.Vision;

/// <summary>A decoded picture: red, green and blue of each pixel, row by row from the top.</summary>
internal sealed record Picture(int Width, int Height, byte[] Pixels);

/// <summary>A part of a picture in whole pixels.</summary>
internal readonly record struct PixelBox(int Left, int Top, int Width, int Height);

/// <summary>A picture at the size of an example: planes of red, green and blue, values from 0 to 255 unless somebody scaled
/// them.</summary>
internal sealed class Planes(int height, int width)
{
    public int Height => height;

    public int Width => width;

    public float[] Values { get; } = new float[3 * height * width];

    public Span<float> Plane(int channel) => Values.AsSpan(channel * height * width, height * width);
}
