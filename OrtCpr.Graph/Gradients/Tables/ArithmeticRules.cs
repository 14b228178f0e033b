using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Element-wise arithmetic and mathematics. Results are in the shape of the output; the walker sums broadcast
/// axes.</summary>
internal static class ArithmeticRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["Add"] = (g, op, dy) => [dy, dy],
        ["Sub"] = (g, op, dy) => [dy, -dy],
        ["Mul"] = (g, op, dy) => [dy * op.In(1), dy * op.In(0)],
        ["Div"] = Div,
        ["Sum"] = (g, op, dy) => [.. Enumerable.Repeat(dy, op.InputCount)],
        ["Mean"] = (g, op, dy) => [.. Enumerable.Repeat(dy / op.InputCount, op.InputCount)],
        ["Max"] = Selected,
        ["Min"] = Selected,
        ["Neg"] = (g, op, dy) => [-dy],
        ["Abs"] = (g, op, dy) => [dy * g.Sign(op.In(0))],
        ["Reciprocal"] = (g, op, dy) => [-(dy * (op.Out(0) * op.Out(0)))],
        // 0 at 0, as for ReduceL2: what a sum of squares brings there is 0 times infinity.
        ["Sqrt"] = (g, op, dy) => [g.Where(g.Equal(op.Out(0), 0), 0, dy * 0.5 / op.Out(0))],
        ["Exp"] = (g, op, dy) => [dy * op.Out(0)],
        ["Log"] = (g, op, dy) => [dy / op.In(0)],
        ["Pow"] = Pow,
        ["Erf"] = (g, op, dy) => [dy * (g.Exp(-(op.In(0) * op.In(0))) * (2 / Math.Sqrt(Math.PI)))],
        ["Sin"] = (g, op, dy) => [dy * g.Op("Cos", [op.In(0)])],
        ["Cos"] = (g, op, dy) => [-(dy * g.Op("Sin", [op.In(0)]))],
        ["Tan"] = (g, op, dy) => [dy * (op.Out(0) * op.Out(0) + 1)],
        ["Sinh"] = (g, op, dy) => [dy * g.Op("Cosh", [op.In(0)])],
        ["Cosh"] = (g, op, dy) => [dy * g.Op("Sinh", [op.In(0)])],
        ["Asin"] = (g, op, dy) => [dy / g.Sqrt(1 - op.In(0) * op.In(0))],
        ["Acos"] = (g, op, dy) => [-(dy / g.Sqrt(1 - op.In(0) * op.In(0)))],
        ["Atan"] = (g, op, dy) => [dy / (op.In(0) * op.In(0) + 1)],
        ["Asinh"] = (g, op, dy) => [dy / g.Sqrt(op.In(0) * op.In(0) + 1)],
        ["Acosh"] = (g, op, dy) => [dy / g.Sqrt(op.In(0) * op.In(0) - 1)],
        ["Atanh"] = (g, op, dy) => [dy / (1 - op.In(0) * op.In(0))],
        ["Identity"] = (g, op, dy) => [dy],
        ["Cast"] = (g, op, dy) => [g.Cast(dy, op.In(0).Type)],
        ["CastLike"] = (g, op, dy) => [g.Cast(dy, op.In(0).Type), null],
        ["Mod"] = Mod,
        ["Range"] = Range,
        ["com.microsoft.Range"] = Range,
        ["Where"] = Where,
        ["Clip"] = Clip,
    };

    /// <summary>y = a / b: da = dy / b, db = -dy · y / b.</summary>
    private static Value?[] Div(GraphBuilder g, Forward op, Term dy)
    {
        Term da = dy / op.In(1);
        return [da, -(da * op.Out(0))];
    }

    /// <summary>Folded from the left as PyTorch does: at each step the winner takes the gradient, a tie shares it by
    /// halves.</summary>
    private static Value?[] Selected(GraphBuilder g, Forward op, Term dy)
    {
        int n = op.InputCount;
        if (n == 1) return [dy];
        var partial = new Value[n];
        partial[0] = op.In(0);
        for (int i = 1; i < n; i++) partial[i] = i == n - 1 ? op.Out(0) : g.Op(op.Node.OpType, [partial[i - 1], op.In(i)]);
        var results = new Value?[n];
        Term rest = dy;
        for (int i = n - 1; i > 0; i--)
        {
            bool max = op.Node.OpType == "Max";
            Term rightWins = max ? op.In(i) > partial[i - 1] : op.In(i) < partial[i - 1];
            Term tie = g.Equal(op.In(i), partial[i - 1]);
            Term share = g.Where(tie, 0.5, g.Cast(rightWins, dy.Type));
            results[i] = rest * share;
            rest = g.SumTo(rest - results[i]!, partial[i - 1]);
        }
        results[0] = rest;
        return results;
    }

    /// <summary>y = x^e. dx = e·x^(e-1), written without Pow for the exponents that exporters make; de = y·ln x, 0
    /// where x is 0.</summary>
    private static Value?[] Pow(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0), e = op.In(1);
        double? constant = e.Data is { ElementCount: 1 } data ? data.ToDoubles()[0] : null;
        if (constant is double k)
        {
            Term slope = k switch
            {
                0 => g.Filled(0, x),
                1 => g.Filled(1, x),
                2 => x * 2,
                3 => x * x * 3,
                > 0 and < 1 => g.Where(g.Equal(x, 0), 0, g.Pow(x, k - 1) * k),
                _ => g.Pow(x, k - 1) * k,
            };
            return [dy * slope, null];
        }
        Term exponent = g.Cast(e, x.Type);
        Term zeroExponent = g.Equal(exponent, 0);
        Term power = exponent * g.Pow(x, exponent - 1);
        Term dx = dy * g.Where(zeroExponent, 0, power);
        if (!e.Type.IsFloating()) return [dx, null];
        Term zeroBase = g.Equal(x, 0);
        Term safe = g.Where(zeroBase, 1, x);
        return [dx, g.Cast(dy * op.Out(0) * g.Log(safe), e.Type)];
    }

    /// <summary>y = a - b·trunc(a/b), the only form that takes floating numbers: da = dy, db =
    /// -dy·trunc(a/b).</summary>
    private static Value?[] Mod(GraphBuilder g, Forward op, Term dy)
    {
        Term ratio = op.In(0) / op.In(1);
        Term truncated = g.Sign(ratio) * g.Op("Floor", [g.Abs(ratio)]);
        return [dy, -(dy * truncated)];
    }

    /// <summary>y[i] = start + i·delta; the limit only decides how many there are.</summary>
    private static Value?[] Range(GraphBuilder g, Forward op, Term dy)
    {
        Term dStart = g.ReshapeLike(g.ReduceSum(dy, false), op.In(0));
        if (op.TryIn(2) is not Value delta) return [dStart];
        Term steps = g.Cast(g.Positions(g.DimOf(dy, 0)), dy.Type);
        return [dStart, null, g.ReshapeLike(g.ReduceSum(dy * steps, false), delta)];
    }

    private static Value?[] Where(GraphBuilder g, Forward op, Term dy)
    {
        Term zero = g.Scalar(0, dy.Type);
        return [null, g.Where(op.In(0), dy, zero), g.Where(op.In(0), zero, dy)];
    }

    /// <summary>1 at a bound, as PyTorch; what lies beyond goes to the bound that was reached.</summary>
    private static Value?[] Clip(GraphBuilder g, Forward op, Term dy)
    {
        Term x = op.In(0), zero = g.Scalar(0, dy.Type);
        Value? low = op.TryIn(1), high = op.TryIn(2);
        Value? below = low is null ? null : x < low, above = high is null ? null : x > high;
        Term dx = dy;
        if (below is not null) dx = g.Where(below, zero, dx);
        if (above is not null) dx = g.Where(above, zero, dx);
        return [dx, below is null ? null : g.Where(below, dy, zero), above is null ? null : g.Where(above, dy, zero)];
    }
}
