namespace Browser;

// Digits as lines of a pen, from 0 to 1 to the right and downwards.
internal static class Strokes
{
    private static readonly (double X, double Y)[][][] Neat =
    [
        [Arc(0.5, 0.5, 0.36, 0.5, -90, 270)],
        [[(0.5, 0), (0.5, 1)]],
        [[.. Arc(0.5, 0.28, 0.36, 0.28, 190, 395), (0.12, 1), (0.9, 1)]],
        [[.. Arc(0.45, 0.25, 0.36, 0.25, 200, 440), .. Arc(0.45, 0.74, 0.4, 0.26, 280, 520)]],
        [[(0.3, 0), (0.1, 0.62), (0.92, 0.62)], [(0.68, 0.3), (0.68, 1)]],
        [[(0.82, 0), (0.22, 0), (0.18, 0.44), .. Arc(0.46, 0.68, 0.38, 0.32, 230, 500)]],
        [[(0.72, 0), (0.3, 0.38), .. Arc(0.48, 0.7, 0.34, 0.3, 180, 540)]],
        [[(0.1, 0), (0.9, 0), (0.38, 1)]],
        [[.. Arc(0.5, 0.25, 0.28, 0.25, 90, 450), .. Arc(0.5, 0.74, 0.36, 0.26, -90, 270)]],
        [[.. Arc(0.48, 0.3, 0.34, 0.3, 0, 360), (0.82, 0.3), (0.74, 1)]],
    ];

    // Other people's: a slashed 0, a 1 with flag and foot, a 3 with a flat top, a closed 4, a crossed 7, a curled 9.
    private static readonly (int Digit, (double X, double Y)[][] Lines)[] Other =
    [
        (0, [Arc(0.5, 0.5, 0.38, 0.5, -90, 270), [(0.85, 0.05), (0.15, 0.95)]]),
        (1, [[(0.1, 0.42), (0.55, 0), (0.55, 1)], [(0.15, 1), (0.95, 1)]]),
        (3, [[(0.1, 0), (0.86, 0), (0.42, 0.4), .. Arc(0.45, 0.7, 0.4, 0.3, 270, 510)]]),
        (4, [[(0.7, 1), (0.7, 0), (0.05, 0.66), (0.95, 0.66)]]),
        (7, [[(0.1, 0.12), (0.12, 0), (0.9, 0), (0.36, 1)], [(0.25, 0.5), (0.86, 0.5)]]),
        (9, [[.. Arc(0.5, 0.26, 0.3, 0.26, 0, 360), .. Arc(0.44, 0.66, 0.36, 0.34, 0, 160)]]),
    ];

    public static (int Digit, (double X, double Y)[][] Lines) Draw(Random random, bool other)
    {
        (int digit, (double X, double Y)[][] lines) = random.Next(other ? Other.Length : Neat.Length) is int i && other ? Other[i]
            : (i, Neat[i]);
        double Between(double least, double most) => least + (random.NextDouble() * (most - least));
        (double turn, double slant) = (Between(-0.17, 0.17), Between(-0.2, 0.2));
        (double width, double height) = (Between(0.7, 1.15), Between(0.8, 1.15));
        double[] wave = [.. Enumerable.Range(0, 4).Select(_ => Between(-0.05, 0.05))];
        (double X, double Y) Moved((double X, double Y) p)
        {
            double x = (p.X - 0.5) * width, y = (p.Y - 0.5) * height;
            x += (slant * -y) + (wave[0] * Math.Sin(5 * p.Y)) + (wave[1] * Math.Cos(4 * p.X));
            y += (wave[2] * Math.Sin(5 * p.X)) + (wave[3] * Math.Cos(4 * p.Y));
            return ((x * Math.Cos(turn)) - (y * Math.Sin(turn)), (x * Math.Sin(turn)) + (y * Math.Cos(turn)));
        }
        return (digit, [.. lines.Select(l => l.Select(Moved).ToArray())]);
    }

    // Of an ellipse, clockwise on paper, from angle to angle in degrees, 0 to the right.
    private static (double X, double Y)[] Arc(double x, double y, double rx, double ry, double from, double to)
    {
        const int Parts = 24;
        return [.. Enumerable.Range(0, Parts + 1).Select(i => (from + ((to - from) * i / Parts)) * Math.PI / 180)
            .Select(a => (x + (rx * Math.Cos(a)), y + (ry * Math.Sin(a))))];
    }
}
