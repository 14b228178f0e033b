using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Functions of whole matrices.</summary>
internal static class LinearAlgebraRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["Det"] = Det,
        ["com.microsoft.Inverse"] = Inverse,
        ["com.microsoft.CDist"] = ByDefinition.Rule(Distances),
        ["AffineGrid"] = AffineGrid,
    };

    /// <summary>∂det/∂X[i,j] is the cofactor, for singular matrices too: the determinant without row i and column j,
    /// its sign by turns.</summary>
    private static Value?[] Det(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0);
        int rank = op.Rank(0);
        if (x.Shape![rank - 1].Known == 1) return [g.Unsqueeze(dy, -1, -2)];
        Term size = g.DimOf(x, -1), fewer = size - g.Ints(1);
        Term left = g.Unsqueeze(g.Positions(size), 1), kept = g.Unsqueeze(g.Positions(fewer), 0);
        // Row i of these positions is 0, 1 … without i.
        Term without = kept + g.Cast(kept >= left, ElementType.Int64);
        Term minors = g.Op("Gather", [g.Op("Gather", [x, without], ("axis", rank - 2)), without], ("axis", rank));
        long[] perm = [.. Enumerable.Range(0, rank - 2).Select(i => (long)i), rank - 2, rank, rank - 1, rank + 1];
        Term parity = g.Op("Mod", [left + g.Unsqueeze(g.Positions(size), 0), g.Int(2)]);
        Term signs = 1 - g.Cast(parity, x.Type) * 2;
        Term cofactors = g.Op("Det", [g.Op("Transpose", [minors], ("perm", perm))]) * signs;
        return [cofactors * g.Unsqueeze(dy, -1, -2)];
    }

    /// <summary>Y = X⁻¹: dX = -Yᵀ·dY·Yᵀ.</summary>
    private static Value?[] Inverse(GraphBuilder g, Forward op, Term dy)
    {
        Term y = op.Out(0).Like(op.In(0));
        return [-g.MatMul(g.MatMul(y, dy, true, false), y, false, true)];
    }

    /// <summary>Between all rows of both; the derivative of the root is taken as 0 at distance 0.</summary>
    private static Term Distances(GraphBuilder g, Forward op)
    {
        Term difference = g.Unsqueeze(op.In(0), 1) - g.Unsqueeze(op.In(1), 0);
        return g.Reduce(op.Node.Text("metric", "sqeuclidean") == "euclidean" ? "ReduceL2" : "ReduceSumSquare", difference, false, -1);
    }

    /// <summary>The grid is linear in theta: grid = base·thetaᵀ, and the base (with a column of ones) is what theta = 1
    /// gives.</summary>
    private static Value?[] AffineGrid(GraphBuilder g, Forward op, Term dy)
    {
        Term theta = op.In(0);
        int dims = (op.Out(0).Shape ?? dy.Shape)!.Rank - 2;
        float[] unit = [.. Enumerable.Range(0, dims * (dims + 1)).Select(i => i % (dims + 2) == 0 ? 1f : 0f)];
        TensorData identity = TensorData.From<float>(unit, 1, dims, dims + 1).ConvertTo(theta.Type);
        Term points =
            g.Op("AffineGrid", [g.ExpandLike(g.Constant(identity), theta), op.In(1)], ("align_corners", op.Node.Int("align_corners", 0)));
        long[] ends = new long[2 * (dims + 2)];
        ends[^1] = 1;
        Term homogeneous = g.Op("Pad", [points, g.Ints(ends), g.Scalar(1, theta.Type)]);
        Term Rows(Value v, long width) => g.Reshape(v, 0, -1, width);
        return [g.MatMul(GraphBuilder.Typed(Rows(dy, dims), dy.Type, Three),
            GraphBuilder.Typed(Rows(homogeneous, dims + 1), dy.Type, Three), true, false).Like(theta)];
    }

    private static Shape Three => new(Dim.Unknown, Dim.Unknown, Dim.Unknown);
}
