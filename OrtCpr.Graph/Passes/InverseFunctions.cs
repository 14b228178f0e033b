using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Inverse circular and hyperbolic functions in square roots and logarithms, good to a few units in the last place
/// over the whole range; NaN outside of the domain, a zero keeps its sign.</summary>
internal static class InverseFunctions
{
    private const double Ln2 = 0.693147180559945309;

    /// <summary>From here on x² + 1 is x² in every type, and x² still no overflow.</summary>
    private const double Far = 1e8;

    /// <summary>By a series after the angle was halved twice, which leaves at most π/16. Beyond 1 it is ±π/2 + atan(−1/x).</summary>
    public static Term Atan(GraphBuilder g, Term x)
    {
        Term beyond = g.Abs(x) > 1, t = Halved(g, Halved(g, g.Where(beyond, -1 / x, x)));
        Term square = t * t;
        // 1 − t²/3 + t⁴/5 …: the first term left out is below half a unit in the last place at tan(π/16).
        int terms = x.Type == ElementType.Double ? 12 : 6;
        Term series = g.Scalar(Coefficient(terms), x.Type);
        for (int k = terms - 1; k >= 0; k--) series = series * square + Coefficient(k);
        Term angle = t * series * 4;
        // Not a sum with 0 where nothing is to be added: that would take the sign of a zero away.
        return g.Where(beyond, angle + g.Where(x > 0, Math.PI / 2, g.Scalar(-Math.PI / 2, x.Type)), angle);
    }

    public static Term Asin(GraphBuilder g, Term x) => Atan(g, x / (g.Sqrt((1 - x) * (x + 1)) + 1)) * 2;

    public static Term Acos(GraphBuilder g, Term x) => Atan(g, g.Sqrt((1 - x) / (x + 1))) * 2;

    public static Term Asinh(GraphBuilder g, Term x)
    {
        Term size = g.Abs(x), square = size * size;
        Term near = LogOfOnePlus(g, size + square / (g.Sqrt(square + 1) + 1));
        return Odd(g, x, g.Where(size > Far, g.Log(size) + Ln2, near));
    }

    /// <summary>Two roots instead of one of the product: the product of two negative numbers would be in the domain.</summary>
    public static Term Acosh(GraphBuilder g, Term x)
    {
        Term t = x - 1;
        return g.Where(x > Far, g.Log(x) + Ln2, LogOfOnePlus(g, t + g.Sqrt(t) * g.Sqrt(t + 2)));
    }

    public static Term Atanh(GraphBuilder g, Term x)
    {
        Term size = g.Abs(x);
        return Odd(g, x, LogOfOnePlus(g, size * 2 / (1 - size)) * 0.5);
    }

    /// <summary>tan(α) → tan(α/2).</summary>
    private static Term Halved(GraphBuilder g, Term t) => t / (g.Sqrt(t * t + 1) + 1);

    private static double Coefficient(int k) => (k % 2 == 0 ? 1.0 : -1) / ((2 * k) + 1);

    /// <summary>With w = 1 + u rounded, ln(w)·u/(w − 1): what rounding did to w, it did to both. Above 1 the logarithm itself is as
    /// good.</summary>
    private static Term LogOfOnePlus(GraphBuilder g, Term u)
    {
        Term w = u + 1, log = g.Log(w);
        return g.Where(u > 1, log, g.Where(g.Equal(w, 1), u, log * u / (w - 1)));
    }

    /// <summary>Zero is the other choice, since ONNX Runtime's Where takes the sign of a zero in the first one away.</summary>
    private static Term Odd(GraphBuilder g, Term x, Term positive) =>
        g.Where(!g.Equal(x, 0), g.Where(x < 0, -positive, positive), x);
}
