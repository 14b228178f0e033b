using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>GridSample of any number of spatial dimensions: each output is a weighted sum of the pixels (taps) around a
/// position.</summary>
internal static class GridSampleRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["GridSample"] = ByDefinition.Rule(Sampled),
        ["com.microsoft.GridSample"] = ByDefinition.Rule(Sampled),
    };

    /// <summary>Weight of each tap as a polynomial in the distance t from the first pixel at or below the position; a
    /// row a power of t.</summary>
    private static readonly double[][] Nearest = [[1]], Linear = [[1, 0], [-1, 1]];

    /// <summary>The cubic convolution kernel with a = -0.75.</summary>
    private static readonly double[][] Cubic = [[0, 1, 0, 0], [-0.75, 0, 0.75, 0], [1.5, -2.25, 1.5, -0.75], [-0.75, 1.25, -1.25, 0.75]];

    private static Term Sampled(GraphBuilder g, Forward op) => Sampled(g, op.In(0), op.In(1), op.Rank(0) - 2,
        op.Node.Text("mode", "linear"), op.Node.Text("padding_mode", "zeros"), op.Node.Int("align_corners", 0) != 0);

    /// <summary>y[n, out…, c] = Σ over taps of Π weights · x[n, taps…, c]: positions are [N, out…], taps get an axis
    /// for each spatial dimension after them.</summary>
    internal static Term Sampled(GraphBuilder g, Value x, Value grid, int dims, string mode = "linear", string padding = "zeros",
        bool corners = false)
    {
        int rank = dims + 1;
        Value? weight = null, index = null;
        for (int i = 0; i < dims; i++)
        {
            Term size = g.DimOf(x, i + 2);
            (Term w, Term at) = Taps(g, g.Gather(grid, g.Int(dims - 1 - i), -1), g.Cast(size, x.Type), mode, padding, corners);
            long[] others = [.. Enumerable.Range(rank, dims).Where(a => a != rank + i).Select(a => (long)a)];
            if (others.Length > 0) (w, at) = (g.Unsqueeze(w, others), g.Unsqueeze(at, others));
            weight = weight is null ? w : weight * w;
            index = index is null ? at : index * size + at;
        }
        Shape unknown = new(Dim.Unknown, Dim.Unknown, Dim.Unknown);
        Term pixels = g.Reshape(x, g.Concat(0, g.SizesTo(2, x), g.Ints(-1))).Typed(x.Type, unknown);
        Term taps = g.Op("GatherND", [g.Transpose(pixels, 0, 2, 1), g.Unsqueeze(index!, -1)], ("batch_dims", 1));
        long[] tapAxes = [.. Enumerable.Range(rank, dims).Select(a => (long)a)];
        Term sum = g.ReduceSum(taps * g.Unsqueeze(weight!, -1), false, tapAxes);
        sum.Shape ??= new Shape(Enumerable.Repeat(Dim.Unknown, rank + 1));
        return g.Transpose(sum, [0, rank, .. Enumerable.Range(1, dims).Select(a => (long)a)]);
    }

    /// <summary>Along one dimension: [N, out…, taps] weights and positions inside the image. What padding does to a
    /// position is done to each tap, which is the same, since the image that it continues and the weights are
    /// symmetric.</summary>
    private static (Term Weight, Term Index) Taps(GraphBuilder g, Value coordinate, Term size, string mode, string padding, bool corners)
    {
        bool nearest = mode == "nearest";
        double[][] powers = nearest ? Nearest : mode.EndsWith("cubic", StringComparison.Ordinal) ? Cubic : Linear;
        ElementType type = coordinate.Type;
        Term from = g.Unsqueeze(coordinate, -1), last = size - 1;
        Term position = corners ? (from + 1) * 0.5 * last : ((from + 1) * size - 1) * 0.5;
        Term first = g.Op(nearest ? "Round" : "Floor", [position]), t = position - first;
        int taps = powers[0].Length;
        Term at = first
            + g.Constant(GraphBuilder.FloatVector(type, [.. Enumerable.Range(0, taps).Select(k => (double)(taps == 4 ? k - 1 : k))]));
        Term weight = nearest ? g.Filled(1, at)
            : powers.Reverse().Select(p => g.Constant(GraphBuilder.FloatVector(type, p))).Aggregate((sum, p) => sum * t + p);
        Term inside = g.Max(g.Min(at, last), 0);
        if (padding == "zeros") weight = g.Where(g.Equal(inside, at), weight, 0);
        if (padding == "reflection") inside = g.Max(g.Min(Reflected(g, at, size, corners), last), 0);
        return (weight, g.Cast(inside, ElementType.Int64));
    }

    /// <summary>Mirrored at the centres of the outer pixels or at their far edges: a triangle wave.</summary>
    private static Term Reflected(GraphBuilder g, Term at, Term size, bool corners)
    {
        double low = corners ? 0 : -0.5;
        Term range = corners ? size - 1 : size, period = g.Max(range * 2, 1);
        Term offset = at - low;
        Term phase = offset - g.Op("Floor", [offset / period]) * period;
        return range - g.Abs(phase - range) + low;
    }
}
