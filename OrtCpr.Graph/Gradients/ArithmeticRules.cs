using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

// Element-wise arithmetic and mathematics. Results are in the shape of the output; the walker sums broadcast axes.
internal static class ArithmeticRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["Add"] = (g, op, dy) => [dy, dy],
        ["Sub"] = (g, op, dy) => [dy, g.Neg(dy)],
        ["Mul"] = (g, op, dy) => [g.Mul(dy, op.In(1)), g.Mul(dy, op.In(0))],
        ["Div"] = Div,
        ["Sum"] = (g, op, dy) => [.. Enumerable.Repeat(dy, op.InputCount)],
        ["Mean"] = (g, op, dy) => [.. Enumerable.Repeat(g.Div(dy, op.InputCount), op.InputCount)],
        ["Max"] = Selected,
        ["Min"] = Selected,
        ["Neg"] = (g, op, dy) => [g.Neg(dy)],
        ["Abs"] = (g, op, dy) => [g.Mul(dy, g.Sign(op.In(0)))],
        ["Reciprocal"] = (g, op, dy) => [g.Neg(g.Mul(dy, g.Mul(op.Out(0), op.Out(0))))],
        ["Sqrt"] = (g, op, dy) => [g.Div(g.Mul(dy, 0.5), op.Out(0))],
        ["Exp"] = (g, op, dy) => [g.Mul(dy, op.Out(0))],
        ["Log"] = (g, op, dy) => [g.Div(dy, op.In(0))],
        ["Pow"] = Pow,
        ["Erf"] = (g, op, dy) => [g.Mul(dy, g.Mul(g.Exp(g.Neg(g.Mul(op.In(0), op.In(0)))), 2 / Math.Sqrt(Math.PI)))],
        ["Sin"] = (g, op, dy) => [g.Mul(dy, g.Op("Cos", [op.In(0)]))],
        ["Cos"] = (g, op, dy) => [g.Neg(g.Mul(dy, g.Op("Sin", [op.In(0)])))],
        ["Tan"] = (g, op, dy) => [g.Mul(dy, g.Add(g.Mul(op.Out(0), op.Out(0)), 1))],
        ["Sinh"] = (g, op, dy) => [g.Mul(dy, g.Op("Cosh", [op.In(0)]))],
        ["Cosh"] = (g, op, dy) => [g.Mul(dy, g.Op("Sinh", [op.In(0)]))],
        ["Asin"] = (g, op, dy) => [g.Div(dy, g.Sqrt(g.Sub(1, g.Mul(op.In(0), op.In(0)))))],
        ["Acos"] = (g, op, dy) => [g.Neg(g.Div(dy, g.Sqrt(g.Sub(1, g.Mul(op.In(0), op.In(0))))))],
        ["Atan"] = (g, op, dy) => [g.Div(dy, g.Add(g.Mul(op.In(0), op.In(0)), 1))],
        ["Asinh"] = (g, op, dy) => [g.Div(dy, g.Sqrt(g.Add(g.Mul(op.In(0), op.In(0)), 1)))],
        ["Acosh"] = (g, op, dy) => [g.Div(dy, g.Sqrt(g.Sub(g.Mul(op.In(0), op.In(0)), 1)))],
        ["Atanh"] = (g, op, dy) => [g.Div(dy, g.Sub(1, g.Mul(op.In(0), op.In(0))))],
        ["Identity"] = (g, op, dy) => [dy],
        ["Cast"] = (g, op, dy) => [g.Cast(dy, op.In(0).Type)],
        ["CastLike"] = (g, op, dy) => [g.Cast(dy, op.In(0).Type), null],
        ["Mod"] = Mod,
        ["Range"] = Range,
        ["com.microsoft.Range"] = Range,
        ["Where"] = Where,
        ["Clip"] = Clip,
    };

    // y = a / b: da = dy / b, db = -dy · y / b.
    private static Value?[] Div(GraphBuilder g, Forward op, Value dy)
    {
        Value da = g.Div(dy, op.In(1));
        return [da, g.Neg(g.Mul(da, op.Out(0)))];
    }

    // Folded from the left as PyTorch does: at each step the winner takes the gradient, a tie shares it by halves.
    private static Value?[] Selected(GraphBuilder g, Forward op, Value dy)
    {
        int n = op.InputCount;
        if (n == 1) return [dy];
        var partial = new Value[n];
        partial[0] = op.In(0);
        for (int i = 1; i < n; i++) partial[i] = i == n - 1 ? op.Out(0) : g.Op(op.Node.OpType, [partial[i - 1], op.In(i)]);
        var results = new Value?[n];
        Value rest = dy;
        for (int i = n - 1; i > 0; i--)
        {
            bool max = op.Node.OpType == "Max";
            Value rightWins = max ? g.Greater(op.In(i), partial[i - 1]) : g.Less(op.In(i), partial[i - 1]);
            Value tie = g.Equal(op.In(i), partial[i - 1]);
            Value share = g.Where(tie, g.Scalar(0.5, dy.Type), g.Cast(rightWins, dy.Type));
            results[i] = g.Mul(rest, share);
            rest = g.SumTo(g.Sub(rest, results[i]!), partial[i - 1]);
        }
        results[0] = rest;
        return results;
    }

    // y = x^e. dx = e·x^(e-1), written without Pow for the exponents that exporters make; de = y·ln x, 0 where x is 0.
    private static Value?[] Pow(GraphBuilder g, Forward op, Value dy)
    {
        Value x = op.In(0), e = op.In(1);
        double? constant = e.Data is { ElementCount: 1 } data ? data.ToDoubles()[0] : null;
        if (constant is double k)
        {
            Value slope = k switch
            {
                0 => g.Filled(0, x),
                1 => g.Filled(1, x),
                2 => g.Mul(x, 2),
                3 => g.Mul(g.Mul(x, x), 3),
                _ => g.Mul(g.Pow(x, g.Scalar(k - 1, x.Type)), k),
            };
            return [g.Mul(dy, slope), null];
        }
        Value exponent = g.Cast(e, x.Type);
        Value zeroExponent = g.Equal(exponent, g.Scalar(0, x.Type));
        Value power = g.Mul(exponent, g.Pow(x, g.Sub(exponent, 1)));
        Value dx = g.Mul(dy, g.Where(zeroExponent, g.Scalar(0, x.Type), power));
        if (!e.Type.IsFloating()) return [dx, null];
        Value zeroBase = g.Equal(x, g.Scalar(0, x.Type));
        Value safe = g.Where(zeroBase, g.Scalar(1, x.Type), x);
        return [dx, g.Cast(g.Mul(g.Mul(dy, op.Out(0)), g.Log(safe)), e.Type)];
    }

    // y = a - b·trunc(a/b), the only form that takes floating numbers: da = dy, db = -dy·trunc(a/b).
    private static Value?[] Mod(GraphBuilder g, Forward op, Value dy)
    {
        Value ratio = g.Div(op.In(0), op.In(1));
        Value truncated = g.Mul(g.Sign(ratio), g.Op("Floor", [g.Abs(ratio)]));
        return [dy, g.Neg(g.Mul(dy, truncated))];
    }

    // y[i] = start + i·delta; the limit only decides how many there are.
    private static Value?[] Range(GraphBuilder g, Forward op, Value dy)
    {
        Value dStart = g.ReshapeLike(g.ReduceSum(dy, false), op.In(0));
        if (op.TryIn(2) is not Value delta) return [dStart];
        Value steps = g.Cast(g.Positions(g.DimOf(dy, 0)), dy.Type);
        return [dStart, null, g.ReshapeLike(g.ReduceSum(g.Mul(dy, steps), false), delta)];
    }

    private static Value?[] Where(GraphBuilder g, Forward op, Value dy)
    {
        Value zero = g.Scalar(0, dy.Type);
        return [null, g.Where(op.In(0), dy, zero), g.Where(op.In(0), zero, dy)];
    }

    // 1 at a bound, as PyTorch; what lies beyond goes to the bound that was reached.
    private static Value?[] Clip(GraphBuilder g, Forward op, Value dy)
    {
        Value x = op.In(0), zero = g.Scalar(0, dy.Type);
        Value? low = op.TryIn(1), high = op.TryIn(2);
        Value? below = low is null ? null : g.Less(x, low), above = high is null ? null : g.Greater(x, high);
        Value dx = dy;
        if (below is not null) dx = g.Where(below, zero, dx);
        if (above is not null) dx = g.Where(above, zero, dx);
        return [dx, below is null ? null : g.Where(below, dy, zero), above is null ? null : g.Where(above, dy, zero)];
    }
}
