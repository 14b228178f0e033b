using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Matrix products.</summary>
internal static class MatrixRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["MatMul"] = (g, op, dy) => Product(g, Ranked(op, 0), Ranked(op, 1), dy, false, false, 1),
        ["com.microsoft.FusedMatMul"] = FusedMatMul,
        ["com.microsoft.TransposeMatMul"] = FusedMatMul,
        ["com.microsoft.SparseToDenseMatMul"] = SparseToDense,
        ["Gemm"] = Gemm,
    };

    private static Term Ranked(Forward op, int input) => op.Rank(input) > 0 ? op.In(input)
        : throw new ArgumentException($"'{op.In(input).Name}' has rank 0, a matrix product takes 1 or more.");

    /// <summary>y = α·op(a)·op(b), batched and broadcast over leading axes.</summary>
    private static Value?[] Product(GraphBuilder g, Value a, Value b, Value dy, bool transA, bool transB, float alpha)
    {
        int ra = a.Shape!.Rank, rb = b.Shape!.Rank;
        if (ra == 1 || rb == 1) return WithVector(g, g.Term(a), g.Term(b), ra, rb, g.Term(dy), alpha);
        Term da = transA ? g.MatMul(b, dy, transB, true, alpha) : g.MatMul(dy, b, false, !transB, alpha);
        return [da, rb == 2 && ra > 2 && !transA ? WeightGradient(g, a, b, dy, transB, alpha)
            : transB ? g.MatMul(dy, a, true, transA, alpha) : g.MatMul(a, dy, !transA, false, alpha)];
    }

    /// <summary>A matrix under a batch: one product over all rows, instead of one per batch and a sum.</summary>
    private static Term WeightGradient(GraphBuilder g, Value a, Value b, Value dy, bool transB, float alpha)
    {
        Value rows = Flat(g, a), dRows = Flat(g, dy);
        return (transB ? g.Gemm(dRows, rows, true, false, alpha) : g.Gemm(rows, dRows, true, false, alpha)).Like(b);
    }

    internal static Value Flat(GraphBuilder g, Value v)
    {
        int rank = v.Shape!.Rank;
        if (rank == 2) return v;
        if (v.Shape[rank - 1].Known is long width && width > 0) return g.Reshape(v, -1, width);
        return g.Op("Flatten", [v], ("axis", rank - 1));
    }

    /// <summary>Rank-1 operands: a row on the left, a column on the right.</summary>
    private static Value?[] WithVector(GraphBuilder g, Term a, Term b, int ra, int rb, Term dy, float alpha)
    {
        if (alpha != 1) dy = dy * alpha;
        if (ra == 1 && rb == 1) return [dy * b, dy * a];
        if (ra == 1)
        {
            // dy is [..., n]; da = Σ over the batch of b·dy, db = aᵀ·dy.
            Term column = g.Unsqueeze(dy, -1), row = g.Unsqueeze(dy, -2);
            return [g.Squeeze(g.MatMul(b, column), -1), g.Unsqueeze(a, 1) * row];
        }
        Term tall = g.Unsqueeze(dy, -1);
        return [tall * g.Unsqueeze(b, 0), g.Squeeze(g.MatMul(a, tall, true, false), -1)];
    }

    /// <summary>With transBatchA or transBatchB the first axis comes before the batch axes: [m, batch…, k] is [batch…,
    /// m, k].</summary>
    private static Value?[] FusedMatMul(GraphBuilder g, Forward op, Term dy)
    {
        bool movesA = op.Node.Int("transBatchA", 0) != 0, movesB = op.Node.Int("transBatchB", 0) != 0;
        Term a = movesA ? g.Transpose(op.In(0), [.. Axes(1, op.Rank(0) - 2), 0, op.Rank(0) - 1]) : op.In(0);
        Term b = movesB ? g.Transpose(op.In(1), [.. Axes(1, op.Rank(1) - 2), 0, op.Rank(1) - 1]) : op.In(1);
        Value?[] found = Product(g, a, b, dy, op.Node.Int("transA", 0) != 0, op.Node.Int("transB", 0) != 0, op.Node.Float("alpha", 1));
        Value? Back(Value? d, Value moved, bool moves) => !moves ? d
            : g.Transpose(g.SumTo(d!, moved), [moved.Shape!.Rank - 2, .. Axes(0, moved.Shape.Rank - 2), moved.Shape.Rank - 1]);
        return [Back(found[0], a, movesA), Back(found[1], b, movesB)];
    }

    private static IEnumerable<long> Axes(int first, int count) => Enumerable.Range(first, count).Select(i => (long)i);

    /// <summary>y = α·op(a)·op(b) for a sparse matrix a, which has no gradient: db = α·op(a)ᵀ·dy by the operator
    /// itself, or its transpose.</summary>
    private static Value?[] SparseToDense(GraphBuilder g, Forward op, Term dy)
    {
        Term product =
            g.Op("com.microsoft.SparseToDenseMatMul", [op.In(0), dy], ("transA", op.Node.Int("transA", 0) == 0),
                ("alpha", op.Node.Float("alpha", 1)));
        product.Type = dy.Type;
        return [null, (op.Node.Int("transB", 0) != 0 ? g.Transpose(product, 1, 0) : product).Like(op.In(1))];
    }

    /// <summary>y = α·op(a)·op(b) + β·c. The walker sums dc back to c's shape.</summary>
    private static Value?[] Gemm(GraphBuilder g, Forward op, Term dy)
    {
        bool transA = op.Node.Int("transA", 0) != 0, transB = op.Node.Int("transB", 0) != 0;
        float alpha = op.Node.Float("alpha", 1), beta = op.Node.Float("beta", 1);
        Term a = op.In(0), b = op.In(1);
        Term da = transA ? g.Gemm(b, dy, transB, true, alpha) : g.Gemm(dy, b, false, !transB, alpha);
        Term db = transB ? g.Gemm(dy, a, true, transA, alpha) : g.Gemm(a, dy, !transA, false, alpha);
        return op.InputCount < 3 ? [da, db] : [da, db, beta == 1 ? dy : dy * beta];
    }
}
