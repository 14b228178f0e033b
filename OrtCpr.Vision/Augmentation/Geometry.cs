namespace OrtCpr.Vision;

/// <summary>Mirrors and rotates pictures at the size of an example.</summary>
internal static class Geometry
{
    public static void FlipAcross(Planes planes)
    {
        for (int at = 0; at < planes.Values.Length; at += planes.Width) planes.Values.AsSpan(at, planes.Width).Reverse();
    }

    public static void FlipDown(Planes planes)
    {
        int width = planes.Width;
        float[] line = new float[width];
        for (int c = 0; c < 3; c++)
        {
            Span<float> plane = planes.Plane(c);
            for (int y = 0; y < planes.Height / 2; y++)
            {
                Span<float> above = plane.Slice(y * width, width), below = plane.Slice((planes.Height - 1 - y) * width, width);
                above.CopyTo(line);
                below.CopyTo(above);
                line.CopyTo(below);
            }
        }
    }

    /// <summary>Rotates about the centre, bilinear.</summary>
    /// <param name="planes">The picture.</param>
    /// <param name="degrees">Counter-clockwise.</param>
    /// <param name="background">What comes in from outside.</param>
    public static Planes Rotate(Planes planes, double degrees, ImageColor background)
    {
        (double sin, double cos) = Math.SinCos(degrees * Math.PI / 180);
        int width = planes.Width, height = planes.Height;
        double middleX = (width - 1) / 2.0, middleY = (height - 1) / 2.0;
        var target = new Planes(height, width);
        for (int y = 0; y < height; y++)
        {
            for (int x = 0; x < width; x++)
            {
                // Where the pixel comes from. Rows count downwards, so the sines have these signs.
                double right = x - middleX, below = y - middleY;
                double fromX = middleX + (right * cos) - (below * sin), fromY = middleY + (right * sin) + (below * cos);
                int x0 = (int)Math.Floor(fromX), y0 = (int)Math.Floor(fromY), to = (y * width) + x;
                float partX = (float)(fromX - x0), partY = (float)(fromY - y0);
                for (int c = 0; c < 3; c++)
                {
                    ReadOnlySpan<float> plane = planes.Plane(c);
                    float outside = c == 0 ? background.Red : c == 1 ? background.Green : background.Blue;
                    float upper = Mix(At(plane, x0, y0), At(plane, x0 + 1, y0), partX);
                    float lower = Mix(At(plane, x0, y0 + 1), At(plane, x0 + 1, y0 + 1), partX);
                    target.Plane(c)[to] = Mix(upper, lower, partY);

                    float At(ReadOnlySpan<float> values, int atX, int atY) =>
                        (uint)atX < (uint)width && (uint)atY < (uint)height ? values[(atY * width) + atX] : outside;
                }
            }
        }
        return target;
    }

    private static float Mix(float a, float b, float share) => share == 0 ? a : a + ((b - a) * share);
}
