using SkiaSharp;

namespace Recogniser;

// Characters of a display with fourteen segments, so that no font is needed.
internal static class SegmentFont
{
    // a to f go round from the top, clockwise; g and h are the middle; i, j, k are diagonal, upright, diagonal in the upper half, l, m, n
    // in the lower one.
    private static readonly Dictionary<char, string> Segments = new()
    {
        ['0'] = "abcdefkl",
        ['1'] = "bck",
        ['2'] = "abdegh",
        ['3'] = "abcdh",
        ['4'] = "bcfgh",
        ['5'] = "adfgn",
        ['6'] = "acdefgh",
        ['7'] = "abc",
        ['8'] = "abcdefgh",
        ['9'] = "abcdfgh",
        ['A'] = "abcefgh",
        ['B'] = "abcdhjm",
        ['C'] = "adef",
        ['D'] = "abcdjm",
        ['E'] = "adefgh",
        ['F'] = "aefg",
        ['G'] = "acdefh",
        ['H'] = "bcefgh",
        ['I'] = "adjm",
        ['J'] = "bcde",
        ['K'] = "efgkn",
        ['L'] = "def",
        ['M'] = "bcefik",
        ['N'] = "bcefin",
        ['O'] = "abcdef",
        ['P'] = "abefgh",
        ['Q'] = "abcdefn",
        ['R'] = "abefghn",
        ['S'] = "acdfgh",
        ['T'] = "ajm",
        ['U'] = "bcdef",
        ['V'] = "efkl",
        ['W'] = "bcefln",
        ['X'] = "ikln",
        ['Y'] = "ikm",
        ['Z'] = "adkl",
        ['-'] = "gh",
        ['+'] = "ghjm",
    };

    // Ends of each segment, on a field of 2 by 4.
    private static readonly Dictionary<char, (float X1, float Y1, float X2, float Y2)> Places = new()
    {
        ['a'] = (0, 0, 2, 0),
        ['b'] = (2, 0, 2, 2),
        ['c'] = (2, 2, 2, 4),
        ['d'] = (0, 4, 2, 4),
        ['e'] = (0, 2, 0, 4),
        ['f'] = (0, 0, 0, 2),
        ['g'] = (0, 2, 1, 2),
        ['h'] = (1, 2, 2, 2),
        ['i'] = (0, 0, 1, 2),
        ['j'] = (1, 0, 1, 2),
        ['k'] = (2, 0, 1, 2),
        ['l'] = (0, 4, 1, 2),
        ['m'] = (1, 2, 1, 4),
        ['n'] = (2, 4, 1, 2),
    };

    public static IReadOnlyCollection<char> Characters => Segments.Keys;

    // Draws one character with its upper left corner at the origin; gap is what each segment leaves free at its ends.
    public static void Draw(SKCanvas canvas, char character, float width, float height, float gap, SKPaint paint)
    {
        foreach (char segment in Segments[character])
        {
            (float x1, float y1, float x2, float y2) = Places[segment];
            SKPoint from = new(x1 * width / 2, y1 * height / 4), to = new(x2 * width / 2, y2 * height / 4), along = to - from;
            float share = gap / along.Length;
            SKPoint cut = new(along.X * share, along.Y * share);
            canvas.DrawLine(from + cut, to - cut, paint);
        }
    }
}
