using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Graph.Gradients;

/// <summary>Softmax and its logarithm. In training graphs Softmax of float32 rows is an operator of ours by the time the
/// backward pass runs (<c>FuseSoftmax</c>); its gradient is <see cref="InputGradient"/> too, as the body of
/// <c>ortcpr.SoftmaxGrad</c>.</summary>
internal static class SoftmaxRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["Softmax"] = OfSoftmax,
        ["LogSoftmax"] = (g, op, dy) => [OfLogarithm(g, g.Exp(op.Out(0)), dy, op.Axis("axis", -1))],
    };

    private static Value?[] OfSoftmax(GraphBuilder g, Forward op, Term dy)
    {
        Term y = op.Out(0);
        int axis = op.Axis("axis", -1);
        bool hasKernel = y.Type == ElementType.Float && axis == op.Rank(0) - 1;
        return [hasKernel ? SoftmaxRows.GradOf(g, y, dy) : InputGradient(g, y, dy, axis)];
    }

    /// <summary>y = softmax(x): dx = y·(dy − Σ y·dy) along the axis.</summary>
    /// <remarks>A row that is masked as a whole is NaN. Where nothing comes back to it, since a Where replaced it, nothing
    /// goes on.</remarks>
    public static Term InputGradient(GraphBuilder g, Term y, Term dy, int axis)
    {
        Term weighted = g.Where(g.Equal(dy, 0), 0, y * dy);
        return weighted - Unless0(g, g.ReduceSum(weighted, true, axis), y);
    }

    private static Term Unless0(GraphBuilder g, Term sum, Term factor) => g.Where(g.Equal(sum, 0), 0, factor * sum);

    /// <summary>y = log softmax(x), p = softmax(x): dx = dy − p·Σ dy along the axis.</summary>
    public static Term OfLogarithm(GraphBuilder g, Term p, Term dy, int axis) =>
        dy - Unless0(g, g.ReduceSum(dy, true, axis), p);
}
