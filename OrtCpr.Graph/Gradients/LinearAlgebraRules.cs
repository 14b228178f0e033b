using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

// Functions of whole matrices.
internal static class LinearAlgebraRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["Det"] = Det,
        ["com.microsoft.Inverse"] = Inverse,
        ["com.microsoft.CDist"] = ByDefinition.Rule(Distances),
        ["AffineGrid"] = AffineGrid,
    };

    // ∂det/∂X[i,j] is the cofactor, for singular matrices too: the determinant without row i and column j, its sign by turns.
    private static Value?[] Det(GraphBuilder g, Forward op, Value dy)
    {
        Value x = op.In(0);
        int rank = op.Rank(0);
        if (x.Shape![rank - 1].Known == 1) return [g.Unsqueeze(dy, -1, -2)];
        Value size = g.DimOf(x, -1), fewer = g.Sub(size, g.Ints(1));
        Value left = g.Unsqueeze(g.Positions(size), 1), kept = g.Unsqueeze(g.Positions(fewer), 0);
        // Row i of these positions is 0, 1 … without i.
        Value without = g.Add(kept, g.Cast(g.GreaterOrEqual(kept, left), ElementType.Int64));
        Value minors = g.Op("Gather", [g.Op("Gather", [x, without], ("axis", rank - 2)), without], ("axis", rank));
        long[] perm = [.. Enumerable.Range(0, rank - 2).Select(i => (long)i), rank - 2, rank, rank - 1, rank + 1];
        Value parity = g.Op("Mod", [g.Add(left, g.Unsqueeze(g.Positions(size), 0)), g.Int(2)]);
        Value signs = g.Sub(1, g.Mul(g.Cast(parity, x.Type), 2));
        Value cofactors = g.Mul(g.Op("Det", [g.Op("Transpose", [minors], ("perm", perm))]), signs);
        return [g.Mul(cofactors, g.Unsqueeze(dy, -1, -2))];
    }

    // Y = X⁻¹: dX = -Yᵀ·dY·Yᵀ.
    private static Value?[] Inverse(GraphBuilder g, Forward op, Value dy)
    {
        Value y = GraphBuilder.Like(op.Out(0), op.In(0));
        return [g.Neg(g.MatMul(g.MatMul(y, dy, true, false), y, false, true))];
    }

    // Between all rows of both; the derivative of the root is taken as 0 at distance 0.
    private static Value Distances(GraphBuilder g, Forward op)
    {
        Value difference = g.Sub(g.Unsqueeze(op.In(0), 1), g.Unsqueeze(op.In(1), 0));
        return g.Reduce(op.Node.Text("metric", "sqeuclidean") == "euclidean" ? "ReduceL2" : "ReduceSumSquare", difference, false, -1);
    }

    // The grid is linear in theta: grid = base·thetaᵀ, and the base (with a column of ones) is what theta = 1 gives.
    private static Value?[] AffineGrid(GraphBuilder g, Forward op, Value dy)
    {
        Value theta = op.In(0);
        int dims = (op.Out(0).Shape ?? dy.Shape)!.Rank - 2;
        float[] unit = [.. Enumerable.Range(0, dims * (dims + 1)).Select(i => i % (dims + 2) == 0 ? 1f : 0f)];
        TensorData identity = TensorData.From<float>(unit, 1, dims, dims + 1).ConvertTo(theta.Type);
        Value points = g.Op("AffineGrid", [g.ExpandLike(g.Constant(identity), theta), op.In(1)], ("align_corners", op.Node.Int("align_corners", 0)));
        long[] ends = new long[2 * (dims + 2)];
        ends[^1] = 1;
        Value homogeneous = g.Op("Pad", [points, g.Ints(ends), g.Scalar(1, theta.Type)]);
        Value Rows(Value v, long width) => g.Reshape(v, 0, -1, width);
        return [GraphBuilder.Like(g.MatMul(GraphBuilder.Typed(Rows(dy, dims), dy.Type, Three), GraphBuilder.Typed(Rows(homogeneous, dims + 1), dy.Type, Three), true, false), theta)];
    }

    private static Shape Three => new(Dim.Unknown, Dim.Unknown, Dim.Unknown);
}
