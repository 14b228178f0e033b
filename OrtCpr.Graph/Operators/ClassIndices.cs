using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Operators;

/// <summary>Picking by class in standard operators. Negative indices count from the end there, and a label must not.</summary>
internal static class ClassIndices
{
    private const double LowestLogarithm = -100;

    /// <summary>Labels, with a class that there is not in the place of negative ones: gathering stops there as it does for labels beyond
    /// the last class.</summary>
    /// <param name="g">Where it is written.</param>
    /// <param name="scores">[N, C].</param>
    /// <param name="labels">[N].</param>
    public static Term Checked(GraphBuilder g, Term scores, Term labels) =>
        g.Where(labels < g.Int(0), g.DimOf(scores, 1), labels).Typed(ElementType.Int64, labels.Shape);

    /// <summary>scores[n, labels[n]], [N].</summary>
    public static Term Pick(GraphBuilder g, Term scores, Term labels) =>
        g.Squeeze(g.Op("GatherElements", [scores, g.Unsqueeze(Checked(g, scores, labels), 1)], ("axis", 1)), 1);

    /// <summary>The logarithm of probabilities, at least −100; its gradient is 0 below that, and at 0.</summary>
    public static Term LogarithmOf(GraphBuilder g, Term probabilities)
    {
        // The logarithm of 0 is −∞ with an infinite slope: it is taken of something else there, and selected away.
        Term isPositive = probabilities > g.Scalar(0, probabilities.Type);
        Term logarithm = g.Log(g.Where(isPositive, probabilities, 1));
        return g.Where(isPositive, g.Max(logarithm, LowestLogarithm), LowestLogarithm);
    }
}
